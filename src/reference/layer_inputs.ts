/**
 * What tokens give layers beside the residual stream, and what ends a layer: plain formulas. Knows
 * no attention and no neurons.
 */
import { check } from "../base/check.ts";
import type { LayerTensors, ModelConfig, TokenInputTensors } from "../model/mod.ts";
import { activateMul } from "./activation_ops.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { addGivenParts, type ReferenceGiven } from "./given_rows.ts";
import { add, rmsNorm } from "./ops.ts";
import type { ReferenceWeights } from "./weights.ts";

interface Parts {
  readonly config: ModelConfig;
  readonly weights: ReferenceWeights;
  readonly blocks: ReferenceBlocks;
}

/**
 * (√p · row + norm(projection · x / √d)) / √2, [n, layers, p]; null where the model has none.
 *
 * @param x embeddings, [n, d]
 */
export function tokenInputs(
  ids: readonly number[],
  x: Float64Array,
  tensors: TokenInputTensors | null,
  { config, weights, blocks }: Parts,
): Float64Array | null {
  if (tensors === null) return null;
  const { layerInputLength: length, embeddingLength: d, norm: { epsilon } } = config;
  const projected = blocks.project(x, tensors.projection).map((value) => value / Math.sqrt(d));
  const normalised = rmsNorm(projected, weights.vector(tensors.norm), epsilon);
  const table = weights.matrix(tensors.table);
  const width = tensors.table.columns;
  return normalised.map((value, i) => {
    // A given row is no token: it has what pads texts.
    const row = Math.max(0, ids[Math.floor(i / width)]);
    return (value + table[row * width + i % width] * Math.sqrt(length)) / Math.SQRT2;
  });
}

/** What is given with tokens beside ids, and which layer is at its end. */
interface LayerEnd extends Parts {
  readonly layer: number;
  readonly tensors: LayerTensors;
  readonly ids: readonly number[];
  readonly given: ReferenceGiven;
}

/**
 * s · (x + norm(output · (act(gate · x) ⊙ given))), of what of it the layer has; and what rows
 * that are given have for it. Of several streams the first one is read, scaled, and what comes of
 * it is added to the others. Behind all of it is the direction of control vectors.
 */
export function endLayer(
  streams: readonly Float64Array[],
  inputs: Float64Array | null,
  { layer, tensors, config, weights, blocks, ids, given }: LayerEnd,
): readonly Float64Array[] {
  const { input, outputScale, altUp, direction } = tensors;
  const [left, ...others] = streams;
  const x = addGivenParts(left, layer, { ids, given, config });
  let y = x;
  if (input !== null && inputs !== null) {
    const { layerInputLength: length, blockCount, feedForward: { activation } } = config;
    const scale = altUp && weights.vector(altUp.scale);
    const gate = blocks.project(
      scale === null ? x : x.map((value, i) => value * scale[i % scale.length]),
      input.gate,
    );
    const own = gate.map((_, i) =>
      inputs[(Math.floor(i / length) * blockCount + layer) * length + i % length]
    );
    check(activation !== "xielu", "no family has inputs of layers and curves");
    const hidden = activateMul(activation, gate, own);
    const made = blocks.norm(blocks.project(hidden, input.output), input.norm);
    if (altUp !== null) return [x, ...others.map((each) => add(each, made))];
    y = add(x, made);
  }
  const [scale] = outputScale === null ? [1] : weights.vector(outputScale);
  const added = direction && weights.vector(direction);
  const steered = y.map((value, i) => value * scale + (added ? added[i % added.length] : 0));
  return [steered, ...others];
}
