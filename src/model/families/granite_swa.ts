/** Granite with windows and attention sinks, dense or with experts. */
import type { Family } from "../family.ts";
import { granitemoe } from "./granitemoe.ts";

/** The family `general.architecture = "granite_swa"`. */
export const graniteSwa: Family = {
  ...granitemoe,
  architecture: "granite_swa",
  attentionSinks: "all",
  listsRotated: true,
  windows: {
    period: 1,
    globalLayer: "last",
    defaultLength: 0,
    localRopeBase: null,
    scalesLocalRope: true,
    globalIsUnrotated: false,
  },
};
