/**
 * Three replicas with the built-in model that share batches, in NATS JetStream and in a folder
 * (SQLite): 2,000 jobs while one of them is killed every 10 s, and the NATS server half-way; what a
 * job through the queue costs beside the same request sent directly.
 * `deno task bench:batches [JOBS] [NATS|SQLite]`; exits with 1 when a bar is missed.
 */
import { natsMissing } from "../support/nats_server.ts";
import { BatchCluster, type ClusterOptions } from "./batch_cluster.ts";
import { type FaultReport, isWhole, runWithFaults } from "./batch_faults.ts";
import { measureOverhead, type OverheadReport } from "./batch_overhead.ts";
import { tableAsText } from "./table.ts";

const CONCURRENCY = 2;
const REPLICAS = 3;
/** As it is by default. */
const LEASE_SECONDS = 10;
const KILL_EVERY_MS = 10_000;
const MAX_TOKENS = 96;
const OVERHEAD = { count: 300, rateCount: 600, concurrency: REPLICAS * CONCURRENCY };
type Kind = ClusterOptions["kind"];

/** What the queue may add to the median request. A folder is looked at every 100 ms. */
const ADDED_MS_MAX: Readonly<Record<Kind, number>> = { NATS: 25, SQLite: 150 };

interface Measured {
  readonly kind: Kind;
  readonly faults: FaultReport;
  readonly overhead: OverheadReport;
}

async function main(jobCount: number, kinds: readonly Kind[]): Promise<boolean> {
  const measured: Measured[] = [];
  for (const kind of kinds) {
    await using cluster = await BatchCluster.start({
      ...{ kind, replicaCount: REPLICAS, concurrency: CONCURRENCY, leaseSeconds: LEASE_SECONDS },
    });
    const overhead = await measureOverhead(cluster, OVERHEAD);
    const faults = await runWithFaults(cluster, {
      ...{ jobCount, maxTokens: MAX_TOKENS },
      isKillDue: ({ elapsedMs, kills }) => elapsedMs >= (kills + 1) * KILL_EVERY_MS,
      isQueueKillDue: ({ doneCount }) => doneCount >= jobCount / 2,
    });
    measured.push({ kind, faults, overhead });
  }
  console.log(faultTable(jobCount, measured));
  console.log();
  console.log(overheadTable(measured));
  const missed = measured.flatMap(missedBars);
  for (const each of missed) console.log(`BROKEN ${each}`);
  return missed.length === 0;
}

function faultTable(jobCount: number, measured: readonly Measured[]): string {
  return tableAsText({
    title: `${jobCount} jobs, ${REPLICAS} replicas, a kill -9 every ${KILL_EVERY_MS / 1000} s`,
    head: [
      "store",
      "s",
      "kills",
      "of NATS",
      "status",
      "errors",
      "lost",
      "doubled",
      "in order",
      "hash",
    ],
    rows: measured.map(({ kind, faults }) => [
      ...[kind, faults.seconds.toFixed(0), String(faults.kills), String(faults.queueKills)],
      ...[faults.card.status, faults.errors.join(" ") || "none"],
      ...[String(faults.lost), String(faults.doubled)],
      faults.isInOrder ? "yes" : "no",
      faults.hash.slice(0, 16) + (faults.hash === faults.directHash ? " = direct" : " ≠ direct"),
    ]),
  });
}

function overheadTable(measured: readonly Measured[]): string {
  return tableAsText({
    title: "A request for one token: alone, ms; many at once, a second",
    head: ["store", "direct p50", "p99", "queue p50", "p99", "direct/s", "queue/s"],
    rows: measured.map(({ kind, overhead: { directMs, queueMs, directRate, queueRate } }) => [
      kind,
      ...[directMs, queueMs].flatMap((ms) => [at(ms, 0.5), at(ms, 0.99)])
        .map((ms) => ms.toFixed(1)),
      ...[directRate, queueRate].map((rate) => rate.toFixed(0)),
    ]),
  });
}

function missedBars({ kind, faults, overhead: { directMs, queueMs } }: Measured): string[] {
  const addedMs = at(queueMs, 0.5) - at(directMs, 0.5);
  return [
    ...isWhole(faults) ? [] : [`${kind}: not every job has exactly its one result, in its place`],
    ...faults.kills > 0 ? [] : [`${kind}: no server was killed: give it more jobs`],
    ...addedMs <= ADDED_MS_MAX[kind]
      ? []
      : [`${kind}: the queue adds ${addedMs.toFixed(1)} ms to a request (${ADDED_MS_MAX[kind]})`],
  ];
}

/** Of ascending values, the one at a share of the way. */
function at(ms: readonly number[], share: number): number {
  return ms[Math.floor(share * (ms.length - 1))];
}

if (import.meta.main) {
  const [jobs = "2000", kind] = Deno.args;
  const kinds = (["NATS", "SQLite"] as const).filter((each) => kind === undefined || each === kind);
  if (kinds.includes("NATS") && natsMissing !== null) {
    console.error(`Cannot measure: ${natsMissing}`);
    Deno.exit(1);
  }
  Deno.exit(await main(Number(jobs), kinds) ? 0 : 1);
}
