/** Who works on jobs, and when it had better not. */
import { assert, assertEquals } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { pause } from "../../src/base/pause.ts";
import type { BatchStore, TakenJob } from "../../src/batch/batch_store.ts";
import { deadLetter, newId } from "../../src/batch/batch_store.ts";
import { JobRunner, type RunnerOptions, type RunOutcome } from "../../src/batch/job_runner.ts";
import { answer, lines } from "./store_world.ts";
import { withSqliteStore } from "./sqlite_world.ts";

/** A runner on `count` jobs; stopped in the end. */
async function withRunner(
  options: Partial<RunnerOptions> & Pick<RunnerOptions, "run"> & { readonly count: number },
  use: (context: { store: BatchStore; runner: JobRunner; id: string }) => Promise<void>,
): Promise<void> {
  await withSqliteStore(async (store) => {
    const id = newId("batch_");
    await store.jobs.enqueue(id, lines(options.count));
    const runner = new JobRunner({
      ...{ store, concurrency: 3, isBusy: () => false, isInTheWay: () => false },
      onError: () => {},
      ...options,
    });
    try {
      await use({ store: options.store ?? store, runner, id });
    } finally {
      await runner.stop();
    }
  });
}

function done(job: TakenJob): RunOutcome {
  return { result: answer(job.index, 200) };
}

async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const endMs = Date.now() + 10_000; !await isSo();) {
    assert(Date.now() < endMs, `never: ${what}`);
    await pause(10);
  }
}

async function countDone({ jobs }: BatchStore, id: string): Promise<number> {
  const { completed, failed } = await jobs.progress(id);
  return completed + failed;
}

Deno.test("JobRunner runs all jobs, never more than so many at once", async () => {
  let running = 0;
  let most = 0;
  const run = async (job: TakenJob) => {
    most = Math.max(most, ++running);
    await pause(5);
    running--;
    return done(job);
  };
  await withRunner({ run, count: 20 }, async ({ store, id }) => {
    await until(async () => await countDone(store, id) === 20, "all are done");
    assertEquals(most, 3);
  });
});

Deno.test("JobRunner.stop() gives what runs back at once, as if it had not been tried", async () => {
  let started = 0;
  const run = (_job: TakenJob, signal: AbortSignal) => {
    started++;
    return new Promise<RunOutcome>((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason))
    );
  };
  await withRunner({ run, count: 5 }, async ({ store, runner, id }) => {
    await until(() => started === 3, "three run");
    await runner.stop();
    assertEquals(await countDone(store, id), 0);
    const stop = new AbortController();
    for (let n = 0; n < 5; n++) assertEquals((await store.jobs.take(stop.signal))?.attempt, 1);
  });
});

Deno.test("JobRunner tries again what is to be tried again, a bounded number of times", async () => {
  const tries: number[] = [];
  const run = (job: TakenJob): Promise<RunOutcome> => {
    tries.push(job.attempt);
    if (job.index === 0 && tries.length < 5) {
      return Promise.resolve({ retryMs: 1, isAttempt: false });
    }
    if (job.index === 1) return Promise.resolve({ retryMs: 1, isAttempt: true });
    return Promise.resolve(done(job));
  };
  await withRunner({ run, count: 2, concurrency: 1 }, async ({ store, id }) => {
    await until(async () => await countDone(store, id) === 2, "both are done");
    const [first, second] = await Array.fromAsync(store.jobs.results(id));
    assertEquals(first.result, answer(0, 200));
    assertEquals(second.result, deadLetter(3));
    assertEquals(tries.filter((attempt) => attempt > 1), [2, 3]);
  });
});

