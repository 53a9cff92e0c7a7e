/**
 * What a model says that guesses with another one's rows (EAGLE-3), against formulas: prompts, rows
 * behind them, and guesses that are made of guesses; alone and with a second rank, with dead
 * intermediates overwritten, in every form that files have.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess } from "@std/assert";
import { StepRunner } from "../../src/engine/step_runner.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import {
  STEP_KIND_DRAFT,
  STEP_KIND_FORWARD,
  STEP_KIND_GUESS,
} from "../../src/memory/control_layout.ts";
import { describeFused, describeModel } from "../../src/model/mod.ts";
import { ReferenceFusion } from "../../src/reference/fusion.ts";
import { nmse } from "../support/compare.ts";
import { withFile, withTinyFile } from "../support/loaded_model.ts";
import { openRunner } from "../support/poisoned_rank.ts";
import { tinyEagle, type TinyEagleOptions } from "../support/tiny_eagle.ts";
import { TINY_PROMPT, type TinyModelOptions } from "../support/tiny_model.ts";

/** Of two blocks of keys and values. */
const IDS = TINY_PROMPT.slice(0, 40);
const OTHER_IDS = [9, 8, 7, 6];
/** Rows that are read at once, and those behind them. */
const FIRST = 22;
/** Of which so many, the last ones, are looked at. */
const SEEN = 5;
/** Ids that are guessed behind them. */
const CHAIN = [300, 301];

/** Logits behind ids, at the end of each step, and behind two guesses more. */
async function guessed(
  path: string,
  draftPath: string,
  rankCount: number,
): Promise<Float32Array[]> {
  const file = openGguf(path), model = describeModel(file);
  const beside = describeFused(openGguf(draftPath), { file, config: model.config }, 64);
  const how = { poisons: true };
  const opened = await openRunner({ file, model }, { rankCount, sequences: 2 }, how, beside);
  const { runner, draft } = opened;
  assert(draft !== undefined);
  const steps = new StepRunner(runner), guesses = steps.beside = new StepRunner(draft);
  // Not where they would be by default.
  for (let i = 0; i < 2; i++) steps.setBlock(1, i, 3 - i);
  const kept = draft.kept!;
  const logits: Float32Array[] = [];
  const run = (ids: readonly number[], from: number) => {
    ids.forEach((id, t) => guesses.ids[t] = id);
    const wanted = Math.min(ids.length, SEEN);
    guesses.addAt(1, from, ids.length, wanted);
    assertEquals(guesses.run(), true);
    kept.carry(draft.lastRows(), ids.length - 1, draft.plan.strides.embedding);
    for (let row = 0; row < wanted; row++) logits.push(guesses.gatherRow(row).slice());
  };
  kept.clear(1);
  for (const [from, end] of [[0, FIRST], [FIRST, IDS.length - 1]]) {
    steps.begin(STEP_KIND_FORWARD);
    // Rows of another text come before them.
    steps.add({ slot: 0, ids: OTHER_IDS, spans: [] }, from === 0 ? 0 : 2, 2, 1);
    steps.add({ slot: 1, ids: IDS, spans: [] }, from, end - from, 1);
    assertEquals(steps.run(), true);
    guesses.begin(STEP_KIND_DRAFT);
    for (let p = from; p < end; p++) kept.use(p - from, 1, p);
    run(IDS.slice(from + 1, end + 1), from);
  }
  CHAIN.forEach((id, i) => {
    guesses.begin(STEP_KIND_GUESS);
    run([id], IDS.length - 1 + i);
  });
  runner.control.publishExit();
  return logits;
}

/** The same by formulas. */
function expected(path: string, draftPath: string): Float32Array[] {
  const reference = new ReferenceFusion(openGguf(path), openGguf(draftPath));
  const { embeddingLength: d, vocabSize } = reference.description.config;
  const { rows } = reference.forward(IDS.slice(0, -1));
  const made = [reference.guess(IDS.slice(1), 0, reference.fuse(rows))];
  CHAIN.forEach((id, i) => {
    made.push(reference.guess([id], IDS.length - 1 + i, made[made.length - 1].rows.slice(-d)));
  });
  const all = made.flatMap(({ logits }) =>
    Array.from(
      { length: logits.length / vocabSize },
      (_, t) => logits.subarray(t * vocabSize, (t + 1) * vocabSize),
    )
  );
  const isSeen = (row: number, end: number) => row >= end - SEEN && row < end;
  return all.filter((_, row) => isSeen(row, FIRST) || row >= IDS.length - 1 - SEEN);
}

