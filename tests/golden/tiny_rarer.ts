/** As tiny_logits.ts and tiny_greedy.ts, of rarer families. Data only. */
import type { RARER_FAMILIES } from "../support/tiny_rarer_families.ts";
import type { Best } from "./tiny_logits.ts";

/** llama.cpp's, which does not know "bitnet-b1.58". */
export const RARER_LOGITS: Readonly<
  Partial<Record<keyof typeof RARER_FAMILIES, readonly [at11: Best, at47: Best]>>
> = {
  "bitnet": [
    [[70, 5.0517], [197, 4.7301], [123, 4.6599]],
    [[482, 6.632], [462, 5.0064], [157, 4.9056]],
  ],
  "afmoe": [
    [[133, 6.3859], [353, 6.2526], [485, 5.3308]],
    [[172, 5.9392], [75, 5.5363], [491, 5.3772]],
  ],
  "openelm": [
    [[198, 6.1704], [112, 4.8985], [471, 4.8513]],
    [[343, 6.605], [113, 4.9816], [413, 4.8996]],
  ],
  "deci": [
    [[256, 5.953], [83, 5.6514], [179, 5.324]],
    [[122, 6.5652], [17, 6.4188], [469, 5.7081]],
  ],
  "apertus": [
    [[33, 5.89], [420, 4.3308], [1, 4.2042]],
    [[272, 7.0905], [244, 5.8486], [326, 5.2733]],
  ],
  "muse-glimmer": [
    [[463, 2.4936], [189, 2.4796], [292, 2.3599]],
    [[258, 2.5057], [103, 2.4438], [207, 2.3763]],
  ],
};

/** The reference's greedy ids after the first 12 of the prompt. */
export const RARER_GREEDY: Readonly<Record<keyof typeof RARER_FAMILIES, readonly number[]>> = {
  "bitnet": [70, 136, 123, 123, 123, 302, 338, 256, 497, 139, 71, 426],
  "bitnet-b1.58": [462, 19, 343, 457, 468, 19, 336, 468, 19, 343, 494, 286],
  "afmoe": [133, 405, 35, 306, 314, 194, 481, 500, 308, 75, 290, 206],
  "openelm": [198, 204, 486, 37, 322, 322, 322, 322, 322, 322, 322, 51],
  "deci": [256, 300, 97, 293, 462, 86, 173, 101, 450, 295, 83, 505],
  "apertus": [33, 402, 426, 244, 25, 266, 21, 246, 336, 206, 33, 402],
  "muse-glimmer": [463, 239, 329, 185, 465, 148, 500, 483, 403, 403, 403, 403],
};
