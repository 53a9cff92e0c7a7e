/**
 * `deno task test`: the whole suite, a process for each core and one that waits. A part is a
 * folder of tests, a file where one takes minutes, or a task with permissions of its own; so what a
 * test measures of its process is its own folder's, and a part that dies takes no other with it.
 * The files of a part share an isolate (together.ts). `deno task test FILES` runs those only, each
 * in one of its own.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { childrenCpuS } from "./support/children_cpu.ts";
import { idleCoresS } from "./support/idle_cores.ts";

/** What `deno task` is told to run one part. */
export type Part = readonly [task: string, ...args: string[]];

/** What the parts of a run came to. */
export interface Sums {
  readonly passed: number;
  readonly failed: number;
  readonly ignored: number;
}

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const TASKS = ["test:safe", "test:ffi", "test:doc", "test:page"];
/** Files that take long, or count what they call or V8 does for them: a process for each. */
const BY_FILE = [
  ...["tests/engine/chromium", "tests/engine/families", "tests/engine/gpu_chain"],
  ...["tests/engine/gpu_golden", "tests/engine/gpu_memory", "tests/engine/leader"],
  ...["tests/engine/streamed_test", "tests/gpu/chromium", "tests/gpu/kernels", "tests/gpu/program"],
  ...["tests/rank/gpu_families", "tests/rank/gpu_rank", "tests/rank/gpu_weights"],
  "tests/rank/token_chain",
];
/** So has a file that measures memory: what others have given back hides what is kept. */
const MEASURES_MEMORY = /\bDeno\.memoryUsage\(/;
/** Files in a part, at most, of what takes long. */
const FILES_A_PART_MAX = { sized: 4, pooled: 6, cli: 15, whole: 4 };
/**
 * What a file does to all that share its isolate, so that they do it, too: its engines get their
 * threads from a pool; its shaders' sizes are data.
 */
const HAS_POOL = /^import "[./]+\/support\/thread_pool\.ts";$/m;
const IS_SIZED = /^sizesAsData\(\);$/m;
/** Beginnings of what takes long, the longest first: no core should be left alone at the end. */
const EARLY = [
  ...["tests/gpu/kernels", "tests/engine/gpu_", "tests/rank/gpu_", "tests/engine/streamed"],
  ...["tests/engine/", "tests/rank/", "tests/builtin", "tests/llm"],
  ...["tests/gpu/", "tests/kernels", "test:", "tests/docs", "tests/packaging"],
  ...["tests/server", "tests/batch", "tests/wasm", "tests/synth", "tests/golden"],
  ...["tests/cli/", "tests/whole/", "tests/workers", "tests/bench"],
  ...["tests/model/", "tests/planner", "tests/grammar", "tests/reference", "tests/tokenizer"],
];
/** Of what waits for clocks, for other processes and for whom it asks. */
const WAITING = [
  ...["tests/server", "tests/batch", "tests/packaging", "tests/cli/", "tests/bench", "tests/docs"],
  ...["tests/pull", "tests/deploy", "test:page"],
];
/** By code that V8 has optimised; as it begins, and with all checks, by `test:safe`. */
const OPTIMISED = "tests/kernels";
/** More at once do not fit into a small machine's memory. */
const JOBS_MAX = 8;
/** A part that takes longer hangs. */
const PART_MS_MAX = 20 * 60_000;

/** Every test of the suite once, in the order in which parts are begun. */
export function listParts(): Part[] {
  const parts = TASKS.map((task): Part => [task]);
  parts.push(["test:optimised", OPTIMISED]);
  const entries = [...Deno.readDirSync(join(ROOT, "tests"))].map(({ name }) => name).sort();
  parts.push(["test:together", ...entries.filter(isTest).map((name) => `tests/${name}`)]);
  for (const folder of entries) {
    if (`tests/${folder}` !== OPTIMISED) parts.push(...partsOf(testsIn(`tests/${folder}`)));
  }
  return parts.sort((a, b) => rank(a) - rank(b));
}

/** Parts of a folder's files. */
function partsOf(paths: readonly string[]): Part[] {
  const parts: Part[] = [];
  const open = new Map<string, [string, ...string[]]>();
  for (const path of paths) {
    const text = Deno.readTextFileSync(join(ROOT, path));
    if (MEASURES_MEMORY.test(text) || BY_FILE.some((beginning) => path.startsWith(beginning))) {
      parts.push(["test:files", path]);
      continue;
    }
    const [hasPool, isSized] = [HAS_POOL.test(text), IS_SIZED.test(text)];
    const { sized, pooled } = FILES_A_PART_MAX;
    const filesMax = isSized ? sized : hasPool ? pooled : filesIn(path);
    const kind = `${hasPool} ${isSized}`;
    const part = open.get(kind);
    if (part !== undefined && part.length <= filesMax) part.push(path);
    else {
      const begun: [string, ...string[]] = ["test:together", path];
      open.set(kind, begun);
      parts.push(begun);
    }
  }
  return parts;
}

function filesIn(path: string): number {
  if (path.startsWith("tests/cli/")) return FILES_A_PART_MAX.cli;
  return path.startsWith("tests/whole/") ? FILES_A_PART_MAX.whole : Infinity;
}

/** Paths of the test files in a folder and all below it; of a file: none. */
export function testsIn(folder: string): string[] {
  if (!Deno.statSync(join(ROOT, folder)).isDirectory) return [];
  return [...Deno.readDirSync(join(ROOT, folder))].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? testsIn(path) : isTest(name) ? [path] : [];
  }).sort();
}

