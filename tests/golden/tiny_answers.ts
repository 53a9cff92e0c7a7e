/**
 * Logits that llama.cpp (npm's llama.rn 0.12.9) gives the answer to a source by the tiny models of
 * seed 1: the source is the first `SOURCE_TOKENS` of `TINY_PROMPT`, the answer the id that answers
 * begin with and the rest of it. The first numbers of the first row and of the last. Data only.
 */
import type { TinySourceName } from "../support/tiny_source_families.ts";

export const SOURCE_TOKENS = 20;

// deno-fmt-ignore
export const TINY_ANSWERS: Readonly<Record<TinySourceName, readonly (readonly number[])[]>> = {
  "t5": [
    [3.55240, 2.67512, -2.84170, -1.80223, 2.40084, 1.86118, 2.31121, 1.27953],
    [-1.00746, 1.06044, -3.01254, 0.14600, 0.54657, -4.66663, 0.44136, 1.68580],
  ],
  "t5-gated": [
    [-1.98989, 2.57250, 5.78891, -1.40326, 2.15201, -0.59428, -1.66911, 1.28566],
    [1.59766, 0.90227, -2.44936, 1.22151, 1.97575, -3.22401, 1.68220, 0.34204],
  ],
};
