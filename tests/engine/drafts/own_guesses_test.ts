/**
 * What a model's own block guesses behind a text, against formulas: the rows that steps leave come
 * to it, wrong guesses are written over, and texts that it follows in pieces are one text to it.
 */
import { assertEquals, assertLess } from "@std/assert";
import { Drafts } from "../../../src/engine/drafts/drafts.ts";
import { OwnGuesses } from "../../../src/engine/drafts/own_guesses.ts";
import type { Scheduler } from "../../../src/engine/scheduler.ts";
import type { Sequence } from "../../../src/engine/sequence.ts";
import { Leader } from "../../../src/engine/leader.ts";
import { StepRunner } from "../../../src/engine/step_runner.ts";
import type { KeptSpan } from "../../../src/rank/blocks/kept_rows.ts";
import { list, openGguf } from "../../../src/gguf/mod.ts";
import { STEP_KIND_FORWARD } from "../../../src/memory/control_layout.ts";
import { describeModel } from "../../../src/model/mod.ts";
import { ReferenceGuess } from "../../../src/reference/guess.ts";
import { answerNow } from "../../support/answer_now.ts";
import { nmse } from "../../support/compare.ts";
import { withTinyFile } from "../../support/loaded_model.ts";
import { openRunner } from "../../support/poisoned_rank.ts";
import type { TinyFamily } from "../../support/tiny_family.ts";
import { TINY_MODELS, TINY_PROMPT, type TinyModelName } from "../../support/tiny_model.ts";

const CONTEXT = 64;

/** The likeliest ids behind a text, one behind the other, by formulas. */
function guessesOf(path: string, ids: readonly number[], count: number): number[] {
  const file = openGguf(path);
  const reference = new ReferenceGuess(file);
  const { rows } = reference.forward(ids.slice(0, -1));
  const d = rows.length / (ids.length - 1);
  const before = new Float64Array(ids.length * d);
  before.set(rows, d);
  let made = reference.guess(ids, 0, before);
  const guesses: number[] = [];
  for (let n = 0; n < count; n++) {
    const logits = made.logits.subarray(made.logits.length - describeModel(file).config.vocabSize);
    guesses.push(logits.indexOf(Math.max(...logits)));
    made = reference.guess(guesses.slice(-1), ids.length + n, made.rows.slice(-d));
  }
  return guesses;
}

/** A model's ranks with its own guesses. */
function openGuessing(path: string) {
  const file = openGguf(path);
  const options = { contextLength: CONTEXT, sequences: 2 };
  const of = { file, model: describeModel(file, { guesses: true }) };
  return openRunner(of, options, { poisons: true });
}

for (const architecture of ["glm4moe", "mimo2"] as const satisfies readonly TinyModelName[]) {
  Deno.test(`OwnGuesses.propose() guesses what formulas do, of a ${architecture}`, () =>
    withTinyFile({ architecture, changes: changesOf(architecture) }, async (path) => {
      const { runner } = await openGuessing(path);
      const steps = new StepRunner(runner);
      for (let i = 0; i < 2; i++) steps.setBlock(1, i, i);
      const grown: number[] = [];
      const own = new OwnGuesses(steps, (_, positions) => grown.push(positions));
      const ids = new Int32Array(CONTEXT);
      ids.set(TINY_PROMPT.slice(0, 40));
      const text = { slot: 1, ids, known: 36 };
      let computed = 0;
      const compute = (rows: number) => {
        steps.begin(STEP_KIND_FORWARD);
        steps.add({ slot: 1, ids, spans: [] }, computed, rows, 1);
        assertEquals(steps.run(), true);
        const sequences = [{ slot: 1, computed }];
        own.keep({ sequences, rows: [rows], count: 1 } as unknown as Scheduler<Sequence>);
        computed += rows;
      };
      const propose = (most: number) => {
        const drafts = new Drafts();
        own.propose(text, most, drafts);
        const guesses = [...drafts.ids.subarray(0, drafts.count)];
        assertEquals(guesses, guessesOf(path, [...ids.subarray(0, text.known)], most));
      };
      own.open(1, 0);
      compute(24);
      own.follow(text, computed);
      assertEquals(grown, [24], "no more than a step has rows");
      compute(11);
      propose(3);
      // Other ids come than were guessed; the step had computed some of the guesses.
      ids.set(TINY_PROMPT.slice(36, 40), 36);
      compute(3);
      computed = 37;
      text.known = 38;
      propose(2);
      propose(1);
      runner.control.publishExit();
    }));
}

