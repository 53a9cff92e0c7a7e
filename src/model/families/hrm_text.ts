/** HRM-Text: two stacks of layers are walked in turns, each beginning with what both have left. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "hrm_text"`. */
export const hrmText: Family = {
  ...COMMON,
  architecture: "hrm_text",
  positions: "neox",
  normsHaveWeights: false,
  attentionGates: "apart",
  scales: () => ({}),
  repeats: "cycles",
};
