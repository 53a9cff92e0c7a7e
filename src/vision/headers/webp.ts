/** WebP: chunks in a RIFF, of which one has the pixels, or the first picture of a film. */
import { concatBytes } from "../../base/bytes.ts";
import { ByteReader } from "./byte_reader.ts";
import type { ImageHeader } from "./types.ts";

export interface WebpHeader extends ImageHeader {
  readonly kind: "webp";
  /** What is to be decoded: the file, or one that is made of a film's first picture. */
  readonly file: Uint8Array;
}

const HEAD_BYTES = 12;
/** Of a film's picture, before its chunks: place, size, time, flags. */
const PICTURE_BYTES = 16;
const HAS_ALPHA = 0x10;

interface Chunk {
  readonly name: string;
  /** With its name and length, and a byte more where that is odd. */
  readonly start: number;
  readonly end: number;
}

/** @throws {RequestError} 400 when it ends early, or is none. */
export function readWebpHeader(bytes: Uint8Array): WebpHeader {
  const reader = new ByteReader(bytes, "webp");
  const first = reader.name(HEAD_BYTES);
  if (first !== "VP8X") return { kind: "webp", file: bytes, ...sizeOf(reader, HEAD_BYTES) };
  const chunks = chunksOf(reader, HEAD_BYTES, bytes.length);
  const picture = chunks.find(({ name }) => name === "ANMF");
  if (picture === undefined) {
    return { kind: "webp", file: bytes, width: reader.u24(24) + 1, height: reader.u24(27) + 1 };
  }
  // A film's first picture may be smaller than the film: it is what is looked at.
  const at = picture.start + 8;
  const [width, height] = [reader.u24(at + 6) + 1, reader.u24(at + 9) + 1];
  const parts = chunksOf(reader, at + PICTURE_BYTES, picture.end)
    .filter(({ name }) => name === "ALPH" || name === "VP8 " || name === "VP8L")
    .map(({ start, end }) => bytes.subarray(start, end));
  return { kind: "webp", file: webpOf({ width, height }, parts), width, height };
}

function sizeOf(reader: ByteReader, at: number): { width: number; height: number } {
  const name = reader.name(at);
  if (name === "VP8L") {
    const bits = reader.u32(at + 9, true);
    return { width: (bits & 0x3fff) + 1, height: (bits >>> 14 & 0x3fff) + 1 };
  }
  if (name !== "VP8 ") throw reader.damaged(`has pixels of the kind ${JSON.stringify(name)}`);
  const [width, height] = [reader.u16(at + 14, true), reader.u16(at + 16, true)];
  return { width: width & 0x3fff, height: height & 0x3fff };
}

function chunksOf(reader: ByteReader, from: number, to: number): Chunk[] {
  const chunks: Chunk[] = [];
  for (let start = from; start + 8 <= to;) {
    const length = reader.u32(start + 4, true);
    const end = start + 8 + length + length % 2;
    // What follows the last picture's pixels may be cut off: decoders say whether they miss it.
    chunks.push({ name: reader.name(start), start, end: Math.min(end, to) });
    start = end;
  }
  return chunks;
}

/** A file of one picture. */
function webpOf(
  { width, height }: { readonly width: number; readonly height: number },
  parts: readonly Uint8Array[],
): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const head = new Uint8Array(HEAD_BYTES + 18);
  const view = new DataView(head.buffer);
  const write = (at: number, text: string) => head.set(new TextEncoder().encode(text), at);
  write(0, "RIFF");
  view.setUint32(4, head.length - 8 + length, true);
  write(8, "WEBPVP8X");
  view.setUint32(16, 10, true);
  head[20] = HAS_ALPHA;
  // Sizes are 24 bits, less one: the byte behind each is written over, or is not there.
  view.setUint32(24, width - 1, true);
  view.setUint16(27, (height - 1) & 0xffff, true);
  head[29] = height - 1 >> 16;
  return concatBytes([head, ...parts]);
}
