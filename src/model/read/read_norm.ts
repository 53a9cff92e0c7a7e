/** Metadata keys to how a model normalises. Looks at no tensors. */
import type { Family } from "../family.ts";
import type { ModelConfig, NormConfig } from "../types.ts";
import type { Hyperparameters } from "./hyperparameters.ts";

/** @throws {ModelFormatError} when an epsilon is missing or out of range. */
export function readNorm(keys: Hyperparameters, { norm, postNormEpsilon }: Family): NormConfig {
  const post = postNormEpsilon === null ? {} : { postEpsilon: postNormEpsilon };
  const [ofRms, ofLayer] = ["attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"];
  if (norm === "rmsOfEither") {
    return {
      kind: "rms",
      epsilon: keys.float(keys.has(ofRms) ? ofRms : ofLayer, { min: 0 }),
      ...post,
    };
  }
  const kind = norm === "said" ? keys.has(ofRms) ? "rms" : "layer" : norm;
  return { kind, epsilon: keys.float(kind === "rms" ? ofRms : ofLayer, { min: 0 }), ...post };
}

/** Beyond these nothing is left in f32 of one part of the sum. */
const WEIGHT_MIN = 1e-3;
const WEIGHT_MAX = 1e3;

/**
 * Norms of weight · stream + block, as those of stream + block / weight: a norm does not see what
 * all of its input is multiplied by, if its epsilon is divided by the square of that.
 * @throws {ModelFormatError} when a key is missing or out of range.
 */
export function readWeighedSums(
  keys: Hyperparameters,
  family: Family,
): Pick<ModelConfig, "norm" | "residualScale"> {
  const key = "residual_scale";
  const weight = keys.float(key, { min: 0 });
  if (weight < WEIGHT_MIN || weight > WEIGHT_MAX) {
    throw keys.wrong(key, `from ${WEIGHT_MIN} to ${WEIGHT_MAX}`);
  }
  const norm = readNorm(keys, family);
  const postEpsilon = norm.epsilon / weight ** 2;
  return { norm: { ...norm, postEpsilon }, residualScale: 1 / weight };
}
