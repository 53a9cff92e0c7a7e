/** One channel of a frame of AAC: what its bits say (ISO/IEC 14496-3, 4.4.2.1 and 4.6.1 on). */
import type { BitReader } from "../bit_reader.ts";
import { type Bands, LONG, SHORT } from "./bands.ts";
import { type Book, BOOKS, ESCAPE, readCode, SCALE_BOOK } from "./books.ts";
import { EIGHT_SHORT, type Layout, readLayout } from "./layout.ts";
import { readTns, type TnsFilter } from "./tns.ts";

/** What books mean that have no codes: noise is drawn (PNS). */
const SILENCE = 0;
const RESERVED = 12;
export const NOISE = 13;
/** Intensity stereo: the right channel is the left one with another sign, or with the same. */
export const INTENSITY_OPPOSITE = 14;
export const INTENSITY = 15;

export interface Channel {
  readonly layout: Layout;
  /** [groups, bands]: which book a band is coded by. */
  readonly books: Uint8Array;
  /** [groups, bands]: of what is coded a factor, else a power of 2 in quarters. */
  readonly scales: Float64Array;
  /** [LONG]: of eight windows one behind the other. */
  readonly spectrum: Float64Array;
  readonly filters: readonly TnsFilter[];
}

/** Where noise's scale begins below the frame's, and how its first step is told. */
const NOISE_OFFSET = 90;
const NOISE_BITS = 9;
/** A factor of 1. */
const SCALE_ONE = 100;
const SCALE_MAX = 255;
/** More bits than the largest escaped number has. */
const ESCAPE_BITS_MAX = 12;

/** What is added to some numbers of a spectrum before they are scaled. */
interface Pulse {
  readonly at: number;
  readonly height: number;
}

/** @param shared the layout, where the other channel of a pair has the same. */
export function readChannel(bits: BitReader, bands: Bands, shared: Layout | null): Channel {
  const gain = bits.read(8);
  const layout = shared ?? readLayout(bits, bands);
  const books = readBooks(bits, layout);
  const scales = readScales(bits, { books, gain });
  const pulses = bits.read(1) === 1 ? readPulses(bits, layout) : [];
  const filters = bits.read(1) === 1 ? readTns(bits, layout) : [];
  if (bits.read(1) === 1) throw bits.damaged("it has gain controls, as AAC-LC has not");
  const spectrum = new Float64Array(LONG);
  const channel = { layout, books, scales, spectrum, filters };
  readSpectrum(bits, channel);
  for (const pulse of pulses) addPulse(channel, pulse);
  scaleSpectrum(channel);
  return channel;
}

/** Neighbouring bands of a group share a book. */
function readBooks(bits: BitReader, { sequence, groups, bands }: Layout): Uint8Array {
  const books = new Uint8Array(groups.length * bands);
  const width = sequence === EIGHT_SHORT ? 3 : 5;
  const more = 2 ** width - 1;
  for (let group = 0; group < groups.length; group++) {
    for (let band = 0; band < bands;) {
      const book = bits.read(4);
      if (book === RESERVED) throw bits.damaged("a band of it has a book that there is not");
      let end = band;
      for (let part = more; part === more;) end += part = bits.read(width);
      if (end > bands) throw bits.damaged(`a frame of it has more than its ${bands} bands`);
      books.fill(book, group * bands + band, group * bands + end);
      band = end;
    }
  }
  return books;
}

/** Three kinds in turns, each told by its difference from the one before. */
function readScales(
  bits: BitReader,
  { books, gain }: { readonly books: Uint8Array; readonly gain: number },
): Float64Array {
  let scale = gain, place = 0, energy = gain - NOISE_OFFSET, hasNoise = false;
  return Float64Array.from(books, (book) => {
    switch (book) {
      case SILENCE:
        return 0;
      case INTENSITY_OPPOSITE:
      case INTENSITY:
        return place = bounded(bits, place + readStep(bits), -SCALE_MAX);
      case NOISE:
        energy += hasNoise ? readStep(bits) : bits.read(NOISE_BITS) - 2 ** (NOISE_BITS - 1);
        hasNoise = true;
        return bounded(bits, energy, -SCALE_MAX);
    }
    scale = bounded(bits, scale + readStep(bits), 0);
    return 2 ** ((scale - SCALE_ONE) / 4);
  });
}

