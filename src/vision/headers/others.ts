/** WebP, GIF and BMP. */
import { ByteReader } from "./byte_reader.ts";
import type { PlainHeader } from "./types.ts";

/** @throws {RequestError} 400 when it ends early, or is none. */
export function readWebpHeader(bytes: Uint8Array): PlainHeader {
  const reader = new ByteReader(bytes, "webp");
  const size = webpSize(reader);
  return { kind: "webp", ...size };
}

function webpSize(reader: ByteReader): { width: number; height: number } {
  const kind = reader.name(12);
  if (kind === "VP8X") return { width: reader.u24(24) + 1, height: reader.u24(27) + 1 };
  if (kind === "VP8L") {
    const bits = reader.u32(21, true);
    return { width: (bits & 0x3fff) + 1, height: (bits >>> 14 & 0x3fff) + 1 };
  }
  if (kind !== "VP8 ") throw reader.damaged(`has pixels of the kind ${JSON.stringify(kind)}`);
  const [width, height] = [reader.u16(26, true), reader.u16(28, true)];
  return { width: width & 0x3fff, height: height & 0x3fff };
}

/**
 * Its first picture may be larger than the file says it is.
 * @throws {RequestError} 400 when it ends early, or has no picture.
 */
export function readGifHeader(bytes: Uint8Array): PlainHeader {
  const reader = new ByteReader(bytes, "gif");
  const flags = reader.u8(10);
  let at = 13 + tableBytes(flags);
  // Extensions: a list of blocks each, with an empty one at the end.
  while (reader.u8(at) === 0x21) {
    at += 2;
    while (reader.u8(at) !== 0) at += 1 + reader.u8(at);
    at++;
  }
  if (reader.u8(at) !== 0x2c) throw reader.damaged(`has no picture at byte ${at}`);
  const right = reader.u16(at + 1, true) + reader.u16(at + 5, true);
  const bottom = reader.u16(at + 3, true) + reader.u16(at + 7, true);
  const [width, height] = [reader.u16(6, true), reader.u16(8, true)];
  if (right > width || bottom > height) {
    throw reader.damaged(`is ${width} · ${height} pixels large, its picture ${right} · ${bottom}`);
  }
  return { kind: "gif", width, height };
}

function tableBytes(flags: number): number {
  return (flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1);
}

/** @throws {RequestError} 400 when it ends early. */
export function readBmpHeader(bytes: Uint8Array): PlainHeader {
  const reader = new ByteReader(bytes, "bmp");
  const isOld = reader.u32(14, true) === 12;
  const [width, height] = isOld
    ? [reader.u16(18, true), reader.u16(20, true)]
    : [reader.i32(18), Math.abs(reader.i32(22))];
  return { kind: "bmp", width, height };
}
