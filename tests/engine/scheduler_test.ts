/** Who gets how many rows of a step. */
import { assert, assertEquals, assertLess } from "@std/assert";
import fc from "fast-check";
import {
  BACKGROUND_PRIORITY,
  Scheduler,
  type SchedulerOptions,
} from "../../src/engine/scheduler.ts";
import { fuzzRuns } from "../support/fuzz.ts";

/** A sequence that does what it is told. */
class Job {
  known: number;
  computed = 0;
  readonly prompt: number;
  readonly priority: number;
  readonly name: string;
  /** Where rows begin that are not parted, and how many they are. */
  readonly wholes: readonly { readonly start: number; readonly rows: number }[] = [];
  firstStep = -1;

  constructor(name: string, prompt: number, priority = 0) {
    this.name = name;
    this.prompt = this.known = prompt;
    this.priority = priority;
  }

  get isGenerating(): boolean {
    return this.computed >= this.prompt;
  }

  get wholeRows(): number {
    return this.wholes.find(({ start }) => start === this.computed)?.rows ?? 0;
  }

  get freeRows(): number {
    const next = this.wholes.find(({ start }) => start >= this.computed);
    return (next?.start ?? this.known) - this.computed;
  }
}

const OPTIONS = { chunkTokens: 64, logitsRows: 16, takesTurns: false };

function schedule(options: Partial<SchedulerOptions> = {}) {
  const scheduler = new Scheduler<Job>({ ...OPTIONS, ...options });
  let steps = 0;
  const add = (name: string, prompt: number, priority = 0) => {
    const job = new Job(name, prompt, priority);
    scheduler.add(job);
    scheduler.admit(() => "in");
    return job;
  };
  /** Runs a step; returns who had how many rows. */
  const step = (rowsMax?: number) => {
    scheduler.plan(rowsMax);
    const rows: Record<string, number> = {};
    for (let i = 0; i < scheduler.count; i++) {
      const job = scheduler.sequences[i];
      rows[job.name] = scheduler.rows[i];
      job.computed += scheduler.rows[i];
      if (job.computed < job.known) continue;
      job.known++;
      if (job.firstStep < 0) job.firstStep = steps;
    }
    steps++;
    return rows;
  };
  return { scheduler, add, step };
}

Deno.test("Scheduler gives each that generates a row, and prompts what is left", () => {
  const { add, step } = schedule();
  add("a", 10);
  assertEquals(step(), { a: 10 });
  assertEquals(step(), { a: 1 });
  add("b", 200);
  assertEquals(step(), { a: 1, b: 63 });
  assertEquals(step(), { a: 1, b: 63 });
  assertEquals(step(), { a: 1, b: 63 });
  assertEquals(step(), { a: 1, b: 11 });
  assertEquals(step(), { a: 1, b: 1 });
});

Deno.test("Scheduler lets a short prompt through beside a long one, which goes on", () => {
  const { add, step } = schedule();
  add("long", 4000);
  step();
  const short = add("short", 40);
  assertEquals(step(), { short: 40, long: 8 }, "what is awaited is not made to wait");
  assertEquals(short.firstStep, 1, "in the first step that it is in");
  assertEquals(step(), { short: 1, long: 63 });
});

Deno.test("Scheduler fills a step up with the oldest prompt where no first token comes of it", () => {
  const { add, step } = schedule();
  add("long", 4000);
  const medium = add("medium", 100);
  assertEquals(step(), { medium: 56, long: 8 });
  assertEquals(step(), { medium: 44, long: 8 });
  assertEquals(medium.firstStep, 1);
  assertEquals(step(), { medium: 1, long: 63 });
});

Deno.test("Scheduler does not fill up with others either, and not twice running", () => {
  const { scheduler, add, step } = schedule();
  add("old", 1000);
  add("young", 2000);
  const first = add("a", 4);
  assertEquals(step(), { a: 4, old: 8 });
  assertEquals(scheduler.spare, 0, "guesses would not be awaited either");
  scheduler.remove(first);
  add("b", 4);
  assertEquals(step(), { b: 4, old: 60 });
  assertEquals(step(), { b: 1, old: 63 });
});

Deno.test("Scheduler gives steps with prompts no more rows than it is told, and others theirs", () => {
  const { add, step } = schedule({ chunkTokens: 16 });
  for (const name of ["a", "b", "c", "d", "e", "f"]) add(name, 1);
  step();
  add("long", 4000);
  assertEquals(step(12), { a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, long: 6 });
  assertEquals(step(4), { a: 1, b: 1, c: 1, long: 1 });
  assertEquals(step(4), { d: 1, e: 1, f: 1, long: 1 });
  const only = schedule({ chunkTokens: 16 });
  for (const name of ["a", "b", "c"]) only.add(name, 1);
  only.step();
  assertEquals(only.step(2), { a: 1, b: 1, c: 1 });
});

