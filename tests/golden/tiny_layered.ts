/** As tiny_logits.ts and tiny_greedy.ts, of families whose layers differ. Data only. */
import type { LAYERED_FAMILIES } from "../support/tiny_layered_families.ts";
import type { Best } from "./tiny_logits.ts";

/** llama.cpp's; of Gemma 3n with GEMMA3N_OF_LLAMA_CPP. */
export const LAYERED_LOGITS: Readonly<
  Record<keyof typeof LAYERED_FAMILIES, readonly [at11: Best, at47: Best]>
> = {
  "gemma4": [
    [[468, 2.9641], [140, 2.8585], [390, 2.7927]],
    [[42, 2.8742], [265, 2.8443], [197, 2.8279]],
  ],
  "gemma3n": [
    [[398, 7.4602], [29, 6.6949], [250, 5.583]],
    [[80, 5.0159], [188, 4.6835], [490, 4.5057]],
  ],
  "gemma4-moe": [
    [[116, 2.9615], [277, 2.9222], [394, 2.897]],
    [[470, 2.904], [29, 2.8666], [392, 2.8381]],
  ],
};

/** The reference's greedy ids after the first 12 of the prompt. */
export const LAYERED_GREEDY: Readonly<Record<keyof typeof LAYERED_FAMILIES, readonly number[]>> = {
  "gemma4": [468, 284, 376, 26, 37, 497, 204, 482, 388, 444, 187, 396],
  "gemma3n": [494, 494, 425, 425, 96, 96, 96, 96, 96, 96, 96, 96],
  "gemma4-moe": [116, 127, 345, 296, 216, 230, 65, 158, 372, 268, 419, 148],
};
