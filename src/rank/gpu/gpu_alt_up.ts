/**
 * Several residual streams on a GPU that has all of a model (alternating updates): layers compute
 * with the first, and all of them are guessed before a layer and put right behind it. What goes
 * around attention is here, too. Knows plans; nothing of attention and neurons.
 */
import {
  addRows,
  correctStreams,
  guessStreams,
  matchLengths,
  type ProgramBuilder,
  type Rows,
  scaleRows,
} from "../../../gpu/mod.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { LayerPlan, RankPlan } from "../plan/plan_types.ts";
import { addGated, type LayerInputs } from "./gpu_inputs.ts";
import { type GpuSpace, streamOf } from "./gpu_space.ts";
import type { GpuLoader, Stacked } from "./gpu_weights.ts";
import { addNorm, multiply } from "./layer_operations.ts";
import { type GpuNorm, loadNorm } from "./layer_weights.ts";

/** What makes streams of the embeddings, and one of all streams. */
export interface StreamEnds {
  readonly starts: readonly Stacked[];
  readonly ends: readonly Stacked[];
}

/** What a layer has for them. */
export interface LayerAltUp {
  readonly router: Stacked;
  readonly routerNorm: GpuNorm;
  /** f32 [m, m, m], [m, m], [d]. */
  readonly guess: GPUBuffer;
  readonly correction: GPUBuffer;
  readonly scale: GPUBuffer;
  readonly bypass: { readonly down: Stacked; readonly up: Stacked; readonly norm: GpuNorm };
}

interface StreamsPlace {
  readonly config: ModelConfig;
  readonly space: GpuSpace;
}

/** Null: there is one stream. @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
export async function loadStreamEnds(
  loader: GpuLoader,
  { altUp }: RankPlan,
): Promise<StreamEnds | null> {
  if (altUp === null) return null;
  const stackEach = async (plans: typeof altUp.starts) => {
    const stacks: Stacked[] = [];
    for (const plan of plans) stacks.push(await loader.stack([plan]));
    return stacks;
  };
  return { starts: await stackEach(altUp.starts), ends: await stackEach(altUp.ends) };
}

/** Null: there is one stream. @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
export async function loadLayerAltUp(
  by: { loader: GpuLoader; config: ModelConfig },
  { altUp: plan }: LayerPlan,
): Promise<LayerAltUp | null> {
  if (plan === null) return null;
  const { loader } = by;
  const { down, up, norm } = plan.bypass;
  return {
    router: await loader.stack([plan.router]),
    routerNorm: await loadNorm(by, plan.routerNorm),
    guess: await loader.vector(plan.guess),
    correction: await loader.vector(plan.correction),
    scale: await loader.vector(plan.scale),
    bypass: {
      down: await loader.stack([down]),
      up: await loader.stack([up]),
      norm: await loadNorm(by, norm),
    },
  };
}

/** streams = the embeddings, and what the starts make of them, as long as they are. */
export function startStreams(
  builder: ProgramBuilder,
  { starts }: StreamEnds,
  { config: { embeddingLength: width }, space }: StreamsPlace,
): void {
  const { residual: other, partial } = space;
  matchLengths(builder, { x: other, other, to: streamOf(space, 0), width });
  for (const [j, start] of starts.entries()) {
    multiply(builder, start, { x: other, to: partial });
    matchLengths(builder, { x: partial, other, to: streamOf(space, j + 1), width });
  }
}

/** residual = the mean of the first and what the ends make of the others, as long as it is. */
export function endStreams(
  builder: ProgramBuilder,
  { ends }: StreamEnds,
  { config: { embeddingLength: width }, space }: StreamsPlace,
): void {
  const { residual, partial, around } = space;
  const other = streamOf(space, 0);
  matchLengths(builder, { x: other, other, to: residual, width });
  for (const [j, end] of ends.entries()) {
    multiply(builder, end, { x: streamOf(space, j + 1), to: partial });
    matchLengths(builder, { x: partial, other, to: around, width });
    addRows(builder, { x: around, to: residual, width });
  }
  scaleRows(builder, { x: residual, width, scale: 1 / (ends.length + 1) });
}

/** All streams are guessed; residual = the first guess. */
export function guessLayer(builder: ProgramBuilder, altUp: LayerAltUp, place: StreamsPlace): void {
  const { space: { residual: first }, config: { altUp: own, embeddingLength: width } } = place;
  addModes(builder, altUp, place, streamOf(place.space, 0));
  const { streams, modes } = place.space;
  const count = own!.streamCount;
  guessStreams(builder, { streams, count, width, modes, factors: altUp.guess, first });
}

/** around = norm(up · down · x) + x, x being what attention reads. */
export function addBypass(
  builder: ProgramBuilder,
  { bypass: { down, up, norm } }: LayerAltUp,
  { config, space: { neurons, partial, around } }: StreamsPlace,
  x: Rows,
): void {
  multiply(builder, down, { x, to: neurons });
  multiply(builder, up, { x: neurons, to: partial });
  addNorm(builder, config, norm, { from: partial, to: around });
  addRows(builder, { x, to: around, width: config.embeddingLength });
}

/** residual = (residual + around) / √2, behind attention. */
export function joinBypass(
  builder: ProgramBuilder,
  { config: { embeddingLength: width }, space: { around, residual } }: StreamsPlace,
): void {
  addRows(builder, { x: around, to: residual, width });
  scaleRows(builder, { x: residual, width, scale: Math.SQRT1_2 });
}

/** Guesses are put right, and what the token gives the layer is added to all but the first. */
export function correctLayer(
  builder: ProgramBuilder,
  altUp: LayerAltUp,
  input: LayerInputs | null,
  place: StreamsPlace & { readonly index: number },
): void {
  const { config, space } = place;
  const { streams, modes, residual: made, around } = space;
  const { embeddingLength: width, altUp: own } = config;
  const count = own!.streamCount;
  addModes(builder, altUp, place, made);
  const { correction: factors, scale } = altUp;
  correctStreams(builder, { streams, count, width, modes, factors, made, scale });
  if (input === null) return;
  const x = addGated(builder, input, place);
  addNorm(builder, config, input.norm, { from: x, to: around });
  for (let j = 1; j < count; j++) {
    addRows(builder, { x: around, to: streamOf(space, j), width });
  }
}

/** modes = router · norm(x) / d: tanh is left to who reads them. */
function addModes(
  builder: ProgramBuilder,
  { router, routerNorm }: LayerAltUp,
  { config, space: { normed, modes } }: StreamsPlace,
  from: Rows,
): void {
  addNorm(builder, config, routerNorm, { from, to: normed });
  multiply(builder, router, { x: normed, to: modes, scale: 1 / config.embeddingLength });
}
