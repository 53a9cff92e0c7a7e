/** Gemma 3n (text): several residual streams, inputs of layers, keys shared, gates cut off. */
import type { Family } from "../family.ts";
import { gemma } from "./gemma.ts";

/** The family `general.architecture = "gemma3n"`: E2B and E4B. */
export const gemma3n: Family = {
  ...gemma,
  architecture: "gemma3n",
  hasPostNorms: true,
  headNorms: "shared",
  normalizesValues: true,
  layersDiffer: true,
  mayHaveLayerInputs: true,
  hasAltUp: true,
  cutsGates: true,
  windows: {
    period: 5,
    globalLayer: "last",
    defaultLength: 512,
    localRopeBase: 10000,
    scalesLocalRope: false,
    globalIsUnrotated: false,
  },
  logitSoftCap: 30,
  scales: ({ embeddingLength }) => ({ embedding: Math.sqrt(embeddingLength), attention: 1 }),
};
