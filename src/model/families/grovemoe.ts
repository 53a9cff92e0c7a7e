/** GroveMoE: Qwen 3's mixture, and small experts that go along with those of their group. */
import type { Family } from "../family.ts";
import { qwen3moe } from "./qwen3moe.ts";

/** The family `general.architecture = "grovemoe"`. */
export const grovemoe: Family = {
  ...qwen3moe,
  architecture: "grovemoe",
  experts: { ...qwen3moe.experts!, haveCompanions: true },
};
