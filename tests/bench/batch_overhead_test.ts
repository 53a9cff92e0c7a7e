import { assertEquals, assertRejects } from "@std/assert";
import { untilCompleted } from "./batch_overhead.ts";

const WAIT = { jobCount: 3, lookMs: 1, stallMs: 100 };

/** Looks that see this, the last one again and again. */
function seeing(...counts: readonly [completed: number, failed: number][]) {
  const looks = { count: 0 };
  const look = () => {
    const [completed, failed] = counts[Math.min(looks.count++, counts.length - 1)];
    return Promise.resolve({ completed, failed });
  };
  return { looks, look };
}

Deno.test("untilCompleted() waits for all jobs, however slowly they come one by one", async () => {
  const { looks, look } = seeing([0, 0], [1, 0], [2, 0], [3, 0]);
  const slowly = async () => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    return await look();
  };
  // Longer than that all together, and far from it one by one, on a busy machine, too.
  await untilCompleted(slowly, { ...WAIT, stallMs: 1000 });
  assertEquals(looks.count, 4);
});

Deno.test("untilCompleted() gives up when a job fails, and when none is completed any more", async () => {
  await assertRejects(() => untilCompleted(seeing([1, 1]).look, WAIT), Error, "1 of 3 jobs failed");
  const stuck = () => untilCompleted(seeing([0, 0], [2, 0]).look, WAIT);
  await assertRejects(stuck, Error, "2 of 3 jobs are completed");
});
