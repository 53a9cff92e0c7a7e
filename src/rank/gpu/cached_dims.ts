/** What a GPU's cache keeps of a head. Pure arithmetic. */
import type { KvShape } from "../../../gpu/mod.ts";
import { cachedValueDim } from "../../model/latent.ts";
import type { ModelConfig } from "../../model/types.ts";

/** A latent is the end of its key: it is kept once. */
export function cachedDims(
  config: Pick<ModelConfig, "headDim" | "valueDim" | "latent">,
): Pick<KvShape, "headDim" | "valueDim" | "sharesKeys"> {
  return {
    headDim: config.headDim,
    valueDim: cachedValueDim(config),
    sharesKeys: config.latent !== null,
  };
}
