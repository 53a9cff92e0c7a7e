/**
 * What a model's guessing block says, against formulas: prompts, rows behind them, and guesses that
 * are made of guesses; alone and with a second rank, with dead intermediates overwritten.
 */
import "../support/thread_pool.ts";
import { assertEquals, assertLess } from "@std/assert";
import { StepRunner } from "../../src/engine/step_runner.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { STEP_KIND_FORWARD, STEP_KIND_GUESS } from "../../src/memory/control_layout.ts";
import { describeModel } from "../../src/model/mod.ts";
import { ReferenceGuess } from "../../src/reference/guess.ts";
import { nmse } from "../support/compare.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { openRunner } from "../support/poisoned_rank.ts";
import type { TinyModelName } from "../support/tiny_model.ts";

const IDS = [17, 400, 23, 99, 256, 31, 7];
/** Rows that are read at once, and those behind them. */
const FIRST = 5;

/** Logits of guesses behind each of the ids but the first, and behind two guesses more. */
async function guessed(path: string, rankCount: number): Promise<Float32Array[]> {
  const file = openGguf(path);
  const model = describeModel(file, { guesses: true });
  const { runner } = await openRunner({ file, model }, { rankCount }, { poisons: true });
  const steps = new StepRunner(runner);
  for (let i = 0; i < 2; i++) steps.setBlock(0, i, i);
  const kept = runner.kept!;
  const { strides: { embedding: stride }, statePlaces } = runner.plan;
  const logits: Float32Array[] = [];
  const guess = (ids: readonly number[], from: number) => {
    steps.begin(STEP_KIND_GUESS);
    ids.forEach((id, t) => {
      steps.ids[t] = id;
      kept.use(t, 0, from + t - 1);
    });
    steps.addAt(0, from, ids.length, ids.length);
    assertEquals(steps.run(), true);
    const last = { slot: 0, position: from + ids.length - 1, count: 1 };
    kept.keep(last, runner.lastRows(), ids.length - 1, stride);
    for (let row = 0; row < ids.length; row++) logits.push(steps.gatherRow(row).slice());
  };
  kept.clear(0);
  let place = -1;
  for (const [from, end] of [[0, FIRST], [FIRST, IDS.length - 1]]) {
    steps.begin(STEP_KIND_FORWARD);
    const to = statePlaces === 0 ? 0 : (place + 1) % statePlaces;
    steps.add({ slot: 0, ids: IDS, spans: [] }, from, end - from, 1, { from: place, to });
    place = to;
    assertEquals(steps.run(), true);
    const rows = { slot: 0, position: from, count: end - from };
    kept.keep(rows, runner.lastRows(), 0, stride);
    guess(IDS.slice(from === 0 ? 0 : from + 1, end + 1), from === 0 ? 0 : from + 1);
  }
  guess([300], IDS.length);
  guess([301], IDS.length + 1);
  runner.control.publishExit();
  return logits;
}

/** The same by formulas. */
function expected(path: string): Float32Array[] {
  const file = openGguf(path);
  const reference = new ReferenceGuess(file);
  const d = describeModel(file).config.embeddingLength;
  const { rows } = reference.forward(IDS.slice(0, -1));
  const before = new Float64Array(IDS.length * d);
  before.set(rows, d);
  const made = [reference.guess(IDS, 0, before)];
  for (const [i, id] of [300, 301].entries()) {
    const last = made[made.length - 1].rows.slice(-d);
    made.push(reference.guess([id], IDS.length + i, last));
  }
  return made.flatMap(({ logits }) => {
    const vocab = logits.length / (made[0].logits === logits ? IDS.length : 1);
    return Array.from({ length: logits.length / vocab }, (_, t) => {
      return logits.subarray(t * vocab, (t + 1) * vocab);
    });
  });
}

const CASES: readonly (readonly [TinyModelName, number])[] = [
  ["deepseek2", 1],
  ["glm4moe", 2],
  ["qwen35", 2],
  ["qwen3next", 1],
];

for (const [architecture, rankCount] of CASES) {
  Deno.test(`a guessing block of ${architecture} says what formulas do, ${rankCount} ranks`, () =>
    withTinyFile({ architecture, changes: { guesses: true } }, async (path) => {
      const made = await guessed(path, rankCount);
      const right = expected(path);
      assertEquals(made.length, IDS.length + 2);
      made.forEach((logits, i) => assertLess(nmse(logits, right[i]), 1e-10, `row ${i}`));
    }));
}
