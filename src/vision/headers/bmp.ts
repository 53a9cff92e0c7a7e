/** BMP: uncompressed pixels of 8, 24 or 32 bits. */
import { ByteReader } from "./byte_reader.ts";
import type { ImageHeader } from "./types.ts";

export interface BmpHeader extends ImageHeader {
  readonly kind: "bmp";
  readonly bits: 8 | 24 | 32;
  readonly isTopDown: boolean;
  /** Bytes of a row. */
  readonly rowBytes: number;
  /** B, G, R and a byte more in turns; empty: there is none. */
  readonly palette: Uint8Array;
  readonly pixels: Uint8Array;
}

/** Bytes of the part that says what the pixels are, in its shortest form. */
const INFO_BYTES = 40;
const INFO_AT = 14;
/** Ways in which 32 bits may be B, G, R and one that says nothing. */
const PLAIN = 0;
const BY_MASKS = 3;
const MASKS = [0xff0000, 0xff00, 0xff];

/** @throws {RequestError} 400 when it ends early, or is of a kind that is hardly used. */
export function readBmpHeader(bytes: Uint8Array): BmpHeader {
  const reader = new ByteReader(bytes, "bmp");
  const infoBytes = reader.u32(INFO_AT, true);
  const bits = reader.u16(28, true);
  const packing = reader.u32(30, true);
  const isPlain = packing === PLAIN ||
    packing === BY_MASKS && bits === 32 &&
      MASKS.every((mask, i) => reader.u32(54 + 4 * i, true) === mask);
  if (infoBytes < INFO_BYTES || !isPlain || bits !== 8 && bits !== 24 && bits !== 32) {
    throw reader.damaged("is compressed, or of other pixels than of 8, 24 or 32 bits");
  }
  const [width, rows] = [reader.i32(18), reader.i32(22)];
  const height = Math.abs(rows);
  const rowBytes = Math.ceil(width * bits / 32) * 4;
  const pixelsAt = reader.u32(10, true);
  if (width > 0) reader.need(pixelsAt, rowBytes * height);
  const paletteAt = INFO_AT + infoBytes;
  return {
    ...{ kind: "bmp", width, height, bits, rowBytes, isTopDown: rows < 0 },
    palette: bits === 8 ? bytes.subarray(paletteAt, pixelsAt) : new Uint8Array(),
    pixels: bytes.subarray(pixelsAt),
  };
}
