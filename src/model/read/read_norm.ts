/** Metadata keys to how a model normalises. Looks at no tensors. */
import type { Family } from "../family.ts";
import type { NormConfig } from "../types.ts";
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
