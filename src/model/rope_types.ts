/** What rotary embeddings are, and queries that their positions make longer. Data only. */
import type { VectorTensor } from "./types.ts";

/** Scaling of rotary frequencies beyond the trained context. */
export interface RopeScaling {
  readonly type: "none" | "linear" | "yarn";
  /** Context extension factor; positions are divided by it. */
  readonly factor: number;
  /** Context length of the original training, tokens (YaRN, long-rope). */
  readonly originalContextLength: number;
  /** Multiplies cos and sin, on top of the magnitude that YaRN derives from `factor`; usually 1. */
  readonly attentionFactor: number;
  /** YaRN's share of frequencies left unscaled where they are fast; 1 = all of YaRN, 0 = linear. */
  readonly extrapolation: number;
  /** Turns within the original context above which a frequency is left alone (YaRN). */
  readonly betaFast: number;
  /** Turns within the original context below which a frequency is divided by `factor` (YaRN). */
  readonly betaSlow: number;
}

export interface RopeConfig {
  /** "norm" turns neighbouring pairs (2i, 2i+1); "neox" turns (i, i + dimensionCount / 2). */
  readonly kind: "norm" | "neox";
  /** How many dimensions of a head are turned, from `start` on. */
  readonly dimensionCount: number;
  /** Left out: 0. */
  readonly start?: number;
  readonly frequencyBase: number;
  readonly scaling: RopeScaling;
  /** [dimensionCount / 2] values that divide the frequencies (Llama 3, long-rope), or null. */
  readonly factors: VectorTensor | null;
  /** Where tokens have more than one position. Left out: all pairs turn by the first one. */
  readonly axes?: RopeAxes;
  /** It turns the other way. Left out: it does not. */
  readonly turnsBack?: true;
  /** Of queries that are made longer. Left out: they are not. */
  readonly temperature?: QueryTemperature;
}

/**
 * Which of a token's positions turns a pair: 0 (in the text, or in time), 1 (an image's row), 2
 * (its column) or 3 (which image of the prompt it is). Of what stands in no image all are the same.
 */
export interface RopeAxes {
  /** [dimensionCount / 2]. */
  readonly axisOf: readonly (0 | 1 | 2 | 3)[];
  /** i of a pair's frequency base^(-2i / dimensionCount). Left out: the pair's own number. */
  readonly powerOf?: readonly number[];
}

/**
 * Queries are multiplied by 1 + scale · ln(1 + ⌊p / length⌋), p being the position, counted from
 * `first`.
 */
export interface QueryTemperature {
  readonly scale: number;
  readonly length: number;
  readonly first: 0 | 1;
}
