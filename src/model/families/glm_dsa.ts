/** GLM 5: DeepSeek 3.2's layers, some of which use the keys that an earlier one has chosen. */
import type { Family } from "../family.ts";
import { deepseek32 } from "./deepseek32.ts";

/** The family `general.architecture = "glm-dsa"`. */
export const glmDsa: Family = {
  ...deepseek32,
  architecture: "glm-dsa",
  indexer: { pairs: "norm", mayShare: true },
};
