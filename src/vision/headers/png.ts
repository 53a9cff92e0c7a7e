/** PNG: a list of chunks, the first of which says what the pixels are. */
import { ByteReader } from "./byte_reader.ts";
import type { ImageHeader } from "./types.ts";

export interface PngHeader extends ImageHeader {
  readonly kind: "png";
  /** Of a sample. */
  readonly bits: 1 | 2 | 4 | 8 | 16;
  readonly colours: "grey" | "rgb" | "palette" | "greyAlpha" | "rgbAlpha";
  readonly isInterlaced: boolean;
  /** R, G and B in turns; empty: there is none. */
  readonly palette: Uint8Array;
  /** Alphas of a palette, or the colour that is seen through, in 16-bit samples; empty: none. */
  readonly seenThrough: Uint8Array;
  /** A zlib stream in pieces. */
  readonly compressed: readonly Uint8Array[];
}

const SIGNATURE_BYTES = 8;
/** Length, name and checksum. */
const CHUNK_BYTES = 12;
/** Others are passed over: a file has room for more than a million of them. */
const USED_CHUNKS = ["PLTE", "tRNS", "IDAT"];
/** By colour type: what it is, and the bits that it goes with. */
const COLOUR_TYPES: Readonly<Record<number, [PngHeader["colours"], readonly number[]]>> = {
  0: ["grey", [1, 2, 4, 8, 16]],
  2: ["rgb", [8, 16]],
  3: ["palette", [1, 2, 4, 8]],
  4: ["greyAlpha", [8, 16]],
  6: ["rgbAlpha", [8, 16]],
};

/**
 * Checksums are not looked at: what is damaged shows up as colours, or when it is unpacked.
 * @throws {RequestError} 400 when it ends early, or is none.
 */
export function readPngHeader(bytes: Uint8Array): PngHeader {
  const reader = new ByteReader(bytes, "png");
  const chunks = new Map(USED_CHUNKS.map((each) => [each, [] as Uint8Array[]]));
  let name = "";
  for (let at = SIGNATURE_BYTES; name !== "IEND";) {
    const length = reader.u32(at);
    name = reader.name(at + 4);
    reader.need(at, length + CHUNK_BYTES);
    chunks.get(name)?.push(bytes.subarray(at + 8, at + 8 + length));
    at += length + CHUNK_BYTES;
  }
  const start = SIGNATURE_BYTES + 8;
  if (reader.name(start - 4) !== "IHDR") throw reader.damaged("has no header");
  const bits = reader.u8(start + 8);
  const [colours, allowed] = COLOUR_TYPES[reader.u8(start + 9)] ?? ["grey", []];
  const [packing, filters, interlacing] = [10, 11, 12].map((i) => reader.u8(start + i));
  if (!allowed.includes(bits) || packing > 0 || filters > 0 || interlacing > 1) {
    throw reader.damaged("says of its pixels what no PNG says");
  }
  const compressed = chunks.get("IDAT") ?? [];
  const [palette = new Uint8Array()] = chunks.get("PLTE") ?? [];
  const [seenThrough = new Uint8Array()] = chunks.get("tRNS") ?? [];
  if (compressed.length === 0) throw reader.damaged("has no pixels");
  if (colours === "palette" && palette.length < 3) throw reader.damaged("has no palette");
  return {
    ...{ kind: "png", bits: bits as PngHeader["bits"], colours, palette, seenThrough, compressed },
    isInterlaced: interlacing === 1,
    width: reader.u32(start),
    height: reader.u32(start + 4),
  };
}
