/**
 * Both ends of a model that looks at images: patches go in, and a projector makes rows of a text
 * model of what the last layer leaves. Formulas, in f64.
 */
import { check } from "../base/check.ts";
import type { ModelConfig, ModelTensors, TowerInput } from "../model/mod.ts";
import { activate, layerNorm } from "./activation_ops.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { add, addBias, matmul, rmsNorm } from "./ops.ts";
import type { ReferenceWeights } from "./weights.ts";

interface Parts {
  readonly config: ModelConfig;
  readonly weights: ReferenceWeights;
  readonly blocks: ReferenceBlocks;
}

/** W · patch + b, that of a second frame which is the same, and what is added: [n, d]. */
export function embedPatches(
  { patches, added, count }: TowerInput,
  { tokenEmbedding, secondFrame }: ModelTensors,
  { config, blocks }: Parts,
): Float64Array {
  const rows = Float64Array.from(patches);
  check(rows.length === count * config.patches!.length, "patches of the model's length");
  const first = blocks.project(rows, tokenEmbedding);
  const both = secondFrame ? add(first, blocks.project(rows, secondFrame)) : first;
  return added === null ? both : add(both, added);
}

/** second · act(first · merger · merged rows), of rows [n, d], of which the first are kept. */
export function projectRows(
  rows: Float64Array,
  kept: number,
  { projector }: ModelTensors,
  parts: Parts,
): Float64Array {
  const { weights, blocks, config: { embeddingLength: d, projector: config } } = parts;
  check(projector !== undefined && config !== undefined, "the model has a projector");
  const { mergedRows, norm, activation } = config;
  check(kept % mergedRows === 0, "rows of whole blocks");
  const normalise = (x: Float64Array) => {
    const weight = weights.vector(projector.norm!.weight!);
    const { bias: of } = projector.norm!;
    const bias = of && weights.vector(of);
    const { kind, epsilon } = norm!;
    if (kind === "layer") return layerNorm(x, { weight, bias, epsilon });
    const normalised = rmsNorm(x, weight, epsilon);
    return bias ? addBias(normalised, bias) : normalised;
  };
  const own = rows.subarray(0, kept * d);
  const merged = mergeRows(norm?.of === "rows" ? normalise(own) : own, d, config);
  const normed = norm?.of === "merged" ? normalise(merged) : merged;
  const joined = projector.merger ? blocks.project(normed, projector.merger) : normed;
  const first = projector.isFirstTransposed
    ? matmul(weights.transposed(projector.first), joined, projector.first.rows)
    : blocks.project(joined, projector.first);
  if (projector.second === null) return first;
  check(activation !== null && activation !== "xielu", "an activation without a curve");
  return blocks.project(activate(activation, first), projector.second);
}

/** Each so many rows [d] as one: side by side, number by number in turns, or their mean. */
function mergeRows(
  rows: Float64Array,
  d: number,
  { mergedRows: count, merge }: NonNullable<ModelConfig["projector"]>,
): Float64Array {
  if (merge === "concat") return Float64Array.from(rows);
  const out = new Float64Array(merge === "mean" ? rows.length / count : rows.length);
  rows.forEach((value, i) => {
    const [row, number] = [Math.floor(i / d), i % d];
    const [block, within] = [Math.floor(row / count), row % count];
    if (merge === "mean") out[block * d + number] += value / count;
    else out[(block * d + number) * count + within] = value;
  });
  return out;
}
