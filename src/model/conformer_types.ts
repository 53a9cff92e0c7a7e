/**
 * What a conformer has, an encoder of sounds whose layers convolve, too: attention by relative
 * positions, convolutions within layers, and those before them that make rows fewer. Data only.
 * One layer of such a file is three of the walk: neurons alone; attention alone; a convolution in
 * the place of attention, and neurons.
 */
import type { MatrixTensor, NormTensors, VectorTensor } from "./types.ts";

/**
 * Scores of a row i and a row j of its own past: cap(scale · q · k + positionScale · q · p), p
 * being what a layer makes of waves of the distance i - j: sines, then cosines of it, of as many
 * lengths, from one position on to `LONGEST_WAVE`.
 */
export interface RelativeConfig {
  /** So many rows are seen: a row itself, and those before it. */
  readonly rowsSeen: number;
  /** Multiplies q · p as `ModelConfig.attentionScale` multiplies q · k. */
  readonly positionScale: number;
}

/** What the longest of the waves is times as long as the shortest one. */
export const LONGEST_WAVE = 10_000;

/** Of a layer that attends by relative positions. */
export interface RelativeTensors {
  /** [heads · headDim, d]: makes p of waves. */
  readonly positions: MatrixTensor;
  /** [headDim] each: multiply queries and keys of all heads. Left out: nothing does. */
  readonly queryGains?: VectorTensor;
  readonly keyGains?: VectorTensor;
}

/**
 * Of a layer that filters rows in the place of attention: silu(norm(conv(a · x ⊙ sigmoid(g · x)))),
 * a being its query's matrix and g that of its keys, each channel convolved with its own past.
 * Channels are shared out as the dimensions of heads are.
 */
export interface FilterTensors {
  /** [d, taps], the row's own tap last. */
  readonly weights: VectorTensor;
  /** [d]: added behind it. Left out: nothing is. */
  readonly bias?: VectorTensor;
  /** [d]: of the norm (RMS) of all channels of a row. */
  readonly norm: VectorTensor;
}

/** What a layer of a conformer has. Left out: it does not attend so, nor filter rows. */
export interface ConformerLayer {
  readonly relative?: RelativeTensors;
  readonly filter?: FilterTensors;
}

/**
 * A spectrogram, [frames, bands], as a plane that two convolutions make half as long and half as
 * high each, with a norm (of layers) of a place's channels and relu behind both; what is left of a
 * time, band by band, is multiplied into a row. Nothing is around the plane, whose last row may be
 * of fewer frames.
 */
export interface SubsamplingConfig {
  readonly bands: number;
  /** Of what each convolution gives. */
  readonly channels: readonly [number, number];
  readonly epsilon: number;
}

/** Frames that become one row: every other one of every other one. */
export const FRAMES_OF_ROW = 4;

/** Of `SubsamplingConfig`; kernels are [channels, inputs, 3 times, 3 bands]. */
export interface SubsamplingTensors {
  /** The second one's; `ModelTensors.tokenEmbedding` has the first one's. */
  readonly second: MatrixTensor;
  /** Of what each gives, [channels]. */
  readonly norms: readonly [NormTensors, NormTensors];
  /** [d, bands · channels]: makes rows. */
  readonly output: MatrixTensor;
}