Deno.test("Scheduler lets no stream of short prompts starve a long one", () => {
  const { scheduler, add, step } = schedule();
  const long = add("long", 640);
  for (let i = 0; i < 90 && !long.isGenerating; i++) {
    const shorts = [add(`a${i}`, 50), add(`b${i}`, 50)];
    step();
    for (const short of shorts) scheduler.remove(short);
  }
  assert(long.isGenerating);
});

Deno.test("Scheduler serves prompts of higher priority first", () => {
  const { add, step } = schedule();
  add("first", 100);
  add("late", 100, 5);
  assertEquals(step(), { late: 56, first: 8 });
});

Deno.test("Scheduler asks for no more logits than a step has", () => {
  const { add, step } = schedule({ logitsRows: 3 });
  for (const name of ["a", "b", "c", "d", "e"]) add(name, 4);
  assertEquals(step(), { a: 4, b: 4, c: 4, d: 3, e: 3 });
  const seen = new Set<string>();
  for (let i = 0; i < 3; i++) {
    const rows = step();
    assert(Object.keys(rows).length <= 3 || Object.values(rows).includes(1));
    Object.keys(rows).forEach((name) => seen.add(name));
  }
  assertEquals([...seen].sort(), ["a", "b", "c", "d", "e"]);
});

Deno.test("Scheduler.admit() lets nobody overtake one that finds no room, but by priority", () => {
  const scheduler = new Scheduler<Job>(OPTIONS);
  const [big, small, urgent] = [new Job("big", 50), new Job("small", 5), new Job("urgent", 5, 1)];
  scheduler.add(big);
  scheduler.add(small);
  scheduler.add(urgent);
  scheduler.admit(({ prompt }) => prompt < 10 ? "in" : "full");
  assertEquals(scheduler.active.map(({ name }) => name), ["urgent"]);
  assertEquals(scheduler.waiting.map(({ name }) => name), ["big", "small"]);
  scheduler.remove(big);
  scheduler.admit(({ prompt }) => prompt < 10 ? "in" : "full");
  assertEquals(scheduler.active.map(({ name }) => name), ["urgent", "small"]);
});

Deno.test("Scheduler.admit() passes over one that had better come later", () => {
  const scheduler = new Scheduler<Job>(OPTIONS);
  for (const name of ["a", "twin", "b"]) scheduler.add(new Job(name, 5));
  scheduler.admit(({ name }) => name === "twin" ? "later" : "in");
  assertEquals(scheduler.active.map(({ name }) => name), ["a", "b"]);
  scheduler.admit(() => "in");
  assertEquals(scheduler.active.map(({ name }) => name), ["a", "b", "twin"]);
});

Deno.test("Scheduler gives turns of one sequence where rows depend on their neighbours", () => {
  const { add, step } = schedule({ takesTurns: true });
  add("a", 70);
  assertEquals([step(), step(), step()], [{ a: 64 }, { a: 6 }, { a: 1 }]);
  add("b", 3);
  add("c", 130);
  const steps = Array.from({ length: 9 }, step);
  assertEquals(steps.slice(0, 3), [{ b: 3 }, { a: 1 }, { b: 1 }]);
  // Each that generates has its turn between two chunks of a prompt.
  assertEquals(steps.slice(3), [{ c: 64 }, { a: 1 }, { b: 1 }, { c: 64 }, { a: 1 }, { b: 1 }]);
  assertEquals([step(), step(), step(), step()], [{ c: 2 }, { a: 1 }, { b: 1 }, { c: 1 }]);
});

Deno.test("Scheduler lets those that generate share a step, between chunks of prompts", () => {
  const { add, step } = schedule({ takesTurns: true, sharesAnswers: true, logitsRows: 2 });
  add("a", 70);
  assertEquals([step(), step(), step()], [{ a: 64 }, { a: 6 }, { a: 1 }]);
  add("b", 3);
  add("c", 130);
  assertEquals([step(), step(), step()], [{ b: 3 }, { a: 1, b: 1 }, { c: 64 }]);
  assertEquals([step(), step(), step()], [{ a: 1, b: 1 }, { c: 64 }, { a: 1, b: 1 }]);
  // Of three, two at a time.
  assertEquals([step(), step(), step()], [{ c: 2 }, { a: 1, c: 1 }, { b: 1, c: 1 }]);
  assertEquals([step(), step(), step()], [{ a: 1, b: 1 }, { a: 1, c: 1 }, { b: 1, c: 1 }]);
});

