/**
 * What is kept beside the residual stream on a GPU that has all of a model, and what ends a pass
 * through layers that are used several times: src/rank/blocks/kept_streams.ts. Knows plans;
 * nothing of attention and neurons.
 */
import {
  addRows,
  headNorm,
  matchLengths,
  type ProgramBuilder,
  type Rows,
  weighRows,
} from "../../../gpu/mod.ts";
import { check } from "../../base/check.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { LayerPlan, RankPlan } from "../plan/plan_types.ts";
import { type GpuSpace, streamOf } from "./gpu_space.ts";
import type { GpuLoader } from "./gpu_weights.ts";
import { addNorm } from "./layer_operations.ts";
import { type GpuNorm, loadNorm } from "./layer_weights.ts";

/** What streams begin with. */
export interface KeptStart {
  /** A norm that gives the second one, whatever it reads; null: there is one. */
  readonly second: GpuNorm | null;
}

/** What a layer does with them when it ends. */
export interface LayerKept {
  /** f32 [1]: so much of the embedding is added; null: nothing is. */
  readonly embeddingScale: GPUBuffer | null;
  /** Null: it ends no pass. */
  readonly endNorm: GpuNorm | null;
  /** Which stream the pass makes; null: none. */
  readonly passEnd: 0 | 1 | null;
}

interface KeptPlace {
  readonly config: ModelConfig;
  readonly space: GpuSpace;
}

/** Null: nothing is kept. @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
export async function loadKeptStart(
  loader: GpuLoader,
  { secondStream }: RankPlan,
  { keptStreams, embeddingLength }: ModelConfig,
): Promise<KeptStart | null> {
  if (keptStreams === undefined) return null;
  if (secondStream === null) return { second: null };
  const [weight, bias] = [await loader.zeros(embeddingLength), await loader.vector(secondStream)];
  return { second: { weight, bias } };
}

/** Null: nothing. @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
export async function loadLayerKept(
  by: { loader: GpuLoader; config: ModelConfig; index: number },
  { embeddingScale, endNorm }: LayerPlan,
): Promise<LayerKept | null> {
  if (embeddingScale === null && endNorm === null) return null;
  return {
    embeddingScale: embeddingScale && await by.loader.vector(embeddingScale),
    endNorm: await loadNorm(by, endNorm),
    passEnd: by.config.layers[by.index].passEnd?.stream ?? null,
  };
}

/** to = from: as long as it is itself. */
function copyRows(
  builder: ProgramBuilder,
  { config: { embeddingLength: width } }: KeptPlace,
  { from, to }: { from: Rows; to: Rows },
): void {
  matchLengths(builder, { x: from, other: from, to, width });
}

/** The first stream is the embedding; of two, layers begin with the sum. */
export function startKept(
  builder: ProgramBuilder,
  { second }: KeptStart,
  place: KeptPlace,
): void {
  const { config, space } = place;
  const { residual } = space;
  copyRows(builder, place, { from: residual, to: streamOf(space, 0) });
  if (second === null) return;
  const to = streamOf(space, 1);
  addNorm(builder, config, second, { from: residual, to });
  addRows(builder, { x: to, to: residual, width: config.embeddingLength });
}

/** At a layer's end: the embedding is added, or a pass is over. */
export function endKept(
  builder: ProgramBuilder,
  { embeddingScale, endNorm, passEnd }: LayerKept,
  place: KeptPlace,
): void {
  const { config: { embeddingLength: width, norm: { kind, epsilon } }, space } = place;
  const { residual, partial } = space;
  if (embeddingScale !== null) {
    copyRows(builder, place, { from: streamOf(space, 0), to: partial });
    weighRows(builder, { x: partial, width, weights: embeddingScale });
    addRows(builder, { x: partial, to: residual, width });
  }
  if (endNorm === null) return;
  check(endNorm.bias === null, "obstacle.ts refuses biases there");
  const { weight } = endNorm;
  headNorm(builder, { kind, epsilon, weight, x: residual, heads: 1, width });
  if (passEnd === null) return;
  copyRows(builder, place, { from: residual, to: streamOf(space, passEnd) });
  addRows(builder, { x: streamOf(space, 1 - passEnd), to: residual, width });
}