function readStep(bits: BitReader): number {
  return SCALE_BOOK.values[readCode(bits, SCALE_BOOK)];
}

function bounded(bits: BitReader, scale: number, least: number): number {
  if (scale >= least && scale <= SCALE_MAX) return scale;
  throw bits.damaged(`a band of it has the scale ${scale}`);
}

function readPulses(bits: BitReader, { sequence, offsets }: Layout): Pulse[] {
  if (sequence === EIGHT_SHORT) throw bits.damaged("short windows of it have pulses");
  const count = bits.read(2) + 1, band = bits.read(6);
  // NaN, where there is no such band.
  let at = offsets[band] ?? NaN;
  return Array.from({ length: count }, () => {
    at += bits.read(5);
    if (!(at < LONG)) throw bits.damaged("it has pulses beyond its spectrum");
    return { at, height: bits.read(4) };
  });
}

function readSpectrum(bits: BitReader, { layout, books, spectrum }: Channel): void {
  const { groups, bands, offsets } = layout;
  let first = 0;
  groups.forEach((windows, group) => {
    for (let band = 0; band < bands; band++) {
      const number = books[group * bands + band];
      if (number === SILENCE || number > RESERVED) continue;
      const book = BOOKS[number], from = offsets[band], to = offsets[band + 1];
      for (let window = first; window < first + windows; window++) {
        for (let i = from; i < to; i += book.width) {
          readTuple(bits, book, { into: spectrum, at: window * SHORT + i });
        }
      }
    }
    first += windows;
  });
}

/** Numbers of a code; behind it are their signs, then what is left of the largest ones. */
function readTuple(
  bits: BitReader,
  book: Book,
  { into, at }: { readonly into: Float64Array; readonly at: number },
): void {
  const { width, values, hasSigns } = book;
  const place = width * readCode(bits, book);
  for (let i = 0; i < width; i++) {
    const value = values[place + i];
    into[at + i] = hasSigns && value !== 0 && bits.read(1) === 1 ? -value : value;
  }
  if (book !== BOOKS[ESCAPE_BOOK]) return;
  for (let i = 0; i < width; i++) {
    if (values[place + i] === ESCAPE) into[at + i] = readEscaped(bits) * Math.sign(into[at + i]);
  }
}

const ESCAPE_BOOK = 11;

/** As many ones as bits follow beyond four; the number's own first one is left out. */
function readEscaped(bits: BitReader): number {
  let count = 4;
  while (bits.read(1) === 1) {
    if (++count > ESCAPE_BITS_MAX) throw bits.damaged("a number of it has more than 13 bits");
  }
  return 2 ** count + bits.read(count);
}

/** Away from zero, and below it from there; only where a band is coded. */
function addPulse({ layout, books, spectrum }: Channel, { at, height }: Pulse): void {
  const book = books[layout.offsets.findIndex((offset) => offset > at) - 1] ?? SILENCE;
  if (book !== SILENCE && book < RESERVED) spectrum[at] += spectrum[at] > 0 ? height : -height;
}

/** Powers of 4/3 of what was read, by the factor of its band. */
function scaleSpectrum({ layout, books, scales, spectrum }: Channel): void {
  const { groups, bands, offsets } = layout;
  let first = 0;
  groups.forEach((windows, group) => {
    for (let band = 0; band < bands; band++) {
      const place = group * bands + band;
      if (books[place] === SILENCE || books[place] > RESERVED) continue;
      for (let window = first; window < first + windows; window++) {
        const end = window * SHORT + offsets[band + 1];
        for (let i = window * SHORT + offsets[band]; i < end; i++) {
          const value = spectrum[i];
          if (value !== 0) spectrum[i] = value * Math.cbrt(Math.abs(value)) * scales[place];
        }
      }
    }
    first += windows;
  });
}
