/** PLM: latent attention, squared ReLU without a gate. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "plm"`. */
export const plm: Family = {
  ...COMMON,
  architecture: "plm",
  positions: "norm",
  hasLatentAttention: true,
  feedForward: { activation: "relu2", isGated: false, activatesUp: false },
};
