/** Gated streams, and what goes along with them, as the walk uses them: bound once. */
import type { NgramConfig } from "../../model/gated_types.ts";
import type { GatedLayerPlan, GatedMixPlan, GroupIndexerPlan } from "../plan/plan_gated.ts";
import { lengthOf } from "../plan/shard.ts";
import { floats } from "./arena_views.ts";
import { type Matrix, matrixOf, readsQ8 } from "./matrix.ts";
import type { VectorPlan } from "../plan/plan_types.ts";

export interface GatedMix {
  /** Address of f32 [streams · d]. */
  readonly norm: number;
  readonly down: Matrix;
  readonly up: Matrix;
  readonly inject: Matrix | null;
  /** What reads all streams reads q8 tiles. */
  readonly readsQ8: boolean;
}

export interface GroupIndexerMatrices {
  readonly query: Matrix;
  readonly key: Matrix;
  /** Address of f32 [dimensions], and the numbers themselves. */
  readonly queryWeight: number;
  readonly keyWeights: Float32Array;
  readonly readsQ8: boolean;
}

export interface Ngrams {
  readonly config: NgramConfig;
  readonly key: Matrix;
  readonly value: Matrix;
  readonly readsQ8: boolean;
  /** [streams · d] each. */
  readonly keyWeights: Float32Array;
  readonly queryWeights: Float32Array;
  readonly valueWeights: Float32Array;
  /** [streams · d, taps]. */
  readonly taps: Float32Array;
  /** Where a place has what is kept, and how far places are apart, in floats. */
  readonly places: number;
  readonly placeFloats: number;
}

/** What a layer of such a model has. */
export interface GatedLayer {
  readonly attention: GatedMix;
  readonly feedForward: GatedMix;
  readonly groupIndexer: GroupIndexerMatrices | null;
  readonly ngrams: Ngrams | null;
}

/** kept: of the layer's states; what is kept for tokens' names is at the end of a place. */
export function bindGated(
  plan: GatedLayerPlan,
  { memory, config, kept, keptBytes }: {
    readonly memory: WebAssembly.Memory;
    readonly config: NgramConfig | undefined;
    readonly kept: { readonly placesOffsetBytes: number; readonly placeBytes: number } | null;
    readonly keptBytes: number;
  },
): GatedLayer {
  const { groupIndexer, ngrams } = plan;
  const values = (vector: VectorPlan) => floats(memory, vector.offsetBytes, lengthOf(vector.range));
  const key = ngrams && matrixOf(ngrams.key), value = ngrams && matrixOf(ngrams.value);
  return {
    attention: bindGatedMix(plan.attention),
    feedForward: bindGatedMix(plan.feedForward),
    groupIndexer: groupIndexer && bindGroupIndexer(groupIndexer, values),
    ngrams: ngrams && {
      ...{ config: config!, key: key!, value: value! },
      readsQ8: readsQ8(key!) || readsQ8(value!),
      keyWeights: values(ngrams.keyNorm),
      queryWeights: values(ngrams.queryNorm),
      valueWeights: values(ngrams.valueNorm),
      taps: values(ngrams.convolution),
      places: (kept!.placesOffsetBytes + kept!.placeBytes - keptBytes) / 4,
      placeFloats: kept!.placeBytes / 4,
    },
  };
}

export function bindGatedMix({ norm, ...plan }: GatedMixPlan): GatedMix {
  const down = matrixOf(plan.down), inject = plan.inject && matrixOf(plan.inject);
  return {
    ...{ norm: norm.offsetBytes, down, up: matrixOf(plan.up), inject },
    readsQ8: readsQ8(down) || inject !== null && readsQ8(inject),
  };
}

function bindGroupIndexer(
  { query: queries, key: keys, queryNorm, keyNorm }: GroupIndexerPlan,
  values: (vector: VectorPlan) => Float32Array,
): GroupIndexerMatrices {
  const query = matrixOf(queries), key = matrixOf(keys);
  return {
    ...{ query, key, queryWeight: queryNorm.offsetBytes, keyWeights: values(keyNorm) },
    readsQ8: readsQ8(query) || readsQ8(key),
  };
}
