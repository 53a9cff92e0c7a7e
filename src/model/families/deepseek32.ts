/** DeepSeek 3.2: DeepSeek 3, whose keys an indexer chooses in texts of more than 2048 tokens. */
import type { Family } from "../family.ts";
import { deepseek2 } from "./deepseek2.ts";

/** The family `general.architecture = "deepseek32"`. */
export const deepseek32: Family = {
  ...deepseek2,
  architecture: "deepseek32",
  hasIndexer: true,
  experts: { ...deepseek2.experts!, isRequired: true, gating: "sigmoid" },
};
