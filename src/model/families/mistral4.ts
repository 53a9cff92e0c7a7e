/** Mistral 4: DeepSeek's latent attention, whose queries grow far into the context. */
import type { Family } from "../family.ts";
import { deepseek2 } from "./deepseek2.ts";

/** The family `general.architecture = "mistral4"`. */
export const mistral4: Family = { ...deepseek2, architecture: "mistral4" };
