/** How a frame of AAC lies in time: one long window or eight short ones, in groups. */
import type { BitReader } from "../bit_reader.ts";
import { type Bands, SHORT_COUNT } from "./bands.ts";

/** Sequences of windows: besides these one long window, of which all others follow. */
export const LONG_START = 1;
export const EIGHT_SHORT = 2;
export const LONG_STOP = 3;

export interface Layout {
  readonly sequence: number;
  /** 0: sines; 1: Kaiser's and Bessel's. */
  readonly shape: number;
  /** Windows of each group, which shares scale factors. */
  readonly groups: readonly number[];
  /** Bands that are coded: the first ones. */
  readonly bands: number;
  /** Where bands of a window begin, and the last one's end. */
  readonly offsets: readonly number[];
  /** Of all bands so many are the most that TNS filters reach. */
  readonly tnsBands: number;
}

/** ics_info() of ISO/IEC 14496-3, 4.4.2.1. */
export function readLayout(bits: BitReader, bands: Bands): Layout {
  bits.read(1);
  const sequence = bits.read(2), shape = bits.read(1);
  const isShort = sequence === EIGHT_SHORT;
  const count = bits.read(isShort ? 4 : 6);
  const offsets = isShort ? bands.short : bands.long;
  if (count >= offsets.length) {
    throw bits.damaged(`a frame of it has ${count} bands, where ${offsets.length - 1} are most`);
  }
  const of = { sequence, shape, bands: count, offsets };
  if (isShort) return { ...of, groups: readGroups(bits), tnsBands: bands.tnsBandsShort };
  if (bits.read(1) === 1) {
    throw bits.damaged("its frames are predicted, as those of AAC-LC are not");
  }
  return { ...of, groups: [1], tnsBands: bands.tnsBandsLong };
}

/** A bit for each window but the first: whether it belongs to the group before it. */
function readGroups(bits: BitReader): number[] {
  const groups = [1];
  for (let window = 1; window < SHORT_COUNT; window++) {
    if (bits.read(1) === 1) groups[groups.length - 1]++;
    else groups.push(1);
  }
  return groups;
}
