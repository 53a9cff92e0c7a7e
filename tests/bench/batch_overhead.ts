/** What the queue costs: a job through it, beside the same request sent directly. */
import { pause } from "../../src/base/pause.ts";
import { newId, type Progress } from "../../src/batch/mod.ts";
import type { BatchCluster } from "./batch_cluster.ts";

export interface OverheadReport {
  /** Milliseconds, ascending. */
  readonly directMs: readonly number[];
  readonly queueMs: readonly number[];
  /** Requests a second, many clients or jobs at once. */
  readonly directRate: number;
  readonly queueRate: number;
}

const ENDPOINT = "/v1/completions";
const BODY = { model: "built-in", prompt: "Hello", max_tokens: 1, temperature: 0 };
const WARM_UP = 20;
/** How often it is looked whether one job is done; or many, which would be slowed by looks. */
const LOOK_MS = { one: 1, many: 25 };
/** Without a result for so long something is wrong. */
const STALL_MS = 60_000;

/**
 * One request at a time, directly and through the queue in turns; then many at once, of as many
 * clients as jobs are worked on at once.
 */
export async function measureOverhead(
  cluster: BatchCluster,
  { count, rateCount, concurrency }: { count: number; rateCount: number; concurrency: number },
): Promise<OverheadReport> {
  const [directMs, queueMs]: [number[], number[]] = [[], []];
  const store = await cluster.openStore();
  try {
    for (let n = 0; n < count + WARM_UP; n++) {
      const direct = await timed(() => askDirectly(cluster, n));
      const queued = await timed(() => askByQueue(1));
      if (n < WARM_UP) continue;
      directMs.push(direct);
      queueMs.push(queued);
    }
    const queueSeconds = await timed(() => askByQueue(rateCount)) / 1000;
    const directSeconds = await timed(() => askAtOnce(cluster, rateCount, concurrency)) / 1000;
    return {
      directMs: directMs.sort((a, b) => a - b),
      queueMs: queueMs.sort((a, b) => a - b),
      directRate: rateCount / directSeconds,
      queueRate: rateCount / queueSeconds,
    };
  } finally {
    await store.close();
  }

  async function askByQueue(jobCount: number): Promise<void> {
    const id = newId("batch_");
    await store.jobs.enqueue(id, jobsOf(jobCount));
    const lookMs = jobCount === 1 ? LOOK_MS.one : LOOK_MS.many;
    await untilCompleted(() => store.jobs.progress(id), { jobCount, lookMs });
    for await (const _ of store.jobs.results(id));
    await store.jobs.drop(id);
  }
}

/**
 * Looks until all jobs are completed.
 * @throws {Error} when one fails, or none is completed for a minute.
 */
export async function untilCompleted(
  look: () => Promise<Progress>,
  { jobCount, lookMs, stallMs = STALL_MS }: {
    readonly jobCount: number;
    readonly lookMs: number;
    readonly stallMs?: number;
  },
): Promise<void> {
  let [last, lastMs] = [0, performance.now()];
  for (;;) {
    const { completed, failed } = await look();
    if (failed > 0) throw new Error(`${failed} of ${jobCount} jobs failed`);
    if (completed >= jobCount) return;
    if (completed > last) [last, lastMs] = [completed, performance.now()];
    if (performance.now() - lastMs > stallMs) {
      throw new Error(`${completed} of ${jobCount} jobs are completed, and none for ${stallMs} ms`);
    }
    await pause(lookMs);
  }
}

async function* jobsOf(count: number) {
  for (let index = 0; index < count; index++) {
    yield await Promise.resolve({
      ...{ index, customId: `job-${index}`, endpoint: ENDPOINT },
      body: JSON.stringify(BODY),
    });
  }
}

async function askDirectly({ replicas }: BatchCluster, turn: number): Promise<void> {
  const { url } = replicas[turn % replicas.length];
  const response = await fetch(url + ENDPOINT, { method: "POST", body: JSON.stringify(BODY) });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  await response.text();
}

async function askAtOnce(cluster: BatchCluster, count: number, clients: number): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: clients }, async () => {
    while (next < count) await askDirectly(cluster, next++);
  }));
}

async function timed(act: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await act();
  return performance.now() - startMs;
}
