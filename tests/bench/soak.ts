/**
 * Half an hour of everything that clients do: `deno task bench:soak [MINUTES]` (Linux). A server of
 * its own with two models, one of which comes and goes; memory, handles, threads and what requests
 * hold are looked at all the time. Exits with 1 when they grow, or an answer is not the right one.
 */
import { readLaunch } from "../../packaging/launch.ts";
import { pause } from "../../src/base/pause.ts";
import { BUILT_IN_MODEL_ID, BUILT_IN_MODEL_PATH } from "../../src/llm/mod.ts";
import { finish, Log } from "../cli/server_process.ts";
import { Rng } from "../support/rng.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { describeCommit } from "./machine.ts";
import { metricIn } from "./overload_client.ts";
import {
  growth,
  soakPromises,
  type SoakRecord,
  type SoakRest,
  type SoakSample,
  soakTable,
  type TimedOutcome,
} from "./soak_report.ts";
import { pickKind, sendKind, SOAK_KINDS, type SoakTarget } from "./soak_traffic.ts";
import { tableAsText } from "./table.ts";

const CLIENTS = 6;
/** Between a client's requests, at most; the mean is half of it. */
const PAUSE_MS = 200;
const SAMPLE_MS = 2_000;
/** How often all clients stop, so that what is held can be looked at. */
const RESTS = 10;
/** What takes longer to be let go is held. */
const LET_GO_MS = 500;
const OTHER_MODEL = "other";
/** Shorter than the pauses between rests and what asks for it: it is loaded again and again. */
const KEEP_ALIVE = "3s";

interface Served extends SoakTarget {
  readonly pid: number;
}

/** Soaks a fresh server for so long. */
export async function soak(seconds: number): Promise<SoakRecord> {
  const startMs = performance.now();
  const now = () => (performance.now() - startMs) / 1000;
  const samples: SoakSample[] = [];
  const rests: SoakRest[] = [];
  const outcomes: TimedOutcome[] = [];
  const exitCode = await withServer(async (server) => {
    for (let round = 1; round <= RESTS; round++) {
      const untilS = round * seconds / RESTS;
      const clients = Array.from({ length: CLIENTS }, async (_, client) => {
        const rng = new Rng(1 + round * CLIENTS + client);
        while (now() < untilS) {
          outcomes.push({ ...await sendKind(pickKind(rng), server, rng), seconds: now() });
          await pause(rng.int(PAUSE_MS));
        }
      });
      while (now() < untilS) {
        samples.push(await takeSample(server, now()));
        await pause(Math.max(0, Math.min(SAMPLE_MS, (untilS - now()) * 1000)));
      }
      await Promise.all(clients);
      await pause(LET_GO_MS);
      rests.push(await lookAtRest(server, now()));
      console.error(`${(now() / 60).toFixed(1)} min, ${outcomes.length} requests`);
    }
  });
  return { seconds: Math.max(seconds, now()), samples, rests, outcomes, exitCode };
}

async function takeSample({ url, pid }: Served, seconds: number): Promise<SoakSample> {
  const metrics = await metricsOf(url);
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return {
    seconds,
    residentBytes: 1024 * Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]),
    heapBytes: metricIn(metrics, "ganglion_process_heap_bytes"),
    handles: [...Deno.readDirSync(`/proc/${pid}/fd`)].length,
    threads: Number(/Threads:\s+(\d+)/.exec(status)?.[1]),
  };
}

async function lookAtRest({ url }: Served, seconds: number): Promise<SoakRest> {
  const metrics = await metricsOf(url);
  const held = ["generations_running", "generations_waiting", "requests_under_way"]
    .reduce((sum, name) => sum + metricIn(metrics, `ganglion_${name}`), 0);
  return { seconds, held, kvRatio: metricIn(metrics, "ganglion_kv_usage_ratio") };
}

async function metricsOf(url: string): Promise<string> {
  return await (await fetch(`${url}/metrics`)).text();
}

/** @returns the server's exit code after SIGTERM; null when it was killed. */
async function withServer(use: (server: Served) => Promise<void>): Promise<number | null> {
  const folder = await Deno.makeTempDir({ prefix: "ganglion-soak-" });
  const other = `${folder}/${OTHER_MODEL}.gguf`;
  await Deno.writeFile(other, tinyModel({ contextLength: 1024 }));
  const child = start([BUILT_IN_MODEL_PATH, other, "--keep-alive", KEEP_ALIVE]);
  const log = new Log(child.stderr);
  try {
    const [, url] = await log.match(/Serving .* at (http:\/\/127\.0\.0\.1:\d+)/);
    await use({ url, pid: child.pid, model: BUILT_IN_MODEL_ID, otherModel: OTHER_MODEL });
  } finally {
    child.kill("SIGTERM");
    await finish(child, log);
    await Deno.remove(folder, { recursive: true });
  }
  return (await child.status).code;
}

function start(args: readonly string[]): Deno.ChildProcess {
  const main = new URL("../../src/cli/main.ts", import.meta.url).pathname;
  const flags = `--v8-flags=${readLaunch().v8Flags}`;
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-prompt", "-A", flags, main, "serve", ...args, "--port", "0"],
    env: { XDG_CONFIG_HOME: "/nonexistent" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

function print(record: SoakRecord): void {
  const { outcomes, seconds } = record;
  console.log(tableAsText(soakTable(record)));
  const counts = SOAK_KINDS.map((name) =>
    `${name} ${outcomes.filter(({ kind }) => kind === name).length}`
  );
  console.log(
    `\n${outcomes.length} requests in ${(seconds / 60).toFixed(1)} min: ${counts.join(", ")}`,
  );
  for (const name of ["residentBytes", "heapBytes", "handles", "threads"] as const) {
    const { rise, share } = growth(record, name);
    console.log(`${name}: ${rise.toFixed(1)} (${(100 * share).toFixed(2)} %) over the last 70 %`);
  }
  const flaws = new Map<string, number>();
  for (const { kind, flaw } of outcomes) {
    if (flaw !== null) flaws.set(`${kind}: ${flaw}`, (flaws.get(`${kind}: ${flaw}`) ?? 0) + 1);
  }
  for (const [flaw, count] of [...flaws].slice(0, 20)) console.log(`${count} × ${flaw}`);
}

if (import.meta.main) {
  if (Deno.build.os !== "linux") throw new Error("Cannot look at handles here: run it on Linux");
  const record = await soak(60 * Number(Deno.args[0] ?? 30));
  console.log(`commit ${await describeCommit()}, Deno ${Deno.version.deno}`);
  print(record);
  const kept = soakPromises(record);
  for (const [text, isKept] of kept) console.log(`${isKept ? "kept  " : "BROKEN"}  ${text}`);
  Deno.exit(kept.every(([, isKept]) => isKept) ? 0 : 1);
}