Deno.test("OwnGuesses.follow() comes up to a text of which a step was not followed", () =>
  withTinyFile({ architecture: "glm4moe", changes: { guesses: true } }, async (path) => {
    const { runner } = await openGuessing(path);
    const steps = new StepRunner(runner);
    const grown: number[] = [];
    const own = new OwnGuesses(steps, (_, positions) => grown.push(positions));
    const ids = new Int32Array(CONTEXT);
    ids.set(TINY_PROMPT.slice(0, 49));
    own.open(0, 0);
    own.follow({ slot: 0, ids, known: 49 }, 48);
    assertEquals(grown, [24, 48], "rows that are left behind would be lost step by step");
    runner.control.publishExit();
  }));

Deno.test("OwnGuesses.keep() has a step's rows made once, of however many sequences they are", () => {
  const rows = new Float32Array(8), kept: string[] = [];
  let made = 0;
  const runner = {
    plan: { contextLength: 64, chunkTokens: 8, sequences: 3, strides: { embedding: 4 } },
    kept: {
      tokens: null,
      keep: ({ slot, position, count }: KeptSpan, from: Float32Array, first: number) =>
        kept.push(`${slot}: ${position} + ${count}, row ${first} of ${from.length}`),
    },
    lastRows: () => (made++, rows),
  };
  const own = new OwnGuesses({ runner, board: {} } as unknown as StepRunner, () => {});
  const sequences = [{ slot: 2, computed: 5 }, { slot: 0, computed: 9 }];
  own.keep({ sequences, rows: [3, 1], count: 2 } as unknown as Scheduler<Sequence>);
  assertEquals(kept, ["2: 5 + 3, row 0 of 8", "0: 9 + 1, row 3 of 8"]);
  assertEquals(made, 1);
});

Deno.test("Leader.step() keeps the last rows of each step for guesses", () =>
  withTinyFile({ architecture: "glm4moe", changes: { guesses: true } }, async (path) => {
    const file = openGguf(path);
    const model = describeModel(file, { guesses: true });
    const { runner } = await openRunner({ file, model }, {}, { poisons: false });
    const ids = TINY_PROMPT.slice(0, 30);
    const request = { ids, maxTokens: 1, sampling: { temperature: 0 }, endIds: [] };
    answerNow(new Leader(runner, { speculate: 3 }), request);
    const { rows } = new ReferenceGuess(file).forward(ids);
    const d = rows.length / ids.length;
    const row = new Float32Array(d);
    for (const position of [0, 23, 24, 29]) {
      runner.kept!.use(0, 0, position);
      runner.kept!.put(0, row, 0);
      assertLess(
        nmse(row, Float32Array.from(rows.subarray(position * d, (position + 1) * d))),
        1e-10,
      );
    }
    runner.control.publishExit();
  }));

/** The block of a MiMo V2 is dense and windowed, and its rows are plain. */
function changesOf(architecture: TinyModelName): Partial<TinyFamily> {
  if (architecture !== "mimo2") return { guesses: true };
  const each = (...of: number[]) => list(Int32Array.from(of));
  return {
    guesses: "dense",
    keys: {
      ...TINY_MODELS.mimo2.keys,
      "attention.head_count": each(4, 4, 4, 4, 4),
      "attention.head_count_kv": each(2, 4, 2, 4, 4),
      "feed_forward_length": each(96, 96, 96, 96, 96),
      "attention.sliding_window_pattern": each(0, 1, 0, 1, 1),
    },
  };
}
