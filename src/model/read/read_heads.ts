/**
 * Metadata keys to numbers of heads and their widths, and which layers attend at all. Looks at no
 * tensors.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { Family } from "../family.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import { type KvHeads, readHeadCount, readKvHeads } from "./read_convolution.ts";
import { readLatentHeads } from "./read_latent.ts";
import { largestOf } from "./read_layer_shapes.ts";
import { readUnevenHeads, type UnevenHeads } from "./read_uneven_layers.ts";
import type { ModelConfig } from "../types.ts";

/** Heads of a model: of the layer that has the most, where layers differ. */
export interface HeadShape
  extends
    KvHeads,
    Pick<ModelConfig, "headCount" | "headCountKv" | "headDim" | "valueDim" | "latent">,
    Pick<UnevenHeads, "each"> {}

/**
 * @throws {ModelFormatError} when a number is missing or out of range, or does not fit another.
 * @throws {UnsupportedModelError} when value heads are of another width than key heads.
 */
export function readHeads(
  keys: Hyperparameters,
  family: Family,
  { embeddingLength, blockCount }: { embeddingLength: number; blockCount: number },
): HeadShape {
  if (family.hasLatentAttention) {
    const attends = attendingLayers(keys, family, blockCount);
    return { ...readLatentHeads(keys, family), attends, each: null };
  }
  if (family.stateSpace?.attention === "none") {
    const none = { headCount: 0, headCountKv: 0, headDim: 0, valueDim: 0 };
    return { ...none, attends: null, latent: null, each: null };
  }
  const counts = readCounts(keys, family, blockCount);
  const { headCount } = counts;
  if (!keys.has("attention.key_length") && embeddingLength % headCount !== 0) {
    throw keys.wrong("attention.head_count", `a divisor of the width, ${embeddingLength}`);
  }
  const absent = embeddingLength / headCount;
  const headDim = keys.integer("attention.key_length", { min: 1, absent });
  const valueDim = keys.integer("attention.value_length", { min: 1, absent: headDim });
  if (valueDim !== headDim && !(family.hasOwnValues && valueDim < headDim)) {
    throw new UnsupportedModelError(
      `Cannot run this model: its value heads have ${valueDim} dimensions, its key heads ` +
        `${headDim}: this version needs them equal`,
    );
  }
  return { ...counts, headDim, valueDim, latent: null };
}

function readCounts(keys: Hyperparameters, family: Family, blockCount: number): UnevenHeads {
  if (family.stateSpace?.layersDiffer) return readUnevenHeads(keys, blockCount);
  if (family.layersDiffer) {
    const headCount = largestOf(keys, "attention.head_count");
    const headCountKv = largestOf(keys, "attention.head_count_kv", headCount);
    return { headCount, headCountKv, attends: null, each: null };
  }
  const headCount = readHeadCount(keys, family, blockCount);
  const { headCountKv, attends } = readKvHeads(keys, family, { headCount, blockCount });
  if (headCount % headCountKv !== 0) {
    throw keys.wrong("attention.head_count_kv", `a divisor of the head count, ${headCount}`);
  }
  return { headCount, headCountKv, attends, each: null };
}

/** Of a model of latents: some of its layers may keep states instead. */
function attendingLayers(keys: Hyperparameters, family: Family, blockCount: number) {
  if (family.stateSpace?.attention !== "instead") return null;
  return readKvHeads(keys, family, { headCount: 1, blockCount }).attends;
}
