/** Which guesses go into a step, by what they promise and what rows cost. */
import { assertEquals, assertGreater } from "@std/assert";
import type { DraftModel } from "../../../src/engine/drafts/draft_model.ts";
import type { DraftedText, Drafter, Drafts, Speculate } from "../../../src/engine/drafts/drafts.ts";
import { Speculation } from "../../../src/engine/drafts/speculation.ts";
import { StepTimes } from "../../../src/engine/step_times.ts";
import { Scheduler } from "../../../src/engine/scheduler.ts";
import type { Sequence } from "../../../src/engine/sequence.ts";

/** Guesses whatever it is told to, by slot. */
class Guesser implements Drafter {
  readonly learnt: unknown[] = [];
  readonly #odds: readonly (readonly number[])[];

  constructor(odds: readonly (readonly number[])[]) {
    this.#odds = odds;
  }

  open(): void {}

  propose({ slot }: DraftedText, most: number, drafts: Drafts): void {
    const odds = this.#odds[slot].slice(0, most);
    drafts.odds.set(odds);
    drafts.ids.set(odds.map((_, i) => 100 + i));
    drafts.count = odds.length;
  }

  learn(slot: number, _drafts: Drafts, counts: { seen: number; right: number }): void {
    this.learnt.push({ slot, ...counts });
  }
}

/** As much of a sequence as is looked at. */
function sequenceIn(slot: number, { prompt = 3, known = 4, maxTokens = 100 } = {}): Sequence {
  const computed = known > prompt ? known - 1 : 0;
  const sequence = {
    ...{ slot, known, maxTokens, priority: 0, ids: new Int32Array(200), spans: [] },
    computed,
    ...{ wholeRows: 0, freeRows: known - computed },
    isGenerating: known > prompt,
    answered: known - prompt,
  };
  return sequence as unknown as Sequence;
}

/** A draft model that guesses so many, as many as it may at most. */
class ModelGuesser extends Guesser {
  readonly guessMs = 0;
  readonly asked: number[] = [];
  /** Of the first guess, which reads what has come. */
  readMs = 0;

  costMs(): number {
    return this.readMs;
  }

  override propose(text: DraftedText, most: number, drafts: Drafts): void {
    this.asked.push(most);
    super.propose(text, most, drafts);
    drafts.ids.fill(200, 0, drafts.count);
  }

  chanceOf(): number {
    return 0.9;
  }

  follow(): void {}
}

interface Case {
  readonly odds: readonly (readonly number[])[];
  readonly speculate?: Speculate;
  readonly sequences?: readonly Sequence[];
  /** Milliseconds of steps by rows. */
  readonly times?: Readonly<Record<number, number>>;
  readonly chunkTokens?: number;
  readonly model?: ModelGuesser;
}

/** As often as is needed to be believed. */
function addTimes(times: StepTimes, rows: number, ms: number): void {
  for (let i = 0; i < 4; i++) times.add(rows, ms);
}

/** Plans a step; returns rows by sequence. */
function prepare(
  { odds, speculate = "auto", sequences, times = {}, chunkTokens = 64, model }: Case,
) {
  const guesser = new Guesser(odds);
  const of = sequences ?? odds.map((_, slot) => sequenceIn(slot));
  const stepTimes = new StepTimes(chunkTokens);
  const speculation = new Speculation({ lookup: guesser, model: model as unknown as DraftModel }, {
    slots: of.length,
    speculate,
    times: stepTimes,
  });
  for (const [rows, ms] of Object.entries(times)) addTimes(stepTimes, Number(rows), ms);
  const scheduler = new Scheduler<Sequence>({
    ...{ chunkTokens, logitsRows: Math.min(16, chunkTokens), takesTurns: false },
  });
  for (const sequence of of) scheduler.add(sequence);
  scheduler.admit(() => "in");
  const step = () => {
    scheduler.plan();
    speculation.extend(scheduler);
    return scheduler.rows.slice(0, scheduler.count);
  };
  return { step, speculation, guesser, times: stepTimes, sequences: of };
}

