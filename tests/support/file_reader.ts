/**
 * A process that answers with a model and tells what that read from the disk: tests start several
 * of them on one file. Linux only. Its argument is a `ReaderTask`, what it prints a `ReaderReport`.
 */
import { loadModel, type LoadOptions } from "../../src/llm/mod.ts";
import { greedyIds } from "./loaded_model.ts";

export interface ReaderTask {
  readonly path: string;
  readonly options: LoadOptions;
  readonly ids: readonly number[];
  readonly answerTokens: number;
}

export interface ReaderReport {
  readonly ids: readonly number[];
  /** What the process had the disk read, the program included. */
  readonly diskBytes: number;
}

/** Starts one, and waits for what it tells; wrap: a command that is to start it. */
export async function readInProcess(
  task: ReaderTask,
  wrap: readonly string[] = [],
): Promise<ReaderReport> {
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

async function main({ path, options, ids, answerTokens }: ReaderTask): Promise<ReaderReport> {
  const model = await loadModel(path, options);
  try {
    const answer = await greedyIds(model, ids, answerTokens);
    const [, bytes] = /^read_bytes: (\d+)$/m.exec(Deno.readTextFileSync("/proc/self/io"))!;
    return { ids: answer, diskBytes: Number(bytes) };
  } finally {
    await model.close();
  }
}

if (import.meta.main) console.log(JSON.stringify(await main(JSON.parse(Deno.args[0]))));
