/** ARWKV: a transformer whose attention was replaced by RWKV-7's states; its neurons are SwiGLU. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "arwkv7"`. */
export const arwkv7: Family = {
  ...COMMON,
  architecture: "arwkv7",
  positions: "none",
  stateSpace: { kind: "keyed", attention: "none", neurons: "each" },
};