const SURE = Array<number>(7).fill(0.99);
const VAGUE = Array<number>(7).fill(0.2);
/** A machine that four rows cost less than twice of one, and eight nearly three times. */
const TIMES = { 1: 30, 4: 50, 8: 82, 16: 158 };

Deno.test("Speculation.extend() gives a sure sequence what its time is worth, a vague one nothing", () => {
  assertEquals(prepare({ odds: [SURE], times: TIMES }).step(), [8]);
  assertEquals(prepare({ odds: [Array(7).fill(0.7)], times: TIMES }).step(), [4]);
  assertEquals(prepare({ odds: [VAGUE], times: TIMES }).step(), [1]);
  assertEquals(prepare({ odds: [[]], times: TIMES }).step(), [1]);
});

Deno.test("Speculation.extend() does not guess where rows cost as much as steps", () => {
  assertEquals(prepare({ odds: [SURE], times: { 1: 30, 8: 240 } }).step(), [1]);
});

Deno.test("Speculation.extend() waits until the time of a step is known", () => {
  const { step, times } = prepare({ odds: [SURE] });
  assertEquals(step(), [1]);
  addTimes(times, 64, 480);
  assertEquals(step(), [1], "of a long one only");
  addTimes(times, 1, 30);
  assertGreater(step()[0], 1);
});

Deno.test("Speculation.extend() prefers the likeliest guesses of a batch", () => {
  const cheap = { 1: 30, 16: 40 };
  const sequences = [sequenceIn(0), sequenceIn(1), sequenceIn(2)];
  const rows = prepare({ odds: [VAGUE, SURE, SURE], sequences, times: cheap }).step();
  assertEquals(rows, [1, 8, 7], "the sure ones share what the step has room for");
});

Deno.test("Speculation.extend() of a number adds so many whatever they cost", () => {
  assertEquals(prepare({ odds: [VAGUE], speculate: 3 }).step(), [4]);
  assertEquals(prepare({ odds: [[0.1, 0.1]], speculate: 3 }).step(), [3]);
});

Deno.test("Speculation.extend() guesses no id behind the answer's last one", () => {
  const sequences = [sequenceIn(0, { known: 10, maxTokens: 9 })];
  assertEquals(prepare({ odds: [SURE], speculate: 7, sequences }).step(), [2]);
  const last = [sequenceIn(0, { known: 10, maxTokens: 8 })];
  assertEquals(prepare({ odds: [SURE], speculate: 7, sequences: last }).step(), [1]);
});

Deno.test("Speculation.extend() leaves prompts their room, and keeps to the step's", () => {
  const prompt = () => sequenceIn(1, { prompt: 60, known: 60 });
  const both = { odds: [SURE, []], speculate: 7 } as const;
  assertEquals(prepare({ ...both, sequences: [sequenceIn(0), prompt()] }).step(), [4, 60]);
  const tight = { ...both, chunkTokens: 32, sequences: [sequenceIn(0), prompt()] };
  assertEquals(prepare(tight).step(), [1, 31]);
  const eight = Array.from({ length: 8 }, (_, slot) => sequenceIn(slot));
  const odds = eight.map(() => SURE);
  const rows = prepare({ odds, speculate: 7, sequences: eight }).step();
  assertEquals(rows.reduce((sum, each) => sum + each), 16, "rows with logits are few");
});

Deno.test("Speculation.extend() puts guesses behind the known ids", () => {
  const { step, sequences } = prepare({ odds: [SURE], speculate: 3 });
  step();
  assertEquals([...sequences[0].ids.subarray(3, 8)], [0, 100, 101, 102, 0]);
});

