/** Weights of every type that a GPU has, as a file has them. Opens no GPU. */
import { dequantize } from "../../../src/model/mod.ts";
import { encodeWeights, isWeightType } from "../../../src/quantize/mod.ts";
import type { QuantType } from "../../../src/rank/plan/weight_types.ts";
import { randomBlocks } from "../../kernels/data.ts";
import { Rng } from "../../support/rng.ts";
import { normals } from "./compare.ts";

/** A matrix of random weights, or of random blocks: its file's bytes and their values. */
export function weightsOf(type: string, rows: number, columns: number, seed: number) {
  if (!isWeightType(type)) {
    const { bytes, weights } = randomBlocks(
      new Rng(seed),
      type as QuantType,
      rows * columns,
      "random",
    );
    return { bytes, values: weights };
  }
  const bytes = encodeWeights(type, normals(seed, rows * columns, 0.5));
  return { bytes, values: dequantize(type, bytes) };
}
