/** DeepSeek 3.2: DeepSeek 3, of whose keys an indexer chooses 2048 for each token. */
import type { Family } from "../family.ts";
import { deepseek2 } from "./deepseek2.ts";

/** The family `general.architecture = "deepseek32"`. */
export const deepseek32: Family = {
  ...deepseek2,
  architecture: "deepseek32",
  indexer: { pairs: "neox", mayShare: false },
  experts: { ...deepseek2.experts!, isRequired: true, gating: "sigmoid" },
};
