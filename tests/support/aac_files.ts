/** AAC written number by number, also as encoders seldom write it. */
import { bandsOf, RATES } from "../../src/hearing/decoders/aac/bands.ts";
import { type Book, BOOKS, SCALE_BOOK } from "../../src/hearing/decoders/aac/books.ts";
import { type Bits, pack } from "./flac_files.ts";
import type { Rng } from "./rng.ts";

export interface LayoutSpec {
  /** One long window, a start, eight short ones, a stop. */
  readonly sequence: 0 | 1 | 2 | 3;
  readonly shape: 0 | 1;
  /** Those that are coded. */
  readonly bands: number;
  /** Windows of each group; of a long one [1]. */
  readonly groups: readonly number[];
}

export interface FilterSpec {
  /** From the highest band that no filter before it has, so many down. */
  readonly bands: number;
  readonly isDown: boolean;
  readonly isCompressed: boolean;
  readonly codes: readonly number[];
}

export interface ChannelSpec {
  readonly layout: LayoutSpec;
  /** [groups · bands] */
  readonly books: readonly number[];
  /** [groups · bands]: as they are, not their differences. */
  readonly scales: readonly number[];
  /** [1024] whole numbers, before pulses. */
  readonly values: readonly number[];
  readonly pulses?: {
    readonly band: number;
    readonly steps: readonly (readonly [number, number])[];
  };
  /** Of each window, with codes of 4 bits, or of 3. */
  readonly filters?: readonly (readonly FilterSpec[])[];
  readonly isCoarse?: boolean;
}

/** A part of a frame: one channel, or two; or bits as they are. */
export type PartSpec =
  | { readonly bits: readonly Bits[] }
  | {
    readonly channels: readonly ChannelSpec[];
    /** Of two channels of one layout: [groups · bands], or all. */
    readonly mask?: readonly number[] | "all";
  };

/** A frame's bytes. */
export function writeFrame(parts: readonly PartSpec[], rate: number): Uint8Array {
  return Uint8Array.from(pack([...parts.flatMap((part) => partBits(part, rate)), [7, 3]]));
}

function partBits(part: PartSpec, rate: number): Bits[] {
  if ("bits" in part) return [...part.bits];
  const { channels: [first, second], mask } = part;
  if (second === undefined) return [[0, 3], [0, 4], ...channelBits(first, rate, false)];
  const isShared = mask !== undefined;
  const marks: Bits[] = mask === "all"
    ? [[2, 2]]
    : mask?.some((mark) => mark === 1)
    ? [[1, 2], ...mask.map((mark): Bits => [mark, 1])]
    : [[0, 2]];
  const head: Bits[] = isShared ? [[1, 1], ...layoutBits(first.layout), ...marks] : [[0, 1]];
  return [
    ...[[1, 3], [0, 4]] as Bits[],
    ...head,
    ...[first, second].flatMap((channel) => channelBits(channel, rate, isShared)),
  ];
}

function layoutBits({ sequence, shape, bands, groups }: LayoutSpec): Bits[] {
  const head: Bits[] = [[0, 1], [sequence, 2], [shape, 1]];
  if (sequence !== 2) return [...head, [bands, 6], [0, 1]];
  const joined = groups.flatMap((count) => [0, ...Array(count - 1).fill(1)]).slice(1);
  return [...head, [bands, 4], ...joined.map((bit): Bits => [bit, 1])];
}

/** The frame's own scale: those of noise begin 90 below it. */
const GAIN = 140;

function channelBits(channel: ChannelSpec, rate: number, isShared: boolean): Bits[] {
  const { layout, pulses, filters } = channel;
  const pulseBits: Bits[] = pulses === undefined ? [[0, 1]] : [
    [1, 1],
    [pulses.steps.length - 1, 2],
    [pulses.band, 6],
    ...pulses.steps.flatMap(([step, height]): Bits[] => [[step, 5], [height, 4]]),
  ];
  return [
    [GAIN, 8],
    ...isShared ? [] : layoutBits(layout),
    ...sectionBits(channel),
    ...scaleBits(channel),
    ...pulseBits,
    ...filters === undefined ? [[0, 1]] as Bits[] : filterBits(channel),
    [0, 1],
    ...spectrumBits(channel, rate),
  ];
}

function sectionBits({ layout, books }: ChannelSpec): Bits[] {
  const { bands, groups, sequence } = layout;
  const width = sequence === 2 ? 3 : 5, most = 2 ** width - 1;
  const bits: Bits[] = [];
  for (let group = 0; group < groups.length; group++) {
    for (let band = 0; band < bands;) {
      const book = books[group * bands + band];
      let end = band;
      while (end < bands && books[group * bands + end] === book) end++;
      bits.push([book, 4]);
      for (let left = end - band;; left -= most) {
        bits.push([Math.min(left, most), width]);
        if (left < most) break;
      }
      band = end;
    }
  }
  return bits;
}

function scaleBits({ books, scales }: ChannelSpec): Bits[] {
  let scale = GAIN, place = 0, energy = NaN;
  return books.flatMap((book, i): Bits[] => {
    const own = scales[i];
    if (book === 0) return [];
    if (book === 13) {
      const bits: Bits = isNaN(energy)
        ? [own - (GAIN - 90) + 256, 9]
        : codeOf(SCALE_BOOK, [own - energy]);
      energy = own;
      return [bits];
    }
    const before = book > 13 ? place : scale;
    if (book > 13) place = own;
    else scale = own;
    return [codeOf(SCALE_BOOK, [own - before])];
  });
}

