/** Sounds between a file and a spectrogram. Data only. */

/** Samples of one channel, mostly from -1 to 1. */
export interface Samples {
  /** A second has so many. */
  readonly rate: number;
  readonly values: Float32Array;
}
