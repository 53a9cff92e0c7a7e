/** Plans of what several residual streams take. Knows shards and tensors. */
import type {
  AltUpTensors,
  LayerAltUpTensors,
  ModelConfig,
  ModelDescription,
} from "../../model/types.ts";
import { N } from "../../shapes/mod.ts";
import type { Placer } from "./plan_layer.ts";
import { norm } from "./plan_norm.ts";
import { gatedBytes, planGatedMix } from "./plan_gated.ts";
import { hyperBytes, planHyper } from "./plan_hyper.ts";
import type { MatrixPlan, NormPlan, RankPlan, VectorPlan, WorkspaceStrides } from "./plan_types.ts";
import { cut, type Range } from "./shard.ts";
import type { StepGraphInput } from "./step_graph.ts";

/** A whole number of lanes of any kernel. */
const ROW_UNIT = 32;

/** What makes streams of the embeddings, and one of all streams: own rows, in arena 0. */
export interface AltUpPlan {
  readonly rows: Range;
  readonly starts: readonly MatrixPlan[];
  readonly ends: readonly MatrixPlan[];
}

/** What a layer has for them: every rank all of it, so that streams stay equal without a join. */
export interface LayerAltUpPlan {
  readonly router: MatrixPlan;
  readonly routerNorm: NormPlan;
  readonly guess: VectorPlan;
  readonly correction: VectorPlan;
  readonly scale: VectorPlan;
  readonly bypass: {
    readonly down: MatrixPlan;
    readonly up: MatrixPlan;
    readonly norm: NormPlan;
  };
}

/** All that is there of several streams beside layers; whole: who has what is on every rank. */
export function planStreams(
  { inputs, whole }: { readonly inputs: Placer; readonly whole: Placer },
  { tensors: { altUp, hyperEnd, gatedEnd, secondStream }, config }: ModelDescription,
  by: { rankIndex: number; rankCount: number },
): Pick<RankPlan, "altUp" | "hyperEnd" | "gatedEnd" | "secondStream"> {
  return {
    altUp: planAltUp(inputs, altUp, by),
    hyperEnd: hyperEnd ? planHyper(whole, hyperEnd, config) : null,
    gatedEnd: gatedEnd ? planGatedMix(whole, gatedEnd) : null,
    secondStream: secondStream ? inputs.vector(secondStream) : null,
  };
}

function planAltUp(
  place: Placer,
  tensors: AltUpTensors | null,
  { rankIndex, rankCount }: { rankIndex: number; rankCount: number },
): AltUpPlan | null {
  if (tensors === null) return null;
  const [{ rows: width }] = tensors.starts;
  const rows = cut(width, { parts: rankCount, part: rankIndex, unit: ROW_UNIT });
  return {
    rows,
    starts: tensors.starts.map((each) => place.matrix(each, { rows })),
    ends: tensors.ends.map((each) => place.matrix(each, { rows })),
  };
}

/** Small matrices of a quantised type are kept as floats: what they make decides much. */
export function planLayerAltUp(
  place: Placer,
  tensors: LayerAltUpTensors | null,
): LayerAltUpPlan | null {
  if (tensors === null) return null;
  const { bypass } = tensors;
  return {
    router: place.matrix(tensors.router, { isFloat: true }),
    routerNorm: norm(place, tensors.routerNorm),
    guess: place.vector(tensors.guess),
    correction: place.vector(tensors.correction),
    scale: place.vector(tensors.scale),
    bypass: {
      down: place.matrix(bypass.down, { isFloat: true }),
      up: place.matrix(bypass.up, { isFloat: true }),
      norm: norm(place, bypass.norm),
    },
  };
}

/** Most numbers between the two matrices that go around attention; 0: nothing does. */
export function bypassLength(layers: readonly { altUp: LayerAltUpTensors | null }[]): number {
  return Math.max(0, ...layers.map(({ altUp }) => altUp?.bypass.down.rows ?? 0));
}

/** Of several residual streams, and of gates that are cut off. */
export function altUpBytes(
  input: {
    readonly config: ModelConfig;
    readonly strides: WorkspaceStrides;
    readonly chunkTokens: number;
    readonly sizes: { q8_bytes(n: number, k: number): number };
  },
): Partial<StepGraphInput["bytes"]> {
  const { config, strides, chunkTokens } = input;
  const { altUp, hyper, gatedStreams, layers, keptStreams } = config;
  if (gatedStreams !== undefined) return gatedBytes(config, input);
  const isCut = layers.some(({ gateCutoff }) => gateCutoff !== undefined);
  const moments = isCut && { "gate.moments": chunkTokens * 2 * 8 };
  if (hyper !== undefined) return { ...moments, ...hyperBytes(hyper, { strides, chunkTokens }) };
  if (altUp === null) {
    if (keptStreams === undefined) return { ...moments };
    return { ...moments, streams: keptStreams * chunkTokens * strides.embedding * 4 };
  }
  const { streamCount } = altUp;
  return {
    ...moments,
    streams: streamCount * chunkTokens * strides.embedding * 4,
    "streams.one": streamCount * strides.embedding * 4,
    "streams.words": streamWords(streamCount, chunkTokens) * 4,
    around: N.times(4 * strides.embedding),
    bypass: N.times(4 * strides.bypass),
  };
}

/**
 * Words that mixing streams takes beside them. Of n tokens: modes, [n, streams], lengths of two
 * rows each, [2, n]; of one: factors, [streams, streams], and numbers of its rows, u32 [streams].
 */
export function streamWords(streamCount: number, n: number): number {
  return n * (streamCount + 2) + streamCount * streamCount + streamCount;
}
