/** Mamba and FalconMamba: layers of one state space each, no attention, no neurons. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "mamba"`. */
export const mamba: Family = {
  ...COMMON,
  architecture: "mamba",
  positions: "none",
  stateSpace: { kind: "channels", attention: "none", neurons: "none" },
};
