/** What a tower's last part loads, in the order of the file. */
import type { ProjectorPlan } from "../plan/plan_projector.ts";
import type { ResamplerPlan } from "../plan/plan_resampler.ts";
import type { WindowQueriesPlan } from "../plan/plan_window_queries.ts";
import { type Part, partsOf, partsOfNorm } from "./parts.ts";

/** Of a projector, and what resamples before it. */
export function* partsOfProjector(
  { rowStages, stages, standard, resampler, windowQueries, layerQueries, convolutions, ...plan }:
    ProjectorPlan,
): Generator<Part> {
  const { fold, last, deep } = plan;
  if (resampler !== null) yield* partsOfResampler(resampler);
  if (windowQueries !== null) yield* partsOfWindowQueries(windowQueries);
  for (const { norm, positions, ...queries } of layerQueries) {
    yield* [...partsOfNorm(norm), ...partsOf(positions), ...partsOfWindowQueries(queries)];
  }
  for (const { matrix, norm } of convolutions?.kernels ?? []) {
    yield* [...partsOf(matrix), ...partsOfNorm(norm)];
  }
  if (standard !== null) yield* [{ vector: standard.mean }, { vector: standard.gains }];
  for (const { matrix, norm } of [...rowStages, ...stages]) {
    yield* [...partsOf(matrix), ...partsOfNorm(norm)];
  }
  const all = fold === null ? [last, ...deep] : [fold, last, ...deep];
  for (const { norm, first, gate, hiddenNorm, second, frame, channels } of all) {
    if (channels !== null) yield* [{ vector: channels.kernels }, { vector: channels.bias }];
    const { lineEnd, begin, end } = frame ?? {};
    for (const vector of [lineEnd, begin, end]) if (vector) yield { vector };
    for (const each of [norm, hiddenNorm, frame?.norm ?? null]) yield* partsOfNorm(each);
    yield* partsOf(first);
    if (gate !== null) yield* partsOf(gate);
    if (second !== null) yield* partsOf(second);
  }
}

function* partsOfResampler(plan: ResamplerPlan): Generator<Part> {
  yield { vector: plan.queries };
  for (const norm of [plan.queryNorm, plan.inputNorm]) yield* partsOfNorm(norm);
  for (const matrix of [plan.input, plan.query, plan.key, plan.value, plan.output]) {
    yield* partsOf(matrix);
  }
}

function* partsOfWindowQueries({ queries, queryNorm, blocks }: WindowQueriesPlan): Generator<Part> {
  yield* [...partsOf(queries), ...partsOfNorm(queryNorm)];
  for (const { own, window, first, second, norm } of blocks) {
    for (const { query, key, value, output, norm: each } of [own, window]) {
      for (const matrix of [query, key, value, output]) yield* partsOf(matrix);
      yield* partsOfNorm(each);
    }
    yield* [...partsOf(first), ...partsOf(second), ...partsOfNorm(norm)];
  }
}
