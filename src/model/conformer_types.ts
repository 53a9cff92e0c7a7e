/**
 * What a conformer has, an encoder of sounds whose layers convolve, too: attention by relative
 * positions, convolutions within layers, and those before them that make rows fewer. Data only.
 * One layer of such a file is three of the walk: neurons alone; attention alone; a convolution in
 * the place of attention, and neurons.
 */
import type { MatrixTensor, NormTensors, VectorTensor } from "./types.ts";

/**
 * Scores of a row i and a row j: cap(scale · (q + u) · k + positionScale · (q + v) · p), p being
 * what a layer makes of waves of the distance i - j, of as many lengths as there are sines, from
 * one position on to `LONGEST_WAVE`, or has learned of that distance.
 */
export interface RelativeConfig {
  /** So many rows are seen: a row itself, and those before it. Null: all of a part, or block. */
  readonly rowsSeen: number | null;
  /** Rows come in blocks of so many, and see those of their own. Left out: there are none. */
  readonly blockRows?: number;
  /** Multiplies q · p as `ModelConfig.attentionScale` multiplies q · k. */
  readonly positionScale: number;
  /**
   * Sines, then cosines, the last of them the longest; or each sine beside its cosine. Null: there
   * are none, distances are learned.
   */
  readonly waves: "halves" | "pairs" | null;
}

/** What the longest of the waves is times as long as the shortest one. */
export const LONGEST_WAVE = 10_000;

/** Of a layer that attends by relative positions. */
export interface RelativeTensors {
  /**
   * [heads · headDim, d]: makes p of waves. Without them [2 · blockRows - 1, headDim]: the p of all
   * heads, of distances from 1 - blockRows on.
   */
  readonly positions: MatrixTensor;
  /** [headDim] each: multiply queries and keys of all heads. Left out: nothing does. */
  readonly queryGains?: VectorTensor;
  readonly keyGains?: VectorTensor;
  /** [heads · headDim] each: u and v. Left out: nothing is added. */
  readonly keySum?: VectorTensor;
  readonly positionSum?: VectorTensor;
}

/**
 * Of a layer that filters rows in the place of attention: silu(even(conv(a · x ⊙ sigmoid(g · x)))),
 * a being its query's matrix and g that of its keys, each channel convolved with what is near it.
 * Channels are shared out as the dimensions of heads are, of which such a layer may have more
 * (`LayerConfig.shape`).
 */
export interface FilterTensors {
  /** [channels, taps], in the order of rows. */
  readonly weights: VectorTensor;
  /** Taps behind the row's own. */
  readonly tapsAhead: number;
  /** [channels]: added behind it. Left out: nothing is. */
  readonly bias?: VectorTensor;
  /**
   * [channels] each: (x - mean) / √variance is what goes on, as they were counted in training. Left
   * out: x.
   */
  readonly counted?: { readonly mean: VectorTensor; readonly variance: VectorTensor };
  /** What is multiplied by `gains` is normalised (RMS), all channels of a row. */
  readonly isNormalized: boolean;
  /** [channels] each: even(x) = gains ⊙ x + sum. Sum left out: nothing is added. */
  readonly gains: VectorTensor;
  readonly sum?: VectorTensor;
}

/** What a layer of a conformer has. Left out: it does not attend so, nor filter rows. */
export interface ConformerLayer {
  readonly relative?: RelativeTensors;
  readonly filter?: FilterTensors;
}

/**
 * A spectrogram, [frames, bands], as a plane that convolutions make half as long and half as high
 * each, with a norm (of layers) of a place's channels, where there is one, and relu behind each;
 * what is left of a time is multiplied into a row. Nothing is around the plane, whose last row may
 * be of fewer frames.
 */
export interface SubsamplingConfig {
  readonly bands: number;
  /** Of what each convolution gives. */
  readonly channels: readonly number[];
  /** Null: there are no norms. */
  readonly epsilon: number | null;
  /** What a row is made of: a band's channels side by side, or a channel's bands. */
  readonly order: "byBand" | "byChannel";
}

/** Frames that become one row: every other one of every other one … */
export function framesToRow({ channels }: Pick<SubsamplingConfig, "channels">): number {
  return 2 ** channels.length;
}

/** Of `SubsamplingConfig`; kernels are [channels, inputs, 3 times, 3 bands]. */
export interface SubsamplingTensors {
  /** Behind the first convolution, whose kernels are `ModelTensors.tokenEmbedding`. */
  readonly others: readonly (MatrixTensor | DepthwiseTensors)[];
  /** Of what each gives, [channels]; empty: there are none. */
  readonly norms: readonly NormTensors[];
  /** [d, bands · channels]: makes rows. */
  readonly output: MatrixTensor;
}

/** A convolution of each channel by itself, and a matrix that mixes what they give. */
export interface DepthwiseTensors {
  /** [channels, 3 times, 3 bands], and what is added, [channels]. */
  readonly kernels: VectorTensor;
  readonly bias: VectorTensor;
  /** [channels, channels] */
  readonly mix: MatrixTensor;
}