Deno.test("JobRunner begins nothing while it is busy, and ends what is in the way", async () => {
  let isBusy = true;
  let isInTheWay = false;
  let started = 0;
  const run = async (job: TakenJob, signal: AbortSignal): Promise<RunOutcome> => {
    started++;
    while (!signal.aborted && started < 3) await pause(5);
    return signal.aborted ? { retryMs: 0, isAttempt: false } : done(job);
  };
  const options = { run, count: 1, isBusy: () => isBusy, isInTheWay: () => isInTheWay };
  await withRunner(options, async ({ store, runner, id }) => {
    await pause(300);
    assertEquals(started, 0);
    isBusy = false;
    await until(() => started === 1, "it begins");
    isBusy = isInTheWay = true;
    await until(() => runner.running === 0, "it makes way");
    isInTheWay = false;
    await pause(300);
    assertEquals(started, 1);
    isBusy = false;
    await until(() => started === 2, "it begins again");
    started = 3;
    await until(async () => await countDone(store, id) === 1, "it is done");
  });
});

Deno.test("JobRunner ends a job that has a result, or is somebody else's", async () => {
  let wasAborted = false;
  const run = async (_job: TakenJob, signal: AbortSignal): Promise<RunOutcome> => {
    while (!signal.aborted) await pause(5);
    wasAborted = true;
    return { retryMs: 0, isAttempt: false };
  };
  await withRunner({ run, count: 1, beatMs: 20 }, async ({ store, runner, id }) => {
    await until(() => runner.running === 1, "it runs");
    const cancelled = { response: null, error: { code: "batch_cancelled", message: "" } };
    await store.jobs.finishAll(id, cancelled);
    await until(() => wasAborted, "it is told");
    assertEquals((await Array.fromAsync(store.jobs.results(id)))[0].result, cancelled);
  });
});

Deno.test("JobRunner keeps a result until a store that is away has it", async () => {
  await withSqliteStore(async (store) => {
    let isAway = false;
    let refused = 0;
    const away = () => {
      if (!isAway) return;
      refused++;
      throw new RequestError("away", { status: 503, retryAfterSeconds: 1 });
    };
    const jobs = {
      ...{ take: (signal: AbortSignal) => store.jobs.take(signal).then(wrap) },
    } as BatchStore["jobs"];
    const wrap = (job: TakenJob | null) =>
      job && {
        ...job,
        finish: async (result: ReturnType<typeof answer>) => {
          await away();
          return await job.finish(result);
        },
      };
    const id = newId("batch_");
    await store.jobs.enqueue(id, lines(1));
    let runs = 0;
    const runner = new JobRunner({
      ...{ store: { ...store, jobs }, concurrency: 1, onError: () => {} },
      ...{ isBusy: () => false, isInTheWay: () => false },
      run: (job) => {
        runs++;
        isAway = true;
        setTimeout(() => isAway = false, 400);
        return Promise.resolve(done(job));
      },
    });
    await until(async () => await countDone(store, id) === 1, "it is written");
    await runner.stop();
    assert(refused >= 2);
    assertEquals(runs, 1);
  });
});

Deno.test("JobRunner begins one job at a time beside others whose work never ends", async () => {
  let most = 0;
  let running = 0;
  const run = async (job: TakenJob) => {
    most = Math.max(most, ++running);
    await pause(20);
    running--;
    return done(job);
  };
  const options = { run, count: 5, patienceMs: 300, isBusy: () => true };
  await withRunner(options, async ({ store, id }) => {
    await pause(200);
    assertEquals(most, 0);
    await until(async () => await countDone(store, id) === 5, "all are done");
    assertEquals(most, 1);
  });
});

Deno.test("JobRunner gives up a result that the store refuses for good, and goes on", async () => {
  // What cannot be written as JSON.
  const run = (job: TakenJob) =>
    Promise.resolve({ result: answer(job.index === 0 ? 1n : "good", 200) });
  await withRunner({ run, count: 3, concurrency: 1 }, async ({ store, id }) => {
    await until(async () => await countDone(store, id) === 3, "all are done");
    const results = await Array.fromAsync(store.jobs.results(id));
    assertEquals(results.map(({ result }) => result.error?.code), [
      ...["result_refused", undefined, undefined],
    ]);
  });
});
