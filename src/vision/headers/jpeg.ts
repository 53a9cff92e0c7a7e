/** JPEG: segments with markers, and compressed pixels between some of them. */
import { concatBytes } from "../../base/bytes.ts";
import { ByteReader } from "./byte_reader.ts";
import type { ImageHeader } from "./types.ts";

export interface JpegHeader extends ImageHeader {
  readonly kind: "jpeg";
  /** With a marker at its end, which tells a decoder that nothing is missing. */
  readonly file: Uint8Array;
}

const END = 0xd9;
const SCAN = 0xda;
/** Frames' headers: all of 0xc0 to 0xcf but tables. */
const NO_FRAMES = [0xc4, 0xc8, 0xcc];
/**
 * Progressive files have about ten; each one goes over all pixels, and a few bytes are enough for
 * it.
 */
const SCANS_MAX = 100;

/** @throws {RequestError} 400 when it ends early, has no frame, or more than one. */
export function readJpegHeader(bytes: Uint8Array): JpegHeader {
  const reader = new ByteReader(bytes, "jpeg");
  let size: { width: number; height: number } | null = null;
  let scans = 0;
  let at = 2;
  while (true) {
    at = nextMarker(bytes, at);
    // What comes behind the last marker is not looked at.
    if (at === bytes.length || bytes[at] === END) break;
    const marker = bytes[at];
    if (marker >= 0xc0 && marker <= 0xcf && !NO_FRAMES.includes(marker)) {
      if (size !== null) throw reader.damaged("has two sizes");
      size = { height: reader.u16(at + 4), width: reader.u16(at + 6) };
      if (reader.u8(at + 8) === 4) throw reader.damaged("has four colours (CMYK) instead of three");
    }
    if (marker === SCAN && ++scans > SCANS_MAX) {
      throw reader.damaged(`goes over its pixels more than ${SCANS_MAX} times`);
    }
    // Segments have lengths, which count themselves.
    const length = reader.u16(at + 1);
    if (length < 2) throw reader.damaged(`has a part of length ${length} at byte ${at}`);
    at += 1 + length;
  }
  if (size === null || scans === 0) throw reader.damaged("ends before its pixels begin");
  // Some programs leave it out.
  const file = at < bytes.length ? bytes : concatBytes([bytes, Uint8Array.of(0xff, END)]);
  return { kind: "jpeg", file, ...size };
}

/** Where the next marker's second byte is; the file's length when there is none. */
function nextMarker(bytes: Uint8Array, from: number): number {
  for (let at = from;;) {
    at = bytes.indexOf(0xff, at);
    if (at < 0) return bytes.length;
    while (bytes[at] === 0xff) at++;
    if (at >= bytes.length) return bytes.length;
    // 0: the byte before is one of the pixels'. Restarts and the like have no length.
    const isBare = bytes[at] === 0 || bytes[at] === 1 || bytes[at] >= 0xd0 && bytes[at] <= 0xd8;
    if (!isBare) return at;
    at++;
  }
}
