/**
 * What a server does with ten times the work that it can do, with clients that vanish, and with
 * clients that do not read: `deno task bench:overload [SECONDS]`. Exits with 1 when it breaks a
 * promise. A short run of it is a test.
 */
import { readLaunch } from "../../packaging/launch.ts";
import {
  ask,
  metric,
  neverRead,
  offer,
  type Outcome,
  percentile,
  vanish,
} from "./overload_client.ts";

/** 4 at once, 20 pieces every 10 ms: 20 answers a second, behind 8 that wait. */
const MODEL = { parallel: 4, waitingMax: 8, stepMs: 10, pieces: 20 };
const CAPACITY_PER_S = MODEL.parallel * 1000 / (MODEL.stepMs * MODEL.pieces);
const FACTOR = 10;
const VANISHING = 200;
const SILENT = 20;
/** Part of the time that the same load goes before, uncounted: V8 grows its heap and compiles. */
const WARM_UP = 1 / 3;
/** Of the memory, over the whole time: collections make it rise and fall by a third. */
const SAMPLES = 120;

export interface OverloadReport {
  readonly admitted: {
    readonly count: number;
    readonly whole: number;
    readonly firstMsP99: number;
  };
  readonly refused: {
    readonly count: number;
    /** That said when to come back. */
    readonly withRetryAfter: number;
    readonly msP50: number;
    readonly msP99: number;
  };
  /** Anything else: other statuses, connections that broke. */
  readonly otherCount: number;
  /** Whole answers a second, and what is possible. */
  readonly perSecond: number;
  readonly capacityPerSecond: number;
  /** Memory of the server's process, median of the first third of the time and of the last. */
  readonly residentBytes: readonly [number, number];
  /** After 200 clients had vanished: until every slot was free, and what was still held. */
  readonly freedMs: number;
  readonly heldAfter: number;
  /** First token of patient clients, p50, alone and beside clients that do not read. */
  readonly besideSilentMs: readonly [number, number];
}

/** Runs it all against a fresh server. */
export async function measureOverload(seconds: number): Promise<OverloadReport> {
  return await withServer(async (url) => {
    await offer(url, { perSecond: CAPACITY_PER_S, seconds: 1 }); // everything is compiled then
    await offer(url, { perSecond: FACTOR * CAPACITY_PER_S, seconds: seconds * WARM_UP });
    const memory = sampleMemory(url, seconds);
    const startMs = performance.now();
    const outcomes = await offer(url, { perSecond: FACTOR * CAPACITY_PER_S, seconds });
    const elapsedS = (performance.now() - startMs) / 1000;
    const whole = outcomes.filter(({ isWhole }) => isWhole).length;
    return {
      ...summary(outcomes),
      perSecond: whole / elapsedS,
      capacityPerSecond: CAPACITY_PER_S,
      residentBytes: await memory,
      ...await measureVanishing(url),
      besideSilentMs: await measureSilent(url, Math.min(2, seconds / 2)),
    };
  });
}

async function sampleMemory(url: string, seconds: number): Promise<readonly [number, number]> {
  const samples: number[] = [];
  for (let i = 0; i < SAMPLES; i++) {
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000 / SAMPLES));
    samples.push(await metric(url, "ganglion_process_resident_bytes"));
  }
  const third = SAMPLES / 3;
  return [0, 2].map((part) => percentile(samples.slice(part * third, (part + 1) * third), 0.5)) as [
    number,
    number,
  ];
}

function summary(outcomes: readonly Outcome[]) {
  const admitted = outcomes.filter(({ status }) => status === 200);
  const refused = outcomes.filter(({ status }) => status === 503 || status === 429);
  const refusedMs = refused.map(({ statusMs }) => statusMs);
  return {
    admitted: {
      count: admitted.length,
      whole: admitted.filter(({ isWhole }) => isWhole).length,
      firstMsP99: percentile(admitted.map(({ firstMs }) => firstMs ?? Infinity), 0.99),
    },
    refused: {
      count: refused.length,
      withRetryAfter: refused.filter(({ retryAfter }) => Number(retryAfter) >= 1).length,
      msP50: percentile(refusedMs, 0.5),
      msP99: percentile(refusedMs, 0.99),
    },
    otherCount: outcomes.length - admitted.length - refused.length,
  };
}

