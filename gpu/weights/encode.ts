/**
 * Rows of a file, re-encoded exactly for the GPU: codes and factors apart, all codes in natural
 * order. A piece of nibbles is 16 bytes: byte i holds column i in its low and column 16 + i in its
 * high half, which is ggml's own order in blocks of 32. Knows nothing of buffers.
 */
import { check } from "../../src/base/check.ts";
import { dequantizeInto, UE4M3 } from "../../src/model/mod.ts";
import { dtypeByName } from "../../src/model/dtypes.ts";
import { joinFifths, joinPairs, joinSixths, pairHalves, PAIRS } from "./encode_bits.ts";
import { isLookedUp, lookUp } from "./encode_codebooks.ts";
import type { CodeFormat, WeightFormat } from "./formats.ts";
import { groupFactors, packSuperblocks, superblockOf } from "./superblocks.ts";

/** Whole rows, or blocks, ready for the GPU. */
export interface Encoded {
  readonly codes: Uint8Array<ArrayBuffer>;
  readonly factors: Uint8Array<ArrayBuffer>;
}

/** A block's scale and offset: w = scale · q + offset. */
interface Factors {
  /** [groups]. */
  readonly scales: Float32Array<ArrayBuffer>;
  /** [groups], or empty where all are a multiple of the scale. */
  readonly offsets: Float32Array<ArrayBuffer>;
}

/**
 * Encodes whole blocks of ggml type `type`.
 * @param format of `weightFormat(type, …)`.
 */
export function encodeBlocks(type: string, bytes: Uint8Array, format: WeightFormat): Encoded {
  const none = new Uint8Array(0);
  if (format.family === "float") return { codes: Uint8Array.from(bytes), factors: none };
  const dtype = dtypeByName(type);
  check(dtype !== undefined, `no tensor type ${type}`);
  const blocks = bytes.length / dtype.blockBytes;
  check(Number.isInteger(blocks), `${bytes.length} bytes are no whole blocks of ${type}`);
  switch (type) {
    case "Q4_0":
      return splitBlocks(bytes, { blocks, factorWords: 1, codeWords: 8 }, format);
    case "Q4_1":
      return splitBlocks(bytes, { blocks, factorWords: 2, codeWords: 8 }, format);
    case "Q8_0":
      return splitBlocks(bytes, { blocks, factorWords: 1, codeWords: 16 }, format);
    case "E0M4":
      return encodeE0m4(bytes, blocks);
    case "IQ4_NL":
    case "IQ4_XS":
    case "MXFP4":
      return recode(type, bytes, blocks, format);
    case "NVFP4":
    case "NVFP4S":
      return { codes: recodeNvfp4(bytes, blocks), factors: encodeFactors(type, bytes, format) };
    default:
      return encodeSuperblocks(type, bytes, format) ?? encodeByValue(type, bytes, format);
  }
}

/** Of types that have superblocks; null: of others. */
function encodeSuperblocks(type: string, bytes: Uint8Array, format: CodeFormat): Encoded | null {
  const codes = superblockCodes(type, bytes);
  return codes && {
    codes: new Uint8Array(codes.buffer),
    factors: encodeFactors(type, bytes, format),
  };
}

function superblockCodes(type: string, bytes: Uint8Array) {
  if (isLookedUp(type)) return lookUp(type, bytes, dtypeByName(type)!.blockBytes);
  if (Object.hasOwn(PAIRS, type)) return joinPairs(words16(bytes), PAIRS[type]);
  switch (type) {
    case "Q4_K":
      return pairHalves(words16(bytes));
    case "Q5_K":
      return joinFifths(words16(bytes));
    case "Q6_K":
      return joinSixths(words16(bytes));
  }
  return null;
}

/** Blocks that begin with their f16 factors and hold codes as the GPU has them. */
function splitBlocks(
  bytes: Uint8Array,
  { blocks, factorWords, codeWords }: Record<"blocks" | "factorWords" | "codeWords", number>,
  format: CodeFormat,
): Encoded {
  const from = words16(bytes);
  const codes = new Uint16Array(blocks * codeWords);
  const factors = new Uint16Array(blocks * factorWords);
  for (let b = 0, at = 0; b < blocks; b++) {
    for (let i = 0; i < factorWords; i++) factors[b * factorWords + i] = from[at++];
    for (let i = 0; i < codeWords; i++) codes[b * codeWords + i] = from[at++];
  }
  const isWide = format.factors === "scale32";
  const scales = isWide ? Float32Array.from(new Float16Array(factors.buffer)) : factors;
  return { codes: new Uint8Array(codes.buffer), factors: new Uint8Array(scales.buffer) };
}

