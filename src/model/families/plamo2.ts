/** PLaMo 2: state spaces and attention in turns, norms before and behind blocks, SwiGLU as one. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "plamo2"`. */
export const plamo2: Family = {
  ...COMMON,
  architecture: "plamo2",
  positions: "neox",
  hasPostNorms: true,
  headNorms: "perHead",
  fusesGateAndUp: true,
  stateSpace: { kind: "channelHeads", attention: "instead", neurons: "each" },
};
