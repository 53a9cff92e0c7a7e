/** As tiny_logits.ts and tiny_greedy.ts, of families of a kind of their own. Data only. */
import type { SINGULAR_FAMILIES } from "../support/tiny_singular_families.ts";
import type { Best } from "./tiny_logits.ts";

/**
 * llama.cpp's. Of "grovemoe" it computes another thing: companions read what experts have given
 * there, and are weighed as other experts than their own are. With that its logits are those of
 * a reference that is changed so (NMSE 3.9e-14). Of "chameleon-behind" neurons read what
 * attention adds there, not what is added to (as changed, NMSE 1.4e-13). Logits of "chameleon"
 * are with CHAMELEON_VOCABULARY.
 */
export const SINGULAR_LOGITS: Readonly<
  Partial<Record<keyof typeof SINGULAR_FAMILIES, readonly [at11: Best, at47: Best]>>
> = {
  "arctic": [
    [[148, 6.6406], [301, 6.2318], [197, 6.0982]],
    [[111, 6.8477], [14, 6.0159], [186, 5.53]],
  ],
  "chameleon": [
    [[8269, 5.2372], [8210, 3.8587], [8262, 3.8472]],
    [[8212, 4.5775], [8230, 4.3891], [8278, 3.9975]],
  ],
};

/** The reference's greedy ids after the first 12 of the prompt. */
export const SINGULAR_GREEDY: Readonly<Record<keyof typeof SINGULAR_FAMILIES, readonly number[]>> =
  {
    "arctic": [148, 252, 159, 387, 269, 436, 121, 450, 296, 313, 344, 328],
    "grovemoe": [355, 503, 49, 91, 48, 398, 439, 416, 470, 450, 258, 281],
    "chameleon": [320, 306, 126, 278, 431, 310, 153, 123, 144, 434, 203, 84],
    "chameleon-behind": [374, 479, 483, 224, 22, 174, 159, 303, 196, 49, 198, 345],
  };
