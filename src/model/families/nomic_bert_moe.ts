/** Nomic Embed 2: every second layer of a BERT with rotary positions mixes experts. */
import type { Family } from "../family.ts";
import { bert } from "./bert.ts";

/** The family `general.architecture = "nomic-bert-moe"`. */
export const nomicBertMoe: Family = {
  ...bert,
  architecture: "nomic-bert-moe",
  positions: "neox",
  experts: {
    isRequired: true,
    gating: "softmax",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "none",
    saysLengthOfEach: true,
    mayAlternate: true,
  },
};
