/** Command A with experts: Cohere 2 whose shared expert and mixture are averaged. */
import type { Family } from "../family.ts";
import { cohere2 } from "./cohere2.ts";

/** The family `general.architecture = "cohere2moe"`. */
export const cohere2moe: Family = {
  ...cohere2,
  architecture: "cohere2moe",
  norm: "said",
  windows: {
    period: 4,
    globalLayer: "first",
    defaultLength: 0,
    localRopeBase: null,
    scalesLocalRope: true,
    globalIsUnrotated: true,
    rotatesLeading: true,
  },
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "plain",
    jointWeight: 0.5,
  },
};
