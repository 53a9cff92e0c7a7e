/** Lightning attention: the shape of its states, and a layer's tensors. Reads no weights. */
import { check } from "../../base/check.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import type { LayerReader } from "./layer_reader.ts";
import { requireUnits } from "./state_units.ts";
import type { LightningTensors, StateSpaceConfig } from "../types.ts";

/**
 * As many heads as attend elsewhere, each with a square.
 * @throws {ModelFormatError} when a key is missing or out of range.
 * @throws {UnsupportedModelError} when kernels cannot take the shape.
 */
export function readLightning(keys: Hyperparameters): StateSpaceConfig {
  // Rates depend on how far a layer is from the last one.
  keys.integer("block_count", { min: 2 });
  const headCount = keys.integer("attention.head_count", { min: 1 });
  const absent = Math.floor(keys.integer("embedding_length", { min: 1 }) / headCount);
  const stateLength = keys.integer("attention.key_length", { min: 1, max: 4095, absent });
  requireUnits(stateLength);
  return {
    kind: "lightning",
    taps: 1,
    ...{ innerLength: headCount * stateLength, stateLength },
    ...{ headCount, groupCount: headCount, headsTakeTurns: false },
    ...{ stepRank: 0, normalizesInputs: false },
  };
}

/**
 * The layer's tensors, checked.
 * @throws {ModelFormatError | UnsupportedModelError} as `readTensors` does.
 */
export function lightningTensors({ checker, at, config }: LayerReader): LightningTensors {
  const { stateSpace, embeddingLength: width } = config;
  check(stateSpace !== null, "the model has states");
  const { innerLength: inner } = stateSpace;
  const matrix = (name: string, rows: number, columns: number) =>
    checker.matrix(`${at}${name}.weight`, { rows, columns });
  return {
    input: matrix("attn_qkv", 3 * inner, width),
    gate: matrix("attn_gate", inner, width),
    norm: checker.vector(`${at}attn_norm_2.weight`, inner),
    output: matrix("attn_output", width, inner),
  };
}
