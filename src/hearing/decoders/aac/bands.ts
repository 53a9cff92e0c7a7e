/** Bands of AAC's spectra, by the rate (ISO/IEC 14496-3, 4.5.4): what shares a scale factor. */

/** Numbers of a spectrum, and so samples of a frame. */
export const LONG = 1024;
/** Of one of the eight short ones that a frame may have instead. */
export const SHORT = 128;
export const SHORT_COUNT = LONG / SHORT;

export interface Bands {
  /** Where bands begin, and the last one's end. */
  readonly long: readonly number[];
  readonly short: readonly number[];
  /** Bands that TNS filters reach at most. */
  readonly tnsBandsLong: number;
  readonly tnsBandsShort: number;
}

/** Samples of a second, as files number them. */
export const RATES: readonly number[] = [
  ...[96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350],
];

/** Rates from which on bands are those of a rate of the list, for files that have another one. */
const RATES_FROM = [92017, 75132, 55426, 46009, 37566, 27713, 23004, 18783, 13856, 11502, 9391, 0];

/** Numbers of bands that are equally wide, and how wide. */
type Widths = readonly (readonly [bands: number, width: number])[];

const LONG_96: Widths = [
  ...[[14, 4], [5, 8], [5, 12], [2, 16], [1, 24], [1, 28], [1, 36], [1, 44], [11, 64]] as const,
];
const LONG_64: Widths = [
  ...[[14, 4], [4, 8], [3, 12], [3, 16], [1, 20], [2, 24], [1, 28], [1, 36], [18, 40]] as const,
];
const BELOW_928: Widths = [
  ...[[10, 4], [7, 8], [4, 12], [2, 16], [2, 20], [2, 24], [2, 28], [19, 32]] as const,
];
const LONG_48: Widths = [...BELOW_928, [1, 96]];
const LONG_32: Widths = [...BELOW_928, [3, 32]];
const LONG_24: Widths = [
  ...[[11, 4], [10, 8], [4, 12], [3, 16], [2, 20], [2, 24], [2, 28], [1, 32], [2, 36]] as const,
  ...[[1, 40], [1, 44], [1, 48], [2, 52], [5, 64]] as const,
];
const LONG_16: Widths = [
  ...[[11, 8], [9, 12], [4, 16], [3, 20], [2, 24], [2, 28], [1, 32], [1, 36], [2, 40]] as const,
  ...[[1, 44], [1, 48], [1, 52], [1, 56], [1, 60], [3, 64]] as const,
];
const LONG_8: Widths = [
  ...[[13, 12], [7, 16], [4, 20], [3, 24], [2, 28], [1, 32], [2, 36], [1, 40], [1, 44]] as const,
  ...[[1, 48], [1, 52], [1, 56], [1, 60], [1, 64], [1, 80]] as const,
];

const SHORT_96: Widths = [[6, 4], [3, 8], [1, 16], [1, 28], [1, 36]];
const SHORT_48: Widths = [[5, 4], [3, 8], [3, 12], [3, 16]];
const SHORT_24: Widths = [[7, 4], [3, 8], [2, 12], [2, 16], [1, 20]];
const SHORT_16: Widths = [[8, 4], [2, 8], [2, 12], [1, 16], [2, 20]];
const SHORT_8: Widths = [[7, 4], [4, 8], [1, 12], [1, 16], [2, 20]];

/** By the rate's place: bands of both kinds, and how many of them TNS filters reach. */
const BY_RATE: readonly (readonly [Widths, Widths, number, number])[] = [
  [LONG_96, SHORT_96, 31, 9],
  [LONG_96, SHORT_96, 31, 9],
  [LONG_64, SHORT_96, 34, 10],
  [LONG_48, SHORT_48, 40, 14],
  [LONG_48, SHORT_48, 42, 14],
  [LONG_32, SHORT_48, 51, 14],
  [LONG_24, SHORT_24, 46, 14],
  [LONG_24, SHORT_24, 46, 14],
  [LONG_16, SHORT_16, 42, 14],
  [LONG_16, SHORT_16, 42, 14],
  [LONG_16, SHORT_16, 42, 14],
  [LONG_8, SHORT_8, 39, 14],
];

/** Those of a rate, whether it is of the list or not. */
export function bandsOf(rate: number): Bands {
  const [long, short, tnsBandsLong, tnsBandsShort] = BY_RATE[
    RATES_FROM.findIndex((from) => rate >= from)
  ];
  return { long: offsets(long), short: offsets(short), tnsBandsLong, tnsBandsShort };
}

function offsets(widths: Widths): number[] {
  const found = [0];
  for (const [bands, width] of widths) {
    for (let i = 0; i < bands; i++) found.push(found[found.length - 1] + width);
  }
  return found;
}