Deno.test("Scheduler fills steps within their limits, and brings every sequence on", () => {
  const jobs = fc.array(
    fc.tuple(fc.integer({ min: 1, max: 300 }), fc.integer({ min: -1, max: 1 })),
    {
      minLength: 1,
      maxLength: 20,
    },
  );
  const options = fc.record({
    chunkTokens: fc.integer({ min: 1, max: 70 }),
    logitsRows: fc.integer({ min: 1, max: 16 }),
    takesTurns: fc.boolean(),
    sharesAnswers: fc.boolean(),
    rowsMax: fc.integer({ min: 2, max: 70 }),
  });
  fc.assert(
    fc.property(options, jobs, ({ rowsMax: paced, ...limits }, list) => {
      const rowsMax = Math.min(paced, limits.chunkTokens);
      const logitsRows = Math.min(limits.logitsRows, limits.chunkTokens);
      const { scheduler, add, step } = schedule({ ...limits, logitsRows });
      const all = list.map(([prompt, priority], i) => add(`${i}`, prompt, priority));
      let steps = 0;
      while (all.some(({ isGenerating }) => !isGenerating)) {
        const pending = new Map(all.map((job) => [job.name, job.known - job.computed]));
        const rows = step(rowsMax);
        const counts = Object.values(rows);
        const sum = counts.reduce((total, count) => total + count, 0);
        const most = limits.takesTurns || logitsRows === 1 ? limits.chunkTokens : rowsMax;
        assert(counts.every((count) => count >= 1) && sum <= most);
        assert(Object.entries(rows).every(([name, count]) => count <= pending.get(name)!));
        const logits = Object.entries(rows).filter(([name, count]) => count === pending.get(name));
        assert(logits.length <= logitsRows);
        if (limits.takesTurns && !limits.sharesAnswers) assertEquals(counts.length, 1);
        if (limits.takesTurns && counts.length > 1) {
          assertEquals(sum, counts.length, "prompts have steps of their own");
        }
        assertLess(steps++, 40_000, "somebody starves");
        // Those that have all of a short answer leave.
        for (const job of [...scheduler.active]) {
          if (job.known - job.prompt > 5 && scheduler.active.length > 1) scheduler.remove(job);
        }
      }
    }),
    fuzzRuns(60),
  );
});

Deno.test("Scheduler lets background sequences have every sixteenth step beside others", () => {
  for (const takesTurns of [false, true]) {
    const { scheduler, add, step } = schedule({ takesTurns });
    const behind = add("behind", 20, BACKGROUND_PRIORITY);
    // Alone it has all.
    assertEquals(step(), { behind: 20 });
    assertEquals(step(), { behind: 1 });
    const front = add("front", 64);
    assertEquals(step(), { front: 64 });
    const before = behind.computed;
    const seen = Array.from({ length: 32 }, step);
    assertEquals(behind.computed - before, 2);
    // Its step is shared where steps are.
    assertEquals(seen.filter((rows) => rows.front === 1).length, takesTurns ? 30 : 32);
    add("prompt", 1000, BACKGROUND_PRIORITY);
    const rows = Array.from({ length: 15 }, step);
    assert(rows.filter((each) => each.prompt !== undefined).length <= 1);
    scheduler.remove(front);
    assert((step().prompt ?? 0) + (step().prompt ?? 0) > 0);
  }
});

Deno.test("Scheduler does not part rows that belong together, and lets nobody wait for them", () => {
  const { add, step } = schedule({ chunkTokens: 20 });
  const writer = add("writer", 1);
  step();
  const images = add("images", 50);
  Object.assign(images, { wholes: [{ start: 3, rows: 18 }, { start: 21, rows: 20 }] });
  assertEquals(step(), { writer: 1, images: 3 });
  assertEquals(step(), { writer: 1, images: 18 });
  // The next ones have a step for themselves, but not one after the other.
  assertEquals(step(), { writer: 1 });
  assertEquals(step(), { images: 20 });
  assertEquals(step(), { writer: 1, images: 9 });
  assertEquals([writer.computed, images.computed], [5, 50]);
});

Deno.test("Scheduler gives the last rows that belong together logits", () => {
  const { add, step, scheduler } = schedule({ chunkTokens: 20, logitsRows: 2 });
  for (const name of ["a", "b", "c"]) add(name, 1);
  step();
  step();
  Object.assign(add("image", 5), { wholes: [{ start: 0, rows: 5 }] });
  const rows = step();
  assertEquals([rows.image, scheduler.count, scheduler.spare], [5, 2, 0]);
});