function filterBits({ layout, filters = [], isCoarse }: ChannelSpec): Bits[] {
  const isShort = layout.sequence === 2;
  const bits: Bits[] = [[1, 1]];
  for (const own of filters) {
    bits.push([own.length, isShort ? 1 : 2]);
    if (own.length > 0) bits.push([isCoarse ? 0 : 1, 1]);
    for (const { bands, isDown, isCompressed, codes } of own) {
      bits.push([bands, isShort ? 4 : 6], [codes.length, isShort ? 3 : 5]);
      if (codes.length === 0) continue;
      const width = (isCoarse ? 3 : 4) - (isCompressed ? 1 : 0);
      bits.push([isDown ? 1 : 0, 1], [isCompressed ? 1 : 0, 1]);
      for (const code of codes) bits.push([code, width]);
    }
  }
  return bits;
}

function spectrumBits({ layout, books, values }: ChannelSpec, rate: number): Bits[] {
  const { sequence, groups, bands } = layout;
  const offsets = bandsOf(rate)[sequence === 2 ? "short" : "long"];
  const bits: Bits[] = [];
  let first = 0;
  groups.forEach((windows, group) => {
    for (let band = 0; band < bands; band++) {
      const number = books[group * bands + band];
      if (number === 0 || number > 11) continue;
      const { width } = BOOKS[number];
      for (let window = first; window < first + windows; window++) {
        for (let at = offsets[band]; at < offsets[band + 1]; at += width) {
          const from = 128 * window + at;
          for (const each of tupleBits(number, values.slice(from, from + width))) bits.push(each);
        }
      }
    }
    first += windows;
  });
  return bits;
}

/** A code, signs of what is not zero, and what is left of the largest numbers. */
function tupleBits(number: number, tuple: readonly number[]): Bits[] {
  const book = BOOKS[number];
  if (!book.hasSigns) return [codeOf(book, tuple)];
  const sizes = tuple.map(Math.abs);
  const most = number === 11 ? 16 : Infinity;
  const bits = [codeOf(book, sizes.map((size) => Math.min(size, most)))];
  for (const value of tuple) if (value !== 0) bits.push([value < 0 ? 1 : 0, 1]);
  for (const size of sizes) {
    if (size < most) continue;
    const count = 31 - Math.clz32(size);
    for (let i = 4; i < count; i++) bits.push([1, 1]);
    bits.push([0, 1], [size - 2 ** count, count]);
  }
  return bits;
}

const CODES = new Map<Book, Map<string, Bits>>();

function codeOf(book: Book, tuple: readonly number[]): Bits {
  let codes = CODES.get(book);
  if (codes === undefined) CODES.set(book, codes = codesOf(book));
  const code = codes.get(tuple.join());
  if (code === undefined) throw new Error(`no code for ${tuple} of a book of ${book.width}`);
  return code;
}

function codesOf({ width, values, ends, shifts, bits }: Book): Map<string, Bits> {
  const codes = new Map<string, Bits>();
  let length = 1;
  for (let place = 0; place < values.length / width; place++) {
    while (place - shifts[length] >= ends[length] / 2 ** (bits - length)) length++;
    const tuple = values.subarray(place * width, (place + 1) * width);
    codes.set(tuple.join(), [place - shifts[length], length]);
  }
  return codes;
}

/** Frames as they are sent, one behind the other. */
export function writeAdts(
  packets: readonly Uint8Array[],
  { rate, channels = 1, profile = 1 }: {
    readonly rate: number;
    readonly channels?: number;
    readonly profile?: number;
  },
): Uint8Array {
  return Uint8Array.from(packets.flatMap((packet) => {
    const head: Bits[] = [[0xfff, 12], [1, 4], [profile, 2], [RATES.indexOf(rate), 4], [0, 1]];
    head.push([channels, 3], [0, 4], [packet.length + 7, 13], [0x7ff, 11], [0, 2]);
    return [...pack(head), ...packet];
  }));
}

/** The largest numbers of books that have signs or not. */
const LARGEST = [0, 1, 1, 2, 2, 4, 4, 7, 7, 12, 12, 40];

/** A channel of random numbers: bands of these books, each of a scale not far from others. */
export function randomChannel(
  rng: Rng,
  layout: LayoutSpec,
  { rate, books }: { readonly rate: number; readonly books: readonly number[] },
): ChannelSpec {
  const { sequence, groups, bands } = layout;
  const offsets = bandsOf(rate)[sequence === 2 ? "short" : "long"];
  const own = Array.from({ length: groups.length * bands }, () => books[rng.int(books.length)]);
  const scales = own.map((book) =>
    book < 13 ? 120 + rng.int(30) : book > 13 ? rng.int(20) - 10 : 0
  );
  const values = Array<number>(1024).fill(0);
  let window = 0;
  groups.forEach((windows, group) => {
    for (const end = window + windows; window < end; window++) {
      for (let band = 0; band < bands; band++) {
        const most = LARGEST[own[group * bands + band]] ?? 0;
        for (let i = offsets[band]; i < offsets[band + 1]; i++) {
          values[128 * window + i] = rng.int(2 * most + 1) - most;
        }
      }
    }
  });
  return { layout, books: own, scales, values };
}
