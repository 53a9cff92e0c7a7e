/** GIF: pictures one behind the other, of which the first one counts. */
import { ByteReader } from "./byte_reader.ts";
import type { ImageHeader } from "./types.ts";

export interface GifHeader extends ImageHeader {
  readonly kind: "gif";
  /** Where the first picture is in the image, which may be larger. */
  readonly picture: {
    readonly left: number;
    readonly top: number;
    readonly width: number;
    readonly height: number;
  };
  /** Rows come in four passes. */
  readonly isInterlaced: boolean;
  /** R, G and B in turns. */
  readonly palette: Uint8Array;
  /** The colour that is seen through; null: none is. */
  readonly seenThrough: number | null;
  /** Bits of the first codes' colours. */
  readonly codeBits: number;
  /** Codes in pieces of up to 255 bytes. */
  readonly compressed: readonly Uint8Array[];
}

const EXTENSION = 0x21;
const GRAPHICS = 0xf9;
const PICTURE = 0x2c;
const CODE_BITS_MAX = 8;

/** @throws {RequestError} 400 when it ends early, or has no picture, or one outside of it. */
export function readGifHeader(bytes: Uint8Array): GifHeader {
  const reader = new ByteReader(bytes, "gif");
  const [width, height] = [reader.u16(6, true), reader.u16(8, true)];
  const common = readTable(reader, reader.u8(10), 13);
  let at = 13 + common.length;
  let seenThrough: number | null = null;
  while (reader.u8(at) === EXTENSION) {
    const isGraphics = reader.u8(at + 1) === GRAPHICS && reader.u8(at + 2) >= 4;
    if (isGraphics) seenThrough = reader.u8(at + 3) % 2 === 1 ? reader.u8(at + 6) : null;
    at = readPieces(reader, at + 2).end;
  }
  if (reader.u8(at) !== PICTURE) throw reader.damaged(`has no picture at byte ${at}`);
  const [left, top, across, down] = [1, 3, 5, 7].map((offset) => reader.u16(at + offset, true));
  if (left + across > width || top + down > height) {
    throw reader.damaged(`has a picture that ends outside of it, which is ${width} · ${height}`);
  }
  const flags = reader.u8(at + 9);
  const own = readTable(reader, flags, at + 10);
  at += 10 + own.length;
  const codeBits = reader.u8(at);
  if (codeBits < 1 || codeBits > CODE_BITS_MAX) {
    throw reader.damaged(`has codes of ${codeBits} bits`);
  }
  return {
    ...{ kind: "gif", width, height, seenThrough, codeBits },
    picture: { left, top, width: across, height: down },
    isInterlaced: (flags & 0x40) !== 0,
    palette: own.length > 0 ? own : common,
    compressed: readPieces(reader, at + 1).pieces,
  };
}

function readTable(reader: ByteReader, flags: number, at: number): Uint8Array {
  const length = (flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1);
  reader.need(at, length);
  return reader.bytes.subarray(at, at + length);
}

/** Pieces with their lengths before them, up to an empty one. */
function readPieces(reader: ByteReader, from: number): { pieces: Uint8Array[]; end: number } {
  const pieces: Uint8Array[] = [];
  let at = from;
  for (let length = reader.u8(at); length > 0; length = reader.u8(at)) {
    reader.need(at + 1, length);
    pieces.push(reader.bytes.subarray(at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { pieces, end: at + 1 };
}