function isTest(name: string): boolean {
  return name.endsWith("_test.ts");
}

/** Whether a part's first path, or its task where it has none, begins so. */
function begins([task, path = task]: Part, beginning: string): boolean {
  return path.startsWith(beginning);
}

/** Where a part stands in `EARLY`. */
function rank(part: Part): number {
  const place = EARLY.findIndex((beginning) => begins(part, beginning));
  return place < 0 ? EARLY.length : place;
}

/**
 * The part that is begun next, taken out of those that are left: the first one that waits for most
 * of its time, or the first one that does not; where there is none of them, the first one.
 */
export function takePart(left: Part[], isWaiting: boolean): Part | undefined {
  const waits = (part: Part) => WAITING.some((beginning) => begins(part, beginning));
  const place = left.findIndex((part) => waits(part) === isWaiting);
  return left.splice(Math.max(place, 0), 1)[0];
}

/**
 * What a part's output says, whose summary is "ok | 12 passed (3 steps) | 0 failed | 1 ignored
 * (2s)"; null: it has none.
 */
export function readSummary(output: string): Sums | null {
  // deno-lint-ignore no-control-regex
  const plain = output.replaceAll(/\x1b\[[0-9;]*m/g, "");
  const line = [...plain.matchAll(/^(?:ok|FAILED) \| (\d+) passed.*$/gm)].at(-1);
  if (line === undefined) return null;
  const count = (what: string) =>
    Number(new RegExp(`\\| (\\d+) ${what}\\b`).exec(line[0])?.[1] ?? 0);
  return { passed: Number(line[1]), failed: count("failed"), ignored: count("ignored") };
}

/** A process that has said that all its tests passed, and then crashed. */
const DIED = "it died behind its tests";

/**
 * What a part came to: one that fails without saying which test did, or of which no test is known
 * to have run, counts as one failure; `fault` says so.
 */
export function judge(output: string, isSuccess: boolean): { sums: Sums; fault: string | null } {
  const sums = readSummary(output);
  const isEmpty = sums !== null && sums.passed + sums.failed + sums.ignored === 0;
  if (sums !== null && !isEmpty && (isSuccess || sums.failed > 0)) return { sums, fault: null };
  const fault = isSuccess
    ? "it ended without a test"
    : sums === null
    ? "it ended without saying what failed"
    : DIED;
  return { sums: { ...(sums ?? { passed: 0, ignored: 0 }), failed: 1 }, fault };
}

/** Lines of one part that are said again at the end of a run. */
const AGAIN_LINES_MAX = 60;

/**
 * What of a part's output says what failed: from the errors that `deno test` lists after its tests,
 * else all; its last lines only. Who sees no more than the end of a run's output sees these.
 */
export function whatFailed(output: string): string {
  const errors = output.lastIndexOf("\n ERRORS \n");
  const lines = output.slice(Math.max(errors, 0)).trim().split("\n");
  return lines.slice(-AGAIN_LINES_MAX).join("\n");
}

/**
 * Parts that failed beside others are run once more, alone, unless there are more of them: then
 * something is broken. Those that died behind their tests are begun again at once, for company does
 * not matter there. What passes then counts as passed and is named: a test whose time ran out on a
 * machine that had other things to do; or a process with a GPU that crashed at its end, where the
 * last functions of Mesa's libraries run while a thread that had the GPU is torn down (engines'
 * threads are waited for, workers/process_end.ts; that of a test file with a device of its own
 * cannot be).
 */
const ALONE_MAX = 3;
const DIED_MAX = 6;

/** What a part is called in the output. */
function nameOf([task, ...paths]: Part): string {
  if (task === "test:files") return paths.join(" ");
  if (task !== "test:together") return [task, ...paths].join(" ");
  return paths.length > 3
    ? `${paths[0]} to ${paths.at(-1)}, ${paths.length} files`
    : paths.join(" ");
}

/** A part as it runs. */
class Run {
  output = "";
  sums: Sums = { passed: 0, failed: 1, ignored: 0 };
  hasDied = false;
  /** What it computed, about: with another one's where they ended together; null: unknown. */
  cpuS: number | null = null;
  readonly name: string;
  readonly #child: Deno.ChildProcess;
  readonly #startMs = performance.now();

  constructor(readonly part: Part) {
    this.name = nameOf(part);
    this.#child = new Deno.Command(Deno.execPath(), {
      ...{ args: ["task", "--quiet", ...part], cwd: ROOT, stdin: "null" },
      ...{ stdout: "piped", stderr: "piped", signal: AbortSignal.timeout(PART_MS_MAX) },
    }).spawn();
  }

  async ended(): Promise<void> {
    const { stdout, stderr, status } = this.#child;
    await Promise.all([this.#collect(stdout), this.#collect(stderr)]);
    const { sums, fault } = judge(this.output, (await status).success);
    if (fault !== null) this.output += `-- ${fault}\n`;
    this.sums = sums;
    this.hasDied = fault === DIED;
  }

  report(): string {
    const seconds = Math.round((performance.now() - this.#startMs) / 1000);
    const cpu = this.cpuS === null ? "" : `, ${Math.round(this.cpuS)} s of CPU`;
    return `== ${this.name} (${seconds} s${cpu})\n${this.output.trim()}\n`;
  }

  async #collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) this.output += text;
  }
}

/** Shares out what the processes of parts computed among them, as they end. */
class CpuAccount {
  #countedS = 0;

  /** What ended since the last call computed, s. */
  async sinceLast(): Promise<number | null> {
    const totalS = await childrenCpuS();
    if (totalS === null) return null;
    const sinceS = Math.max(0, totalS - this.#countedS);
    this.#countedS += sinceS;
    return sinceS;
  }
}

/** Cores are looked at so often. */
const LOOK_MS = 1000;
/** Of them so much may be idle, on average of all of that time. */
const IDLE_CORES_MAX = 0.4;

/** Whether cores were idle in the last second; of those that `idleS` counts. */
async function haveIdled(idleS: typeof idleCoresS): Promise<boolean> {
  const [before, startMs] = [await idleS(), performance.now()];
  await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  const after = await idleS();
  if (before === null || after === null) return false;
  return after - before > IDLE_CORES_MAX * (performance.now() - startMs) / 1000;
}

/** Runs all parts and says what they came to; the exit status. */
export async function runAll(
  parts: readonly Part[],
  say = console.log,
  idleS = idleCoresS,
): Promise<number> {
  const startMs = performance.now();
  const left = [...parts];
  const running = new Set<Run>();
  const ended: Run[] = [];
  const cpu = new CpuAccount();
  await cpu.sinceLast();
  // Whoever ends a run that hangs wants to see where.
  Deno.addSignalListener("SIGTERM", () => {
    for (const run of running) say(run.report());
    Deno.exit(conclude([...ended, ...running], startMs, say));
  });
  const once = async (part: Part) => {
    const run = new Run(part);
    running.add(run);
    await run.ended();
    run.cpuS = await cpu.sinceLast();
    running.delete(run);
    say(run.report());
    return run;
  };
  const died = new Map<Part, Run>();
  const workOff = async (part: Part) => {
    const run = await once(part);
    if (run.hasDied && !died.has(part) && died.size < DIED_MAX) {
      died.set(part, run);
      left.unshift(part);
      return;
    }
    ended.push(run);
    if (died.has(part) && run.sums.failed === 0) {
      sayAgain("died behind its tests", died.get(part)!, say);
    }
  };
  const work = async (isWaiting: boolean) => {
    for (let part = takePart(left, isWaiting); part; part = takePart(left, isWaiting)) {
      await workOff(part);
    }
  };
  const fill = async () => {
    while (left.length > 0) {
      // A part that died here may come back when nobody else is left to begin it.
      const isFree = running.size === 0 || await haveIdled(idleS);
      const part = isFree ? takePart(left, false) : undefined;
      if (part) await workOff(part);
    }
  };
  // A part that computes for each core: one more makes each of them take a fifth more of its core's
  // time. What it leaves idle takes a part that waits, and one more where both wait.
  const cores = Math.min(navigator.hardwareConcurrency, JOBS_MAX - 2);
  await Promise.all([...Array.from({ length: cores }, () => work(false)), work(true), fill()]);
  const failed = ended.filter(({ sums, hasDied }) => sums.failed > 0 && !hasDied);
  for (const run of failed.length > ALONE_MAX ? [] : failed) {
    const second = await once(run.part);
    if (second.sums.failed > 0) continue;
    sayAgain("failed beside others", run, say);
    ended[ended.indexOf(run)] = second;
  }
  return conclude(ended, startMs, say);
}

/** Names a part that passed the second time. run: whose output says why it did not at first. */
function sayAgain(why: string, { name, output }: Run, say: (text: string) => void): void {
  say(`-- passed again, ${why}: ${name}\n${whatFailed(output)}\n`);
}

/** Parts that are named for what they computed. */
const NAMED_FOR_CPU = 10;

/** What all parts computed, and those that did the most; nothing where it is not known. */
export function whatComputed(runs: readonly { name: string; cpuS: number | null }[]): string {
  const known = runs.filter(({ cpuS }) => cpuS !== null);
  if (known.length === 0) return "";
  const minutes = known.reduce((sum, { cpuS }) => sum + cpuS!, 0) / 60;
  const most = known.toSorted((a, b) => b.cpuS! - a.cpuS!).slice(0, NAMED_FOR_CPU);
  const lines = most.map(({ name, cpuS }) => `   ${Math.round(cpuS!)} s ${name}`);
  return [`-- ${minutes.toFixed(1)} minutes of CPU, most of it`, ...lines].join("\n");
}

/** Prints what failed, and the last line, which `.ci/run` reads; the exit status. */
function conclude(runs: readonly Run[], startMs: number, say: (text: string) => void): number {
  const cpu = whatComputed(runs);
  if (cpu !== "") say(cpu);
  for (const { name, output, sums } of runs) {
    if (sums.failed > 0) say(`== ${name}, again\n${whatFailed(output)}\n`);
  }
  const count = (what: keyof Sums) => runs.reduce((sum, { sums }) => sum + sums[what], 0);
  const seconds = Math.round((performance.now() - startMs) / 1000);
  const [passed, failed, ignored] = [count("passed"), count("failed"), count("ignored")];
  const isOk = failed === 0 && passed > 0;
  const word = isOk ? "ok" : "FAILED";
  say(`${word} | ${passed} passed | ${failed} failed | ${ignored} ignored (${seconds} s)`);
  return isOk ? 0 : 1;
}

/** Runs some files, as `deno test` would on its own; the exit status. */
async function runFiles(files: readonly string[]): Promise<number> {
  const args = ["task", "--quiet", "test:files", ...files];
  return (await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).spawn().status).code;
}

if (import.meta.main) {
  Deno.exit(Deno.args.length > 0 ? await runFiles(Deno.args) : await runAll(listParts()));
}
