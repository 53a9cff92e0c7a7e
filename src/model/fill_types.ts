/** How a model fills in a text whose places are masked (masked diffusion): part of types.ts. */

/** Its answer is a row of masks at first, of which steps put words in the place of some. */
export interface FillConfig {
  /** The id that stands where nothing is said yet. No answer has it. */
  readonly maskId: number;
  /** What belongs at a place is said by the row before it, as in models that go on with a text. */
  readonly isShifted: boolean;
}

/** What a model that fills in has. */
export interface FillingModel {
  /** Tokens see all of the text, and say what masks stand for. Left out: it fills in nothing. */
  readonly fill?: FillConfig;
}

/** Places that are looked at in one step at most: the longest block of an answer. */
export const FILL_BLOCK_MAX = 64;
