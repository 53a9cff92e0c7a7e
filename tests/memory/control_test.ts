import { assert, assertEquals, assertThrows } from "@std/assert";
import { Control, RankFailedError } from "../../src/memory/control.ts";
import { controlWords, STEP_KIND_FORWARD } from "../../src/memory/control_layout.ts";
import { SHORT_PROBES, SpinBound } from "../../src/memory/spin_bound.ts";
import type { FollowerSetup } from "./control_follower.ts";

const SIZE = { chunkTokens: 4, contextLength: 16, slots: 2 } as const;

interface Follower {
  readonly worker: Worker;
  next(): Promise<unknown>;
}

async function startFollowers(count: number): Promise<
  { control: Control; marks: Int32Array; followers: Follower[] }
> {
  const rankCount = count + 1;
  const buffer = new SharedArrayBuffer(4 * controlWords(SIZE));
  const marks = new SharedArrayBuffer(8 * rankCount);
  const followers: Follower[] = [];
  for (let rankIndex = 1; rankIndex < rankCount; rankIndex++) {
    const url = new URL("./control_follower.ts", import.meta.url);
    const worker = new Worker(url, { type: "module" });
    const inbox: unknown[] = [];
    let wake: (() => void) | null = null;
    worker.onmessage = (event) => {
      inbox.push(event.data);
      wake?.();
    };
    const next = async () => {
      while (inbox.length === 0) await new Promise<void>((resolve) => wake = resolve);
      return inbox.shift();
    };
    worker.postMessage(
      { rankIndex, rankCount, control: buffer, marks } satisfies FollowerSetup,
    );
    followers.push({ worker, next });
  }
  for (const follower of followers) assertEquals(await follower.next(), "ready");
  const control = new Control(buffer, { ...SIZE, rankCount, leads: true });
  return { control, marks: new Int32Array(marks), followers };
}

Deno.test("Control.join() lets nobody pass before everybody's writes are visible", async () => {
  const { control, marks, followers } = await startFollowers(2);
  let joins = 0;
  let stale = 0;
  // Steps with no pause, with a spin's pause and with a sleep's pause between them.
  for (const [steps, pauseMs] of [[300, 0], [20, 1], [3, 20]]) {
    for (let i = 0; i < steps; i++) {
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      control.publish({ ...control.newStep(), kind: STEP_KIND_FORWARD, tokenCount: 7 });
      for (let join = 0; join < 7; join++) {
        marks[(joins % 2) * 3] = joins + 1;
        assert(control.join());
        for (let rank = 0; rank < 3; rank++) {
          if (marks[(joins % 2) * 3 + rank] !== joins + 1) stale++;
        }
        joins++;
      }
    }
  }
  control.publishExit();
  assertEquals(stale, 0);
  for (const follower of followers) assertEquals(await follower.next(), { stale: 0, joins });
});

Deno.test("Control.join() ends the step on all ranks at the same join after a cancel", async () => {
  const { control, marks, followers } = await startFollowers(2);
  let joins = 0;
  for (let i = 0; i < 200; i++) {
    let endedAt = -1;
    control.noticeCancels();
    control.publish({ ...control.newStep(), kind: STEP_KIND_FORWARD, tokenCount: 9 });
    for (let join = 0; join < 9; join++) {
      if (join === i % 9) control.cancel(0);
      marks[(joins % 2) * 3] = joins + 1;
      if (!control.join()) {
        endedAt = join;
        break;
      }
      joins++;
    }
    assertEquals(endedAt, i % 9);
  }
  control.publishExit();
  for (const follower of followers) assertEquals(await follower.next(), { stale: 0, joins });
});

Deno.test("Control.join() throws on a waiting rank when another one fails", () => {
  const buffer = new SharedArrayBuffer(4 * controlWords(SIZE));
  const control = new Control(buffer, { ...SIZE, rankCount: 2, leads: true });
  control.publish({ ...control.newStep(), kind: STEP_KIND_FORWARD, tokenCount: 1 });
  control.fail(1);
  assertThrows(() => control.join(), RankFailedError, "Rank 1");
});

Deno.test("Control.outputChanged() settles when ids are announced, and at once when they were", async () => {
  const buffer = new SharedArrayBuffer(4 * controlWords(SIZE));
  const control = new Control(buffer, { ...SIZE, rankCount: 1, leads: true });
  const version = control.outputVersion;
  const changed = control.outputChanged(version);
  control.outputIds(1)[0] = 42;
  control.setOutputCount(1, 1);
  control.announceOutput();
  await changed;
  assertEquals([control.outputCount(1), control.outputIds(1)[0]], [1, 42]);
  assertEquals(control.outputCount(0), 0);
  await control.outputChanged(version);
});

Deno.test("Control.join() runs on after a cancel where the step must not be aborted", () => {
  const buffer = new SharedArrayBuffer(4 * controlWords(SIZE));
  const control = new Control(buffer, { ...SIZE, rankCount: 1, leads: true });
  control.noticeCancels(false);
  control.cancel(1);
  assert(control.join());
  control.noticeCancels();
  assert(control.join(), "it is known");
  assertEquals([control.isCancelled(0), control.isCancelled(1)], [false, true]);
  control.openSlot(1);
  assert(!control.isCancelled(1));
  control.cancel(0);
  assert(!control.join());
});

/** What bounds are told while `run` waits: "paid" or "vain", and by which of them it is. */
function toldBy(run: () => void): { readonly what: string; readonly by: SpinBound }[] {
  const told: { what: string; by: SpinBound }[] = [];
  const { paid, vain } = SpinBound.prototype;
  SpinBound.prototype.paid = function () {
    told.push({ what: "paid", by: this });
    paid.call(this);
  };
  SpinBound.prototype.vain = function () {
    told.push({ what: "vain", by: this });
    vain.call(this);
  };
  try {
    run();
  } finally {
    Object.assign(SpinBound.prototype, { paid, vain });
  }
  return told;
}

Deno.test("Control learns from waits for steps and for joins how long to spin, apart", () => {
  const buffer = new SharedArrayBuffer(4 * controlWords(SIZE));
  const control = new Control(buffer, { ...SIZE, rankCount: 2, leads: false });
  const leader = new Control(buffer, { ...SIZE, rankCount: 2, leads: true });
  const step = control.newStep();
  // A step that comes after so many looks for it.
  const awaitAfter = (looks: number) =>
    toldBy(() => {
      const { load } = Atomics;
      let left = looks;
      Object.assign(Atomics, {
        load: (words: Int32Array, word: number) => {
          if (--left === 0) leader.publish({ ...step, kind: STEP_KIND_FORWARD });
          return load(words, word);
        },
      });
      try {
        control.awaitStep(step);
      } finally {
        Object.assign(Atomics, { load });
      }
    });
  assertEquals(awaitAfter(SHORT_PROBES), []);
  const [paid] = awaitAfter(SHORT_PROBES + 10);
  assertEquals(paid.what, "paid");
  leader.fail(1);
  const [stepped] = toldBy(() => assertThrows(() => control.awaitStep(step), RankFailedError));
  const [joined] = toldBy(() => assertThrows(() => control.join(), RankFailedError));
  assertEquals([stepped.what, joined.what], ["vain", "vain"]);
  assert(stepped.by === paid.by && joined.by !== paid.by);
});
