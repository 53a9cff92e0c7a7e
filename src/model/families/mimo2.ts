/** MiMo V2: short values, sinks in windowed layers, which have more key/value heads. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "mimo2"`: V2 Flash, V2.5. */
export const mimo2: Family = {
  ...COMMON,
  architecture: "mimo2",
  guessing: "plainRows",
  positions: "neox",
  attentionSinks: "ifThere",
  hasOwnValues: true,
  layersDiffer: true,
  windows: {
    period: 0,
    globalLayer: "last",
    defaultLength: 0,
    localRopeBase: 10000,
    scalesLocalRope: false,
    globalIsUnrotated: false,
  },
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "none",
  },
};
