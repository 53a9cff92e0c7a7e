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
    [[8269, 5.2361], [8210, 3.8426], [8262, 3.8012]],
    [[8212, 4.5286], [8230, 4.4168], [8273, 4.0138]],
  ],
  "minimax-m3": [
    [[80, 5.9037], [21, 5.5874], [364, 5.3216]],
    [[251, 5.6629], [480, 5.181], [65, 5.0435]],
  ],
  "cogvlm": [
    [[306, 6.3377], [415, 5.5486], [436, 5.5057]],
    [[23, 5.5647], [257, 5.5089], [360, 4.9423]],
  ],
  "nanbeige": [
    [[353, 7.2678], [318, 5.9689], [461, 5.6915]],
    [[441, 5.9104], [195, 5.8109], [461, 5.2576]],
  ],
  "nanbeige-plain": [
    [[18, 5.5475], [319, 5.2696], [194, 4.9405]],
    [[437, 7.3976], [497, 6.0553], [333, 5.2711]],
  ],
  "hrm_text": [
    [[47, 6.6713], [310, 6.6594], [419, 6.4147]],
    [[142, 6.2172], [261, 5.5208], [164, 5.4954]],
  ],
  "talkie": [
    [[395, 4.0544], [325, 3.925], [232, 3.85]],
    [[385, 4.2822], [384, 3.7316], [351, 3.6017]],
  ],
  "talkie-scaled": [
    [[14, 4.7025], [352, 3.8347], [301, 3.2931]],
    [[429, 3.6643], [143, 3.5846], [216, 3.3845]],
  ],
  "deepseek32": [
    [[66, 6.026], [27, 5.6873], [499, 5.4679]],
    [[378, 6.0286], [321, 5.3996], [213, 5.0533]],
  ],
  "glm-dsa": [
    [[66, 5.7355], [27, 5.374], [441, 5.2674]],
    [[213, 6.1632], [321, 5.3091], [378, 5.1873]],
  ],
  "deepseek32-chosen": [
    [[386, 6.8224], [121, 6.0119], [211, 5.4723]],
    [[341, 6.1016], [377, 5.3979], [226, 4.9241]],
  ],
  "deepseek4": [
    [[169, 7.3221], [381, 4.7675], [398, 4.7392]],
    [[180, 6.0134], [97, 5.5343], [163, 5.3834]],
  ],
  "glm-dsa-chosen": [
    [[176, 7.0112], [86, 6.3867], [129, 6.1727]],
    [[56, 5.3035], [429, 5.3015], [39, 5.0792]],
  ],
};

/** The reference's greedy ids after the first 12 of the prompt. */
export const SINGULAR_GREEDY: Readonly<Record<keyof typeof SINGULAR_FAMILIES, readonly number[]>> =
  {
    "arctic": [148, 252, 159, 387, 269, 436, 121, 450, 296, 313, 344, 328],
    "grovemoe": [355, 503, 49, 91, 48, 398, 439, 416, 470, 450, 258, 281],
    "chameleon": [320, 306, 126, 278, 431, 310, 153, 123, 144, 434, 203, 84],
    "chameleon-behind": [374, 479, 483, 224, 22, 174, 159, 303, 196, 49, 198, 345],
    "minimax-m3": [80, 107, 288, 408, 95, 86, 390, 267, 267, 267, 267, 267],
    "cogvlm": [306, 309, 439, 82, 454, 257, 35, 49, 243, 399, 23, 439],
    "nanbeige": [353, 353, 353, 2, 447, 205, 2, 447, 461, 361, 353, 461],
    "nanbeige-plain": [18, 124, 374, 160, 467, 467, 467, 467, 467, 374, 274, 357],
    "hrm_text": [47, 466, 87, 27, 496, 25, 141, 362, 7, 5, 35, 31],
    "talkie": [395, 27, 287, 60, 45, 213, 32, 227, 121, 39, 47, 343],
    "talkie-scaled": [14, 36, 47, 205, 321, 310, 110, 47, 205, 269, 510, 504],
    "deepseek32": [66, 79, 256, 327, 180, 15, 410, 432, 47, 444, 321, 220],
    "glm-dsa": [66, 79, 256, 327, 180, 15, 404, 17, 387, 487, 457, 61],
    "deepseek32-chosen": [386, 415, 122, 242, 399, 250, 197, 425, 475, 306, 257, 88],
    "deepseek4": [169, 132, 499, 116, 96, 99, 160, 132, 99, 95, 403, 106],
    "glm-dsa-chosen": [176, 21, 364, 400, 113, 10, 217, 462, 91, 389, 283, 211],
  };
