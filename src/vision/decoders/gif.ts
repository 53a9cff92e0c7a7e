/** GIF's pixels: codes of growing lengths (LZW), each a row of colours that came before. */
import { concatBytes } from "../../base/bytes.ts";
import type { GifHeader } from "../headers/gif.ts";
import { damaged } from "../image_error.ts";
import type { Raster } from "../types.ts";

/** First row and step of each pass. */
const PASSES = [[0, 8], [4, 8], [2, 4], [1, 2]];
/** A code grows up to here. */
const CODE_BITS_MAX = 12;

/** Of the first picture, on white. @throws {RequestError} 400 when it is damaged. */
export function decodeGif(header: GifHeader): Raster {
  const { width, height, picture, palette, seenThrough } = header;
  const colours = unpack(header);
  const bytes = new Uint8Array(width * height * 3).fill(255);
  let from = 0;
  for (const y of rowsOf(header)) {
    let to = 3 * ((picture.top + y) * width + picture.left);
    for (let x = 0; x < picture.width; x++, to += 3) {
      const colour = colours[from++];
      if (colour === seenThrough) continue;
      bytes[to] = palette[3 * colour] ?? 0;
      bytes[to + 1] = palette[3 * colour + 1] ?? 0;
      bytes[to + 2] = palette[3 * colour + 2] ?? 0;
    }
  }
  const size = { width, height, rowStride: 3 * width, pixelStride: 3 };
  return { ...size, bytes, start: 0, channels: [0, 1, 2] };
}

/** The picture's rows as they come. */
function rowsOf({ isInterlaced, picture: { height } }: GifHeader): number[] {
  const rows: number[] = [];
  for (const [first, step] of isInterlaced ? PASSES : [[0, 1]]) {
    for (let y = first; y < height; y += step) rows.push(y);
  }
  return rows;
}

/** A byte for each pixel of the picture. */
function unpack({ codeBits, compressed, picture }: GifHeader): Uint8Array {
  const pixels = new Uint8Array(picture.width * picture.height);
  const bytes = concatBytes(compressed);
  const clear = 2 ** codeBits;
  const table = new CodeTable(clear);
  let [bits, previous, count] = [codeBits + 1, -1, 0];
  for (let bit = 0; bit + bits <= 8 * bytes.length && count < pixels.length;) {
    const at = bit >> 3;
    const code = (bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16) >> (bit & 7) &
      (1 << bits) - 1;
    bit += bits;
    if (code === clear) {
      table.count = clear + 2;
      [bits, previous] = [codeBits + 1, -1];
      continue;
    }
    if (code === clear + 1) break;
    // Only the next one may be meant before it is there: it begins as the one before does.
    if (code === table.count && previous >= 0) table.add(previous, table.firstOf(previous));
    else if (code >= table.count) throw damaged("gif", `its code ${code} stands for nothing`);
    else if (previous >= 0) table.add(previous, table.firstOf(code));
    if (code >= table.count) throw damaged("gif", `its code ${code} stands for nothing`);
    if (table.count === 2 ** bits && bits < CODE_BITS_MAX) bits++;
    count = table.write(code, pixels, count);
    previous = code;
  }
  if (count === pixels.length) return pixels;
  throw damaged("gif", `its picture ends after ${count} of ${pixels.length} pixels`);
}

/** What codes stand for: what another one does, and one colour more behind it. */
class CodeTable {
  /** Codes so far, the two that stand for no colours included. */
  count: number;
  readonly #before = new Uint16Array(2 ** CODE_BITS_MAX);
  readonly #first = new Uint8Array(2 ** CODE_BITS_MAX);
  readonly #last = new Uint8Array(2 ** CODE_BITS_MAX);
  readonly #lengths = new Uint16Array(2 ** CODE_BITS_MAX);

  constructor(colours: number) {
    this.count = colours + 2;
    this.#lengths.fill(1, 0, colours);
    for (let code = 0; code < colours; code++) this.#first[code] = this.#last[code] = code;
  }

  firstOf(code: number): number {
    return this.#first[code];
  }

  /** A full table stays as it is. */
  add(before: number, last: number): void {
    if (this.count === this.#before.length) return;
    this.#before[this.count] = before;
    this.#first[this.count] = this.#first[before];
    this.#last[this.count] = last;
    this.#lengths[this.count++] = this.#lengths[before] + 1;
  }

  /** Where the colours of a code end, once they are written; those beyond the pixels are not. */
  write(code: number, pixels: Uint8Array, at: number): number {
    const end = at + this.#lengths[code];
    let of = code;
    for (let i = end - 1; i >= at; i--) {
      if (i < pixels.length) pixels[i] = this.#last[of];
      of = this.#before[of];
    }
    return Math.min(end, pixels.length);
  }
}