/** Clients that go away before, in and after every phase of their request. */
async function measureVanishing(url: string): Promise<{ freedMs: number; heldAfter: number }> {
  await Promise.all(
    Array.from({ length: VANISHING }, () => vanish(url, Math.random() * 500)),
  );
  const startMs = performance.now();
  const held = async () =>
    await metric(url, "ganglion_generations_running") +
    await metric(url, "ganglion_generations_waiting") +
    await metric(url, "ganglion_requests_under_way");
  let heldAfter = await held();
  while (heldAfter > 0 && performance.now() - startMs < 5_000) heldAfter = await held();
  return { freedMs: performance.now() - startMs, heldAfter };
}

/** Patient clients, alone and beside clients that hold places and read nothing. */
async function measureSilent(url: string, seconds: number): Promise<readonly [number, number]> {
  const medianFirst = async () => {
    const outcomes = await offer(url, { perSecond: CAPACITY_PER_S / 4, seconds });
    return percentile(outcomes.map(({ firstMs }) => firstMs ?? Infinity), 0.5);
  };
  const alone = await medianFirst();
  const silent = [];
  for (let i = 0; i < SILENT; i++) {
    silent.push(await neverRead(url));
    // Their answers are made, read or not: they are in nobody's way for long.
    if (i % MODEL.parallel === 0) await ask(url);
  }
  const beside = await medianFirst();
  for (const socket of silent) socket.close();
  return [alone, beside];
}

async function withServer<T>(use: (url: string) => Promise<T>): Promise<T> {
  const script = new URL("./overload_server.ts", import.meta.url).pathname;
  const server = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-check",
      "-A",
      `--v8-flags=${readLaunch().v8Flags}`,
      script,
      JSON.stringify(MODEL),
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
  try {
    return await use(((await lines.read()).value ?? "").trim());
  } finally {
    await server.stdin.close();
    await lines.cancel();
    await server.status;
  }
}

/** What the service promises, and whether it was kept. */
export function promises(report: OverloadReport): readonly (readonly [string, boolean])[] {
  const { admitted, refused, residentBytes: [before, after], besideSilentMs } = report;
  const waitMs = MODEL.stepMs * MODEL.pieces * (MODEL.waitingMax / MODEL.parallel + 1);
  return [
    ["every admitted request got its whole answer", admitted.whole === admitted.count],
    ["nothing broke", report.otherCount === 0],
    [
      `first token of admitted ones, p99, within ${2 * waitMs} ms`,
      admitted.firstMsP99 < 2 * waitMs,
    ],
    ["all refused ones were told when to come back", refused.withRetryAfter === refused.count],
    ["refused within 50 ms, p99", refused.msP99 < 50],
    ["as many answers as are possible (80 %)", report.perSecond > 0.8 * report.capacityPerSecond],
    ["memory does not grow (5 %)", after / before < 1.05],
    ["every slot free within 100 ms", report.freedMs < 100 && report.heldAfter === 0],
    ["silent readers hurt nobody", besideSilentMs[1] < 2 * besideSilentMs[0] + 20],
  ];
}

if (import.meta.main) {
  const report = await measureOverload(Number(Deno.args[0] ?? 180));
  console.log(JSON.stringify(report, null, 2));
  const kept = promises(report);
  for (const [text, isKept] of kept) console.log(`${isKept ? "kept  " : "BROKEN"}  ${text}`);
  Deno.exit(kept.every(([, isKept]) => isKept) ? 0 : 1);
}
