/** Gemma 3 (text): head norms for soft caps, five windowed layers to one, each with its rope. */
import type { Family } from "../family.ts";
import { gemma } from "./gemma.ts";
import { gemmaScales } from "./gemma2.ts";

/** The family `general.architecture = "gemma3"`; some of its offspring cap logits. */
export const gemma3: Family = {
  ...gemma,
  architecture: "gemma3",
  hasPostNorms: true,
  headNorms: "shared",
  windows: {
    period: 6,
    globalLayer: "last",
    defaultLength: 0,
    localRopeBase: 10000,
    scalesLocalRope: false,
    globalIsUnrotated: false,
  },
  logitSoftCap: 0,
  scales: gemmaScales(62),
};