const TOKENS = Array.from({ length: 200 }, (_, i) => (i * 37 + 5) % 512);
const CASES: readonly (readonly [string, TinyModelOptions, TinyEagleOptions, number, number])[] = [
  ["the other model's embeddings and output", {}, {}, 1, 1e-10],
  ["a table that is both", { tied: true }, { layers: [1, 0, 2] }, 2, 1e-10],
  ["tokens that it lists", {}, { tokens: TOKENS, normalizesResidual: true }, 2, 1e-10],
  [
    "all of its own, of another width, with a norm of what it reads",
    { blockCount: 4 },
    {
      ...{ embeddingLength: 96, hasEmbedding: true, hasOutput: true, layers: [1, 2, 4] },
      ...{ normalizesInput: true, ropeFactors: true },
    },
    3,
    1e-10,
  ],
  [
    "quantised matrices, of a qwen3",
    { architecture: "qwen3", type: "Q8_0" },
    {
      ...{ type: "Q8_0", tokens: TOKENS },
    },
    2,
    4e-4,
  ],
];

for (const [name, form, options, rankCount, limit] of CASES) {
  Deno.test(`a fusion with ${name} says what formulas do, ${rankCount} ranks`, () =>
    withTinyFile(form, (path) =>
      withFile(tinyEagle(options), async (draftPath) => {
        const made = await guessed(path, draftPath, rankCount);
        const right = expected(path, draftPath);
        assertEquals(made.length, 2 * SEEN + CHAIN.length);
        assertEquals(right.length, made.length);
        made.forEach((logits, i) => assertLess(nmse(logits, right[i]), limit, `row ${i}`));
      })));
}

Deno.test("a fusion makes its row of zeros where those of the other model are not there", () =>
  withTinyFile({}, (path) =>
    withFile(tinyEagle(), async (draftPath) => {
      const file = openGguf(path), model = describeModel(file);
      const beside = describeFused(openGguf(draftPath), { file, config: model.config }, 64);
      const opened = await openRunner({ file, model }, {}, { poisons: true }, beside);
      const { runner, draft } = opened;
      assert(draft !== undefined);
      const steps = new StepRunner(runner), guesses = steps.beside = new StepRunner(draft);
      for (let i = 0; i < 2; i++) steps.setBlock(0, i, i);
      steps.begin(STEP_KIND_FORWARD);
      steps.add({ slot: 0, ids: IDS, spans: [] }, 0, FIRST, 1);
      assertEquals(steps.run(), true);
      // Rows of a step before are where those would be that are missing.
      const missing = [3, 4, FIRST - 1];
      const run = (isThere: (position: number) => boolean) => {
        guesses.begin(STEP_KIND_DRAFT);
        for (let p = 0; p < FIRST; p++) {
          guesses.ids[p] = IDS[p + 1];
          draft.kept!.use(p, 0, isThere(p) ? p : p + 40);
        }
        guesses.addAt(0, 0, FIRST, 1);
        assertEquals(guesses.run(), true);
        return guesses.gatherRow(0).slice();
      };
      run(() => true);
      const made = run((position) => !missing.includes(position));
      runner.control.publishExit();
      const reference = new ReferenceFusion(openGguf(path), openGguf(draftPath));
      const { embeddingLength: d, vocabSize } = reference.description.config;
      const { rows } = reference.forward(IDS.slice(0, FIRST));
      for (const position of missing) rows.fill(0, 3 * d * position, 3 * d * (position + 1));
      const right = reference.guess(IDS.slice(1, FIRST + 1), 0, reference.fuse(rows));
      assertLess(nmse(made, right.logits.slice(-vocabSize)), 1e-10);
    })));
