/** Plans of what mixes residual streams, whole on every rank. Pure arithmetic. */
import { sharesOf } from "../../model/compressed_types.ts";
import type {
  HyperConfig,
  HyperTensors,
  LayerHyperTensors,
  ModelConfig,
} from "../../model/types.ts";
import type { Placer } from "./plan_layer.ts";
import type { MatrixPlan, VectorPlan, WorkspaceStrides } from "./plan_types.ts";
import type { StepGraphInput } from "./step_graph.ts";

/** `HyperTensors`; of the mixer each stream's columns by themselves. */
export interface HyperPlan {
  readonly mixers: readonly MatrixPlan[];
  readonly base: VectorPlan | null;
  readonly scale: VectorPlan | null;
}

export interface LayerHyperPlan {
  readonly attention: HyperPlan;
  readonly feedForward: HyperPlan;
}

export function planLayerHyper(
  place: Placer,
  tensors: LayerHyperTensors | undefined,
  config: ModelConfig,
): LayerHyperPlan | null {
  if (tensors === undefined) return null;
  return {
    attention: planHyper(place, tensors.attention, config),
    feedForward: planHyper(place, tensors.feedForward, config),
  };
}

/** Small, and what they make decides much: a quantised type is kept as floats. */
export function planHyper(
  place: Placer,
  { mixer, base, scale }: HyperTensors,
  { embeddingLength: d, hyper }: ModelConfig,
): HyperPlan {
  if (base === null || scale === null) {
    return { mixers: [place.matrix(mixer, { isFloat: true })], base: null, scale: null };
  }
  return {
    mixers: Array.from({ length: hyper!.streamCount }, (_, stream) => {
      const columns = { start: stream * d, end: (stream + 1) * d };
      return place.matrix(mixer, { columns, isFloat: true });
    }),
    base: place.vector(base),
    scale: place.vector(scale),
  };
}

/**
 * Words beside streams. Of n tokens: sums of products, one stream's products, and shares,
 * [n, shares] each; squares, [n]; then u32 numbers of a token's rows, [streams].
 */
export function hyperWords(hyper: HyperConfig, n: number): number {
  return n * (3 * sharesOf(hyper) + 1) + hyper.streamCount;
}

/** Where streams are kept: scores of one, [n], squares, [n], shares, [n, streams], and a number. */
function keptWords(streamCount: number, n: number): number {
  return n * (2 + streamCount) + 1;
}

export function hyperBytes(
  hyper: HyperConfig,
  { strides, chunkTokens }: {
    readonly strides: WorkspaceStrides;
    readonly chunkTokens: number;
  },
): Partial<StepGraphInput["bytes"]> {
  return {
    streams: hyper.streamCount * chunkTokens * strides.embedding * 4,
    ...hyper.rounds > 0 && { "hyper.one": hyper.streamCount * strides.embedding * 4 },
    "hyper.words": 4 *
      (hyper.keepsEvery === undefined
        ? hyperWords(hyper, chunkTokens)
        : keptWords(hyper.streamCount, chunkTokens)),
  };
}
