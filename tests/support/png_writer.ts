/** PNG files of every kind, for decoders to be tried on. */
import { deflateSync } from "node:zlib";
import { concatBytes } from "../../src/base/bytes.ts";
import { crc32 } from "../../src/base/crc32.ts";

export interface PngOptions {
  readonly width: number;
  readonly height: number;
  readonly bits: number;
  /** As the header has it: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha. */
  readonly type: number;
  readonly isInterlaced?: boolean;
  /** Chunks between header and pixels. */
  readonly extra?: readonly (readonly [name: string, bytes: Uint8Array])[];
  /** Sample of a channel, of `bits`. */
  sample(x: number, y: number, channel: number): number;
}

const CHANNELS: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const ADAM7 = [[0, 0, 8, 8], [0, 4, 8, 8], [4, 0, 8, 4], [0, 2, 4, 4], [2, 0, 4, 2], [0, 1, 2, 2]]
  .concat([[1, 0, 2, 1]]);

/** Rows take the five filters in turns. */
export function writePng(of: PngOptions): Uint8Array<ArrayBuffer> {
  const { width, height, bits, type, isInterlaced = false, extra = [] } = of;
  const passes = isInterlaced ? ADAM7 : [[0, 0, 1, 1]];
  const pixels = passes.flatMap((pass) => filtered(rowsOf(of, pass), bits * CHANNELS[type]));
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([bits, type, 0, 0, isInterlaced ? 1 : 0], 8);
  return concatBytes([
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    pngChunk("IHDR", header),
    ...extra.map(([name, bytes]) => pngChunk(name, bytes)),
    pngChunk("IDAT", deflateSync(Uint8Array.from(pixels))),
    pngChunk("IEND", new Uint8Array()),
  ]);
}

export function pngChunk(name: string, bytes: Uint8Array): Uint8Array {
  const chunk = new Uint8Array(bytes.length + 12);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, bytes.length);
  chunk.set(new TextEncoder().encode(name), 4);
  chunk.set(bytes, 8);
  view.setUint32(bytes.length + 8, crc32(chunk.subarray(4, bytes.length + 8)));
  return chunk;
}

function rowsOf(
  { width, height, bits, type, sample }: PngOptions,
  [top, left, rowStep, columnStep]: readonly number[],
): number[][] {
  const rows: number[][] = [];
  for (let y = top; y < height && left < width; y += rowStep) {
    const row: number[] = [];
    let [held, heldBits] = [0, 0];
    for (let x = left; x < width; x += columnStep) {
      for (let channel = 0; channel < CHANNELS[type]; channel++) {
        held = held << bits | sample(x, y, channel);
        heldBits += bits;
        for (; heldBits >= 8; heldBits -= 8) row.push(held >> heldBits - 8 & 255);
      }
    }
    if (heldBits > 0) row.push(held << 8 - heldBits & 255);
    rows.push(row);
  }
  return rows;
}

function filtered(rows: readonly number[][], pixelBits: number): number[] {
  const step = Math.ceil(pixelBits / 8);
  return rows.flatMap((row, y) => {
    const above = rows[y - 1] ?? row.map(() => 0);
    const filter = y % 5;
    return [
      filter,
      ...row.map((value, i) => {
        const [a, b, c] = [row[i - step] ?? 0, above[i], i < step ? 0 : above[i - step]];
        return value - [0, a, b, a + b >> 1, paeth(a, b, c)][filter] & 255;
      }),
    ];
  });
}

function paeth(a: number, b: number, c: number): number {
  const [pa, pb, pc] = [a, b, c].map((each) => Math.abs(a + b - c - each));
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}
