/** Mellum 2: Qwen 3's mixture with windows in three layers of four, which nothing stretches. */
import type { Family } from "../family.ts";
import { qwen3moe } from "./qwen3moe.ts";

/** The family `general.architecture = "mellum"`. */
export const mellum: Family = {
  ...qwen3moe,
  architecture: "mellum",
  windows: {
    period: 4,
    globalLayer: "last",
    defaultLength: 0,
    localRopeBase: null,
    scalesLocalRope: false,
    globalIsUnrotated: false,
  },
};
