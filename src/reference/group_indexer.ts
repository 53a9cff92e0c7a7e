/**
 * Which groups of neighbouring positions tokens attend to where an indexer chooses them (Qwen 4),
 * as formulas. Knows nothing of attention.
 */
import {
  fillRopeTableByAxes,
  type LayerTensors,
  type ModelConfig,
  ropeFrequencies,
} from "../model/mod.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { positionsOf, type ReferenceGiven } from "./given_rows.ts";
import { filled, rmsNorm, rope } from "./ops.ts";
import type { ReferenceWeights } from "./weights.ts";

/** What new tokens of a layer bring. */
export interface GroupIndexerInput {
  readonly config: ModelConfig;
  readonly layer: LayerTensors;
  readonly weights: ReferenceWeights;
  readonly blocks: ReferenceBlocks;
  /** What attention reads, [n, d]. */
  readonly h: Float64Array;
  readonly groupRatio: number;
  readonly given: ReferenceGiven;
}

/** Numbers of the cache that stay, and what groups' keys are means of, [n, headDim]. */
export function groupRows(
  { config, layer, blocks, h }: GroupIndexerInput,
  fromPosition: number,
): [kept: number, rows: Float64Array] {
  const { headDim } = config.groupIndexer!;
  return [fromPosition * headDim, blocks.project(h, layer.groupIndexer!.key)];
}

/**
 * The positions that a new token attends to, ascending; of equal groups the first ones. rows: of
 * all positions, [p0 + n, headDim]; token t sees the first p0 + t + 1.
 */
export function chosenGroups(
  rows: Float64Array,
  input: GroupIndexerInput & {
    readonly rope: number;
    readonly rotations: readonly Float64Array[];
  },
): (t: number) => number[] {
  const { config, layer, weights, blocks, h, groupRatio: ratio, rotations } = input;
  const { headCount, headDim, keyCount } = config.groupIndexer!;
  const { query, queryNorm } = layer.groupIndexer!;
  const { kind, dimensionCount: rotDim } = config.ropes[input.rope];
  const own = rmsNorm(blocks.project(h, query), weights.vector(queryNorm), config.norm.epsilon);
  const turned = { heads: headCount, headDim, rotDim, kind };
  const queries = rope(own, rotations[input.rope], turned);
  const keys = groupKeys(rows, input);
  const p0 = (rows.length - queries.length / headCount) / headDim;
  return (t) => {
    const end = p0 + t + 1, count = Math.floor(end / ratio);
    const scores = Array.from({ length: count }, (_, group) => {
      let score = 0;
      for (let head = 0; head < headCount; head++) {
        let dot = 0;
        for (let i = 0; i < headDim; i++) {
          dot += queries[(t * headCount + head) * headDim + i] * keys[group * headDim + i];
        }
        score += Math.max(0, dot);
      }
      return score;
    });
    const order = scores.map((_, group) => group);
    order.sort((a, b) => scores[b] - scores[a] || a - b);
    const chosen = new Set(order.slice(0, keyCount / ratio));
    return Array.from({ length: end }, (_, p) => p)
      .filter((p) => p >= count * ratio || chosen.has(Math.floor(p / ratio)));
  };
}

/** Of whole groups, [groups, headDim]. */
function groupKeys(
  rows: Float64Array,
  { config, layer, weights, given, groupRatio: ratio, rope: index }: GroupIndexerInput & {
    readonly rope: number;
  },
): Float64Array {
  const { headDim } = config.groupIndexer!;
  const count = Math.floor(rows.length / headDim / ratio);
  const means = filled(count * headDim, (i) => {
    const group = Math.floor(i / headDim);
    let sum = 0;
    for (let p = group * ratio; p < (group + 1) * ratio; p++) {
      sum += rows[p * headDim + i % headDim];
    }
    return sum / ratio;
  });
  const normed = rmsNorm(means, weights.vector(layer.groupIndexer!.keyNorm), config.norm.epsilon);
  const { kind, dimensionCount: rotDim, factors } = config.ropes[index];
  const frequencies = ropeFrequencies(config.ropes[index], factors && weights.vector(factors));
  const angles = new Float64Array(count * rotDim);
  for (let group = 0; group < count; group++) {
    const positions = positionsOf(group * ratio, given);
    fillRopeTableByAxes(frequencies, positions, 0, angles, group * rotDim);
  }
  return rope(normed, angles, { heads: 1, headDim, rotDim, kind });
}
