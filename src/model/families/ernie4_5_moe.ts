/** ERNIE 4.5 with experts: the first layers are dense, the choice may have a bias. */
import type { Family } from "../family.ts";
import { ernie45 } from "./ernie4_5.ts";

/** The family `general.architecture = "ernie4_5-moe"`. */
export const ernie45Moe: Family = {
  ...ernie45,
  architecture: "ernie4_5-moe",
  experts: {
    isRequired: true,
    gating: "softmax",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "plain",
  },
};