Deno.test("Speculation.extend() keeps what was looked up where the model guesses nothing", () => {
  const guess = (model: ModelGuesser) => {
    const { step, speculation, guesser, sequences } = prepare({
      ...{ odds: [VAGUE], speculate: 3, model },
    });
    const rows = step();
    const [sequence] = sequences;
    const ids = [...sequence.ids.subarray(sequence.known, sequence.known + 3)];
    sequence.known++;
    speculation.learn(sequence, sequence.known - 1);
    return { rows, ids, learnt: [guesser.learnt.length, model.learnt.length] };
  };
  assertEquals(guess(new ModelGuesser([[]])), { rows: [4], ids: [100, 101, 102], learnt: [1, 0] });
  assertEquals(guess(new ModelGuesser([SURE])), {
    ...{ rows: [4], ids: [200, 200, 200], learnt: [0, 1] },
  });
});

Deno.test("Speculation.extend() asks no model about rows that were given", () => {
  const model = new ModelGuesser([SURE]);
  const sequences = [Object.assign(sequenceIn(0), { spans: [{ start: 0, end: 2 }] })];
  assertEquals(prepare({ odds: [VAGUE], speculate: 3, sequences, model }).step(), [4]);
  assertEquals(model.asked, []);
});

Deno.test("Speculation.extend() asks the model for no more than the step has rows for", () => {
  const model = new ModelGuesser([SURE]);
  assertEquals(prepare({ odds: [[]], speculate: 7, chunkTokens: 4, model }).step(), [4]);
  assertEquals(model.asked, [3]);
});

Deno.test("Speculation.extend() reckons with what the model has to read first", () => {
  const asks = (readMs: number) => {
    const model = Object.assign(new ModelGuesser([SURE]), { readMs });
    const { step } = prepare({ odds: [[]], times: TIMES, model });
    return [step()[0] > 1, model.asked.length];
  };
  assertEquals(asks(5), [true, 1]);
  // Eight ids in 82 ms and this: no more a second than one in 30.
  assertEquals(asks(200), [false, 0]);
});

Deno.test("Speculation.extend() asks a model that is behind until it has guessed", () => {
  const model = Object.assign(new ModelGuesser([[]]), { readMs: 200 });
  const { step } = prepare({ odds: [[]], times: TIMES, model });
  for (let i = 0; i < 66; i++) step();
  assertEquals(model.asked.length, 3, "it reads in the 64th step and in those after it");
  for (let i = 66; i < 200; i++) step();
  assertEquals(model.asked.length, 2 * 16, "one that never guesses is left alone");
  const guesses = Object.assign(new ModelGuesser([VAGUE]), { readMs: 200 });
  const other = prepare({ odds: [[]], times: TIMES, model: guesses });
  for (let i = 0; i < 200; i++) other.step();
  assertEquals(guesses.asked.length, 3, "once in a while");
});

Deno.test("Speculation.extend() tries guesses that did not pay once in a while", () => {
  const { step, times } = prepare({ odds: [VAGUE], times: TIMES });
  const rows = Array.from({ length: 130 }, () => step()[0]);
  assertEquals(rows.filter((each) => each > 1), [4, 4]);
  // The machine has become better at it.
  for (let i = 0; i < 60; i++) times.add(4, 31);
  assertEquals(step(), [3]);
});

Deno.test("Speculation.extend() looks what a plain step takes once in a while", () => {
  const { step } = prepare({ odds: [SURE], times: TIMES });
  const rows = Array.from({ length: 130 }, () => step()[0]);
  assertEquals(rows.filter((each) => each === 1).length, 2);
});

Deno.test("Speculation.learn() compares guesses with what came, in the step or not", () => {
  const { step, speculation, guesser, sequences: [sequence] } = prepare({ odds: [SURE] });
  step();
  sequence.ids.set([100, 101, 7], sequence.known);
  sequence.known += 3;
  speculation.learn(sequence, sequence.known - 3);
  assertEquals(guesser.learnt, [{ slot: 0, seen: 3, right: 2 }]);
  speculation.learn(sequence, sequence.known - 3);
  assertEquals(guesser.learnt.length, 1, "once");
});
