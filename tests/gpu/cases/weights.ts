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

/**
 * All types of floats and bytes; of nibbles each kind of factors, lengths of groups and kinds of
 * levels, and NVFP4, of which alone 16 weights have an f16. Others are made of these; embed()
 * decodes all of them to the bit.
 */
export const IN_TILES: readonly string[] = [
  ...["F32", "F16", "BF16", "Q8_0", "Q5_0", "Q5_1", "Q5_K", "Q6_K"],
  ...["Q4_0", "Q4_1", "Q2_K", "IQ4_XS", "MXFP4", "NVFP4", "IQ2_XS", "IQ3_XXS", "IQ1_S"],
];