/** E0M4's word j holds columns j, 4 + j, 8 + j, 12 + j (and 16 more) in its bytes. */
function encodeE0m4(bytes: Uint8Array, blocks: number): Encoded {
  const codes = new Uint8Array(blocks * 16);
  const factors = new Uint8Array(blocks * 4);
  for (let b = 0; b < blocks; b++) {
    const at = b * 20;
    for (let i = 0; i < 4; i++) factors[b * 4 + i] = bytes[at + i];
    for (let i = 0; i < 16; i++) codes[b * 16 + i] = bytes[at + 4 + 4 * (i & 3) + (i >> 2)];
  }
  return { codes, factors };
}

/** Codes of FP4's numbers (sign, exponent and fraction from above) in the shaders; −0 is 0. */
const FP4_CODES = [12, 13, 14, 15, 1, 3, 5, 7, 12, 11, 10, 9, 8, 6, 4, 0];
/** Codes of IQ4's levels, ascending. */
const IQ4_CODES = [8, 9, 10, 11, 12, 13, 14, 15, 0, 6, 1, 2, 3, 4, 5, 7];
/** Scales by exponents: of FP4 numbers, which are halves of integers. */
const FP4_SCALES = Float32Array.from({ length: 256 }, (_, exponent) => 2 ** (exponent - 128));

/** Types whose codes stand for levels that are not counted; where in a block they begin. */
const RECODED: Readonly<Record<string, { codesAt: number; pairs: Uint8Array }>> = {
  IQ4_NL: { codesAt: 2, pairs: pairsOf(IQ4_CODES) },
  IQ4_XS: { codesAt: 8, pairs: pairsOf(IQ4_CODES) },
  MXFP4: { codesAt: 1, pairs: pairsOf(FP4_CODES) },
};

/** What becomes of the two codes of each byte. */
function pairsOf(codes: readonly number[]): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, pair) => codes[pair & 15] | codes[pair >> 4] << 4);
}

/** Blocks that end with their codes, in the order in which the GPU has them. */
function recode(type: string, bytes: Uint8Array, blocks: number, format: CodeFormat): Encoded {
  const { codesAt, pairs } = RECODED[type];
  const blockBytes = bytes.length / blocks;
  const codes = new Uint8Array(blocks * (blockBytes - codesAt));
  for (let b = 0, to = 0; b < blocks; b++) {
    const end = (b + 1) * blockBytes;
    for (let from = b * blockBytes + codesAt; from < end; from++) codes[to++] = pairs[bytes[from]];
  }
  return { codes, factors: encodeFactors(type, bytes, format) };
}

/** Blocks that end with eight bytes for each 16 of 64 weights, as two pieces of 32. */
function recodeNvfp4(bytes: Uint8Array, blocks: number): Uint8Array<ArrayBuffer> {
  const blockBytes = bytes.length / blocks;
  const codes = new Uint8Array(blocks * 32);
  for (let b = 0; b < blocks; b++) {
    const from = (b + 1) * blockBytes - 32;
    for (let i = 0; i < 32; i++) {
      const at = from + (i & 16) + (i & 7);
      const shift = (i & 8) === 0 ? 0 : 4;
      const [low, high] = [bytes[at] >> shift & 15, bytes[at + 8] >> shift & 15];
      codes[b * 32 + i] = FP4_CODES[low] | FP4_CODES[high] << 4;
    }
  }
  return codes;
}

/** Codes out of the weights themselves: (w − offset) / scale, an integer by definition. */
function encodeByValue(type: string, bytes: Uint8Array, format: CodeFormat): Encoded {
  const dtype = dtypeByName(type);
  check(dtype !== undefined, `no tensor type ${type}`);
  const weights = new Float32Array(bytes.length / dtype.blockBytes * dtype.blockElements);
  dequantizeInto(type, bytes, weights);
  const { group, family, middle } = format;
  const { scales, offsets } = factorsOf(type, bytes);
  const quants = new Int8Array(weights.length);
  for (let g = 0; g < scales.length; g++) {
    const [from, to] = [g * group, (g + 1) * group];
    if (scales[g] === 0) {
      quants.fill(middle, from, to);
      continue;
    }
    const offset = offsets.length === 0 ? 0 : offsets[g];
    for (let i = from; i < to; i++) {
      quants[i] = Math.round((weights[i] - offset) / scales[g]) + middle;
    }
  }
  const codes = family === "byte" ? new Uint8Array(quants.buffer) : packNibbles(quants);
  return { codes, factors: encodeFactors(type, bytes, format) };
}

