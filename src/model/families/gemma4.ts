/** Gemma 4 (text): wide heads where a layer sees everything, keys shared, inputs of layers. */
import type { Family } from "../family.ts";
import { gemma } from "./gemma.ts";

/** The family `general.architecture = "gemma4"`: E2B, E4B, 31B and, with experts, 26B-A4B. */
export const gemma4: Family = {
  ...gemma,
  architecture: "gemma4",
  hasPostNorms: true,
  headNorms: "shared",
  normalizesValues: true,
  layersDiffer: true,
  mayHaveLayerInputs: true,
  windows: {
    period: 6,
    globalLayer: "last",
    defaultLength: 0,
    localRopeBase: 10000,
    scalesLocalRope: true,
    globalIsUnrotated: false,
    haveOwnHeads: true,
  },
  logitSoftCap: 0,
  scales: ({ embeddingLength }) => ({ embedding: Math.sqrt(embeddingLength), attention: 1 }),
  experts: {
    isRequired: false,
    gating: "softmax",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "apart",
  },
};
