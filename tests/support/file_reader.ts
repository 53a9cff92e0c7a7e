/**
 * A process that answers with a model, some times, and tells what that read from the disk: tests
 * start several of them on one file. Linux only. Its argument is a `ReaderTask`, what it prints are
 * `ReaderReport`s.
 */
import { loadModel, type LoadOptions } from "../../src/llm/mod.ts";
import { evict } from "../bench/page_cache.ts";
import { greedyIds } from "./loaded_model.ts";

export interface ReaderTask {
  readonly path: string;
  /** How the model is loaded, one time after the other. */
  readonly loads: readonly ReaderLoad[];
  readonly ids: readonly number[];
  readonly answerTokens: number;
}

/** One of a process's loads; what it reads is counted from the one before on. */
export interface ReaderLoad {
  readonly options: LoadOptions;
  /** The file leaves the page cache before it, if there are tools for it. */
  readonly evicts?: boolean;
}

export interface ReaderReport {
  readonly ids: readonly number[];
  /** What the process had the disk read; the program, too, if it is its first load. */
  readonly diskBytes: number;
  /** Why the file stayed in the page cache though it was to leave it. */
  readonly cached?: string;
}

/** Starts one, and waits for what it tells; wrap: a command that is to start it. */
export async function readInProcess(
  task: ReaderTask,
  wrap: readonly string[] = [],
): Promise<readonly ReaderReport[]> {
  const script = new URL(import.meta.url).pathname;
  const [program, ...args] = [
    ...wrap,
    Deno.execPath(),
    // Deno lets nobody look into /proc with less; and the kernel may be asked to read.
    ...["run", "--no-check", "--no-prompt", "-A", script, JSON.stringify(task)],
  ];
  const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function main(task: ReaderTask): Promise<ReaderReport[]> {
  const reports: ReaderReport[] = [];
  let before = 0;
  for (const load of task.loads) {
    const cached = load.evicts ? await evicted(task.path) : undefined;
    const ids = await answer(task, load.options);
    const [, bytes] = /^read_bytes: (\d+)$/m.exec(Deno.readTextFileSync("/proc/self/io"))!;
    reports.push({ ids, diskBytes: Number(bytes) - before, ...cached && { cached } });
    before = Number(bytes);
  }
  return reports;
}

async function answer(
  { path, ids, answerTokens }: ReaderTask,
  options: LoadOptions,
): Promise<number[]> {
  const model = await loadModel(path, options);
  try {
    return await greedyIds(model, ids, answerTokens);
  } finally {
    await model.close();
  }
}

/** Why the file stays in the page cache; undefined: it does not. */
async function evicted(path: string): Promise<string | undefined> {
  try {
    await evict([path]);
  } catch (error) {
    return String(error);
  }
}

if (import.meta.main) console.log(JSON.stringify(await main(JSON.parse(Deno.args[0]))));
