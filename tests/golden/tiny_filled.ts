/**
 * What llama.cpp's v0.5.0 gives of texts that are filled in by the tiny models of seed 1 (a
 * program of a page over its library, attention in both directions, keys in F32; NOTES.md): the
 * first logits of the first row of `FILLED_TEXT` and of the last but one; and the 20 ids that its
 * own loop (`diffusion_generate` of examples/diffusion, blocks of 1 and of 4, all of a block in a
 * step, the best id of each) puts behind the first 20 of `TINY_PROMPT`. Data only.
 */
import { TINY_MASK, type TinyFillName } from "../support/tiny_fill_families.ts";
import { TINY_PROMPT } from "../support/tiny_model.ts";

/** 40 ids, then masks with some ids between. */
export const FILLED_TEXT: readonly number[] = [
  ...TINY_PROMPT.slice(0, 40),
  ...Array.from({ length: 24 }, (_, i) => i > 0 && i % 5 === 0 ? 43 + i : TINY_MASK),
];

/** Rows of it whose first logits are kept. */
export const FILLED_ROWS = [0, 62] as const;

// deno-fmt-ignore
export const TINY_FILLED: Readonly<Record<TinyFillName, {
  readonly logits: readonly (readonly number[])[];
  readonly oneByOne: readonly number[];
  readonly foursAtOnce: readonly number[];
}>> = {
  "llada": {
    logits: [
      [-0.36427, 1.76129, 1.45335, -1.00998, -3.11339, 0.71070, -2.91603, 0.72736],
      [-1.69149, 2.72139, -0.90812, -0.12075, -6.17873, -0.76510, 1.63255, -1.05078],
    ],
    oneByOne: [
      296, 296, 501, 501, 501, 250, 250, 250, 250, 250,
      141, 141, 296, 346, 346, 346, 346, 346, 346, 346,
    ],
    foursAtOnce: [
      296, 296, 296, 501, 501, 250, 250, 250, 250, 250,
      250, 250, 250, 346, 328, 328, 346, 346, 346, 346,
    ],
  },
  "llada-moe": {
    logits: [
      [0.05813, 2.64710, 1.82019, -1.81238, -1.34543, 0.61826, 1.02018, 3.29977],
      [0.36500, 3.89303, -1.63907, -2.18637, 1.08978, -0.01515, -0.05294, 1.38175],
    ],
    oneByOne: [
      322, 322, 322, 322, 350, 322, 322, 322, 322, 1,
      1, 322, 322, 322, 322, 322, 322, 322, 322, 322,
    ],
    foursAtOnce: [
      322, 322, 322, 322, 350, 322, 322, 322, 322, 1,
      1, 1, 322, 322, 322, 322, 322, 322, 322, 322,
    ],
  },
  "dream": {
    logits: [
      [1.57262, 1.71040, 1.18818, 2.84620, 2.16184, 0.70356, 2.52411, -0.45015],
      [-1.45009, 2.82290, 0.25784, -1.37769, 3.27406, -0.86660, -0.52399, -1.63315],
    ],
    oneByOne: [
      124, 232, 326, 410, 83, 103, 125, 59, 388, 69,
      251, 199, 489, 298, 290, 480, 105, 103, 389, 178,
    ],
    foursAtOnce: [
      124, 242, 242, 242, 171, 242, 242, 242, 171, 242,
      242, 242, 171, 410, 410, 410, 83, 242, 410, 410,
    ],
  },
  "rnd1": {
    logits: [
      [-4.01166, -2.49637, -2.02509, -0.47197, 0.82565, -1.26813, 4.53142, -0.51438],
      [0.15785, -0.59912, -0.73076, -1.51847, -1.48751, -1.79053, -1.14641, 0.09992],
    ],
    oneByOne: [
      402, 226, 145, 11, 147, 214, 373, 387, 70, 171,
      258, 163, 221, 245, 217, 423, 96, 433, 331, 225,
    ],
    foursAtOnce: [
      402, 46, 46, 46, 58, 46, 46, 46, 58, 147,
      46, 147, 499, 46, 46, 387, 24, 333, 333, 46,
    ],
  },
};
