/**
 * What bands have that are not coded by themselves: noise (PNS), sums and differences of two
 * channels (M/S), and one channel as the other (intensity stereo; ISO/IEC 14496-3, 4.6.8, 4.6.13).
 */
import type { BitReader } from "../bit_reader.ts";
import { SHORT } from "./bands.ts";
import { type Channel, INTENSITY, INTENSITY_OPPOSITE, NOISE } from "./channel.ts";
import type { Layout } from "./layout.ts";
import type { Random } from "./random.ts";

const BY_BAND = 1;
const ALL = 2;

/** Which bands of a pair are marked, if any is. */
export interface Mask {
  /**
   * [groups, bands]: 1: a band of both is told by the sum and the difference; of noise: both have
   * the same; of intensity stereo: see `turns`.
   */
  readonly marks: Uint8Array;
  /** A mark turns intensity stereo's sign: not where all are marked at once (4.6.8.2.3). */
  readonly turns: boolean;
}

export function readMask(bits: BitReader, { groups, bands }: Layout): Mask {
  const kind = bits.read(2);
  if (kind > ALL) throw bits.damaged("a frame of it has a mask of a kind that there is not");
  const marks = new Uint8Array(groups.length * bands);
  if (kind === ALL) marks.fill(1);
  if (kind === BY_BAND) { for (let i = 0; i < marks.length; i++) marks[i] = bits.read(1); }
  return { marks, turns: kind === BY_BAND };
}

/** Bands of noise of one channel. */
export function addNoise(channel: Channel, random: Random): void {
  forEachBand(channel.layout, ({ place, from, to }) => {
    if (channel.books[place] === NOISE) makeNoise(channel, { place, from, to, random });
  });
}

/** Both channels of a pair, the left one's first. mask: null: each has a layout of its own. */
export function joinPair(left: Channel, right: Channel, mask: Mask | null): void {
  const [a, b] = [left.spectrum, right.spectrum];
  forEachBand(right.layout, ({ place, from, to }) => {
    const isMarked = mask?.marks[place] === 1;
    const book = right.books[place], other = left.books[place];
    if (book === INTENSITY || book === INTENSITY_OPPOSITE) {
      const isTurned = (book === INTENSITY_OPPOSITE) !== (isMarked && mask.turns);
      const factor = (isTurned ? -1 : 1) * 2 ** (-right.scales[place] / 4);
      for (let i = from; i < to; i++) b[i] = factor * a[i];
    } else if (book === NOISE || other >= NOISE) {
      if (!isMarked || book !== NOISE || other !== NOISE) return;
      const factor = 2 ** ((right.scales[place] - left.scales[place]) / 4);
      for (let i = from; i < to; i++) b[i] = factor * a[i];
    } else if (isMarked) {
      for (let i = from; i < to; i++) {
        const sum = a[i], difference = b[i];
        a[i] = sum + difference;
        b[i] = sum - difference;
      }
    }
  });
}

/** A band of a window in the spectrum, and its place among bands of groups. */
interface Part {
  readonly place: number;
  readonly from: number;
  readonly to: number;
}

function forEachBand({ groups, bands, offsets }: Layout, visit: (part: Part) => void): void {
  let window = 0;
  groups.forEach((windows, group) => {
    for (let i = 0; i < windows; i++, window++) {
      for (let band = 0; band < bands; band++) {
        const from = window * SHORT + offsets[band], to = window * SHORT + offsets[band + 1];
        visit({ place: group * bands + band, from, to });
      }
    }
  });
}

/** As loud as its scale says, whatever was drawn. */
function makeNoise(
  { spectrum, scales }: Channel,
  { place, from, to, random }: Part & { readonly random: Random },
): void {
  let energy = 0;
  for (let i = from; i < to; i++) {
    const value = random.next();
    spectrum[i] = value;
    energy += value * value;
  }
  const factor = 2 ** (scales[place] / 4) / Math.sqrt(energy);
  for (let i = from; i < to; i++) spectrum[i] *= factor;
}