/** Codes 0 to 15 in natural order, 32 to a piece. */
function packNibbles(quants: Int8Array): Uint8Array<ArrayBuffer> {
  const codes = new Uint8Array(quants.length / 2);
  for (let i = 0; i < codes.length; i++) {
    const low = 2 * (i & ~15) + (i & 15);
    codes[i] = quants[low] | quants[low + 16] << 4;
  }
  return codes;
}

/** The factors of whole blocks, group by group. */
function factorsOf(type: string, bytes: Uint8Array): Factors {
  const dtype = dtypeByName(type);
  check(dtype !== undefined, `no tensor type ${type}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const blocks = bytes.length / dtype.blockBytes;
  const reader = FACTOR_READERS[type] ?? superblockReader(type);
  check(reader !== undefined, `no factors of type ${type}`);
  const { groups, hasOffsets, read } = reader;
  const scales = new Float32Array(blocks * groups);
  const offsets = new Float32Array(hasOffsets ? blocks * groups : 0);
  for (let b = 0; b < blocks; b++) {
    for (let g = 0; g < groups; g++) {
      const { scale, offset = 0 } = read(view, b * dtype.blockBytes, g);
      scales[b * groups + g] = scale;
      if (hasOffsets) offsets[b * groups + g] = offset;
    }
  }
  return { scales, offsets };
}

/** Reads factors of group `group` of the block at `at`. */
type FactorRead = (
  bytes: DataView,
  at: number,
  group: number,
) => { scale: number; offset?: number };

interface FactorReader {
  readonly groups: number;
  readonly hasOffsets: boolean;
  readonly read: FactorRead;
}

/** Of types with superblocks. */
function superblockReader(type: string): FactorReader | undefined {
  const own = superblockOf(type);
  return own && {
    groups: own.groups,
    hasOffsets: own.minimumAt !== undefined,
    read: (bytes, at, group) => groupFactors(own, bytes, at, group),
  };
}

const FACTOR_READERS: Readonly<Record<string, FactorReader | undefined>> = {
  Q5_0: { groups: 1, hasOffsets: false, read: readHalf },
  Q5_1: {
    groups: 1,
    hasOffsets: true,
    read: (bytes, at) => ({
      scale: bytes.getFloat16(at, true),
      offset: bytes.getFloat16(at + 2, true),
    }),
  },
  IQ4_NL: { groups: 1, hasOffsets: false, read: readHalf },
  // A block is of several groups here.
  Q2_0: { groups: 2, hasOffsets: false, read: readHalf },
  Q1_0: { groups: 4, hasOffsets: false, read: readHalf },
  MXFP4: {
    groups: 1,
    hasOffsets: false,
    read: (bytes, at) => ({ scale: FP4_SCALES[bytes.getUint8(at)] }),
  },
  NVFP4: {
    groups: 4,
    hasOffsets: false,
    read: (bytes, at, group) => ({ scale: UE4M3[bytes.getUint8(at + group)] / 2 }),
  },
  NVFP4S: {
    groups: 4,
    hasOffsets: false,
    read: (bytes, at, group) => ({
      scale: bytes.getFloat32(at, true) * UE4M3[bytes.getUint8(at + 4 + group)] / 2,
    }),
  },
};

function readHalf(bytes: DataView, at: number): { scale: number } {
  return { scale: bytes.getFloat16(at, true) };
}

/** Factors as the format has them; what is put into f16 is exact there. */
function encodeFactors(
  type: string,
  bytes: Uint8Array,
  format: CodeFormat,
): Uint8Array<ArrayBuffer> {
  if (format.factors === "superScale" || format.factors === "superPair") {
    return packSuperblocks(type, bytes);
  }
  const { scales, offsets } = factorsOf(type, bytes);
  switch (format.factors) {
    case "scale16":
      return new Uint8Array(Float16Array.from(scales).buffer);
    case "scale32":
      return new Uint8Array(scales.buffer);
    case "pair16":
      return new Uint8Array(Float16Array.from(interleave(scales, offsets)).buffer);
    case "pair32":
      return new Uint8Array(interleave(scales, offsets).buffer);
  }
}

function interleave(a: Float32Array, b: Float32Array): Float32Array<ArrayBuffer> {
  const both = new Float32Array(2 * a.length);
  for (let i = 0; i < a.length; i++) {
    both[2 * i] = a[i];
    both[2 * i + 1] = b[i];
  }
  return both;
}

/** The same bytes as u16s, without a copy where they are aligned. */
function words16(bytes: Uint8Array): Uint16Array {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : Uint8Array.from(bytes);
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2);
}
