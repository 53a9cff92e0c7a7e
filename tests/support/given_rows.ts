/** Prompts with rows of their own in place of embeddings, and what a model makes of them. */
import { check } from "../../src/base/check.ts";
import { type GivenSpan, givenSpans } from "../../src/engine/given_spans.ts";
import { StepRunner } from "../../src/engine/step_runner.ts";
import type { GivenRows } from "../../src/engine/types.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { STEP_KIND_FORWARD } from "../../src/memory/control_layout.ts";
import { describeModel } from "../../src/model/mod.ts";
import { givenWidth } from "../../src/model/given_width.ts";
import type { RankRunner } from "../../src/rank/open_rank.ts";
import type { ReferenceModel } from "../../src/reference/forward.ts";
import type { ReferenceGiven } from "../../src/reference/given_rows.ts";
import { argmax } from "../../src/reference/ops.ts";
import { ReferenceWeights } from "../../src/reference/weights.ts";
import { Rng } from "./rng.ts";

export interface GivenPrompt {
  readonly ids: readonly number[];
  readonly given: readonly GivenRows[];
}

/** Rows that stand for ids: their embeddings, as large as the model makes those. */
export function embeddingsOf(path: string, ids: readonly number[]): Float32Array {
  const file = openGguf(path);
  const { config, tensors: { tokenEmbedding } } = describeModel(file);
  const { embeddingLength: width, embeddingScale, scalesGiven } = config;
  const scale = scalesGiven ? 1 : Math.fround(embeddingScale);
  const tensors = new Map([[tokenEmbedding.tensor, file.tensors.get(tokenEmbedding.tensor)!]]);
  const table = new ReferenceWeights({ ...file, tensors }).matrix(tokenEmbedding);
  return Float32Array.from(
    { length: ids.length * width },
    (_, i) => table[ids[Math.floor(i / width)] * width + i % width] * scale,
  );
}

/** The ids from `from` on to before `to` are rows, which are their embeddings. */
export function asRows(
  path: string,
  ids: readonly number[],
  [from, to]: readonly [from: number, to: number],
): GivenPrompt {
  const values = embeddingsOf(path, ids.slice(from, to));
  const rows = { firstId: -7, values, seesAll: false, grid: null };
  const own = idsOf(rows, values.length / (to - from));
  return { ids: [...ids.slice(0, from), ...own, ...ids.slice(to)], given: [rows] };
}

/** Rows of an image that nobody took, as large as rows of embeddings are. */
export function someRows(
  seed: number,
  { count, width, size = 0.3 }: { count: number; width: number; size?: number },
): Float32Array {
  const rng = new Rng(seed);
  return Float32Array.from({ length: count * width }, () => size * (2 * rng.float() - 1));
}

/** Ids of given rows, in order. */
export function idsOf({ firstId, values }: GivenRows, width: number): number[] {
  return Array.from({ length: values.length / width }, (_, k) => firstId - k);
}

/** The same prompt as the reference takes it. */
export function referenceOf({ ids, given }: GivenPrompt, width: number): ReferenceGiven {
  const spans = givenSpans(ids, given, width);
  const rows = new Map(
    given.flatMap((each) =>
      idsOf(each, width).map((id, k) =>
        [id, each.values.subarray(k * width, (k + 1) * width)] as const
      )
    ),
  );
  return {
    rows,
    ...{ positions: positionsOf(ids.length, spans), axes: 4 },
    bothWays: spans.filter((span) => span.seesAll),
  };
}

/** The ids that the reference chooses behind a prompt, the likeliest ones. */
export function referenceIds(
  exact: ReferenceModel,
  { ids, given }: GivenPrompt,
  count: number,
): number[] {
  const { vocabSize } = exact.config;
  const width = givenWidth(exact.config);
  const known = [...ids];
  for (let computed = 0; known.length < ids.length + count;) {
    const some = known.slice(computed);
    const logits = exact.forward(some, computed, referenceOf({ ids: known, given }, width));
    computed += some.length;
    known.push(argmax(logits.subarray(-vocabSize)));
  }
  return known.slice(ids.length);
}

/** Counted as the model's authors do: on from the largest position so far. */
function positionsOf(count: number, spans: readonly GivenSpan[]): number[] {
  const positions: number[] = [];
  let next = 0;
  let number = 0;
  for (let index = 0; index < count;) {
    const span = spans.find(({ start }) => start === index);
    const { rows, columns } = span?.grid ?? { rows: 1, columns: 1 };
    if (span?.grid?.isFramed) {
      const text = (at: number) => [at, at, at, at];
      positions.push(...text(next++));
      for (let place = 0; place < rows * columns; place++, next++) {
        positions.push(next, Math.floor(place / columns), place % columns, number);
      }
      positions.push(...text(next++));
      index += rows * columns + 2;
      number++;
      continue;
    }
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, index++) {
        positions.push(next, next + row, next + column, next);
      }
    }
    next += Math.max(rows, columns);
  }
  return positions;
}

/**
 * Logits of the rows of a prompt, [rows, vocab], in steps that end before the indices `cuts`, each
 * of no more rows than a step gives logits of.
 */
export function stepLogits(
  runner: RankRunner,
  { ids, given }: GivenPrompt,
  cuts: readonly number[] = [],
): Float32Array {
  const { plan: { logitsRows, statePlaces }, setup: { config } } = runner;
  const steps = new StepRunner(runner);
  const spans = givenSpans(ids, given, givenWidth(config));
  const logits = new Float32Array(ids.length * config.vocabSize);
  runner.given.add(given);
  for (let i = 0; i * 32 < ids.length; i++) steps.setBlock(0, i, i);
  let from = 0;
  let place = -1;
  for (const end of [...cuts, ids.length]) {
    for (; from < end;) {
      const rows = Math.min(end - from, logitsRows);
      steps.begin(STEP_KIND_FORWARD);
      const to = place === 0 ? 1 : 0;
      const states = statePlaces > 0 ? { from: place, to } : undefined;
      steps.add({ slot: 0, ids, spans }, from, rows, rows, states);
      place = to;
      check(steps.run(), "a step that nobody cancels");
      for (let t = 0; t < rows; t++) {
        logits.set(steps.gatherRow(t), (from + t) * config.vocabSize);
      }
      from += rows;
    }
  }
  runner.given.remove(given);
  return logits;
}
