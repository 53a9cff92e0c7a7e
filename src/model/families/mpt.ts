/** MPT: scores fall with distance as the file says; most models have no biases. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "mpt"`. */
export const mpt: Family = {
  ...COMMON,
  architecture: "mpt",
  positions: "sloped",
  alibiMaxBias: () => 0,
  mayClampProjections: true,
  norm: "layer",
  normBiases: "ifThere",
  feedForward: { activation: "gelu", isGated: false, activatesUp: false },
};
