/**
 * Nemotron 3: Nemotron-H whose neurons are sorted into experts. Those of Super and Ultra read
 * latents; Puzzle's layers differ in how many of them a token uses, and how long they are.
 */
import type { Family } from "../family.ts";
import { nemotronH } from "./nemotron_h.ts";

/** The family `general.architecture = "nemotron_h_moe"`. */
export const nemotronHMoe: Family = {
  ...nemotronH,
  architecture: "nemotron_h_moe",
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "plain",
    latents: { lengthKey: "moe_latent_size", tensors: "ffn_latent", mayNormalize: false },
  },
};
