/** Nemotron-H: a layer has a state space, or attends, or has neurons of squared ReLU. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "nemotron_h"`. */
export const nemotronH: Family = {
  ...COMMON,
  architecture: "nemotron_h",
  positions: "none",
  norm: "rmsOfEither",
  feedForward: { activation: "relu2", isGated: false, activatesUp: false },
  stateSpace: { kind: "heads", attention: "instead", neurons: "apart", layersDiffer: true },
};
