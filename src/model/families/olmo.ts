/** OLMo 1: layer norms without weights; the larger one cuts off queries, keys and values. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "olmo"`. */
export const olmo: Family = {
  ...COMMON,
  architecture: "olmo",
  positions: "norm",
  norm: "layer",
  normsHaveWeights: false,
  mayClampProjections: true,
};
