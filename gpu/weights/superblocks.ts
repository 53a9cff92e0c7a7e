/**
 * Factors of superblocks of 256 weights, as files have them: one scale (and one for minima) of all
 * in f16, and a small integer for each group. On the GPU they stay so, which takes 0.4 to 0.6 bits
 * a weight; multiplied out they would be f32s, 1 to 4 bits a weight.
 */
import { check } from "../../src/base/check.ts";
import { dtypeByName } from "../../src/model/dtypes.ts";
import { packedScales, scaleQ3K } from "../../src/model/quants/dequantize_superblocks.ts";

/** Weights of a superblock. */
export const SUPERBLOCK = 256;

/** A group's integers: scale · unit · d is its scale, −minimum · dmin its offset. */
interface GroupScale {
  readonly scale: number;
  readonly minimum?: number;
}

interface Superblock {
  readonly groups: 8 | 16;
  /** Bytes from the block's begin on; or how its bits are put together. */
  readonly scaleAt: number | ((bytes: DataView, at: number) => number);
  /** Left out: 1. Powers of 2. */
  readonly unit?: number;
  /** Left out: a type without offsets. */
  readonly minimumAt?: number;
  readonly read: (bytes: DataView, at: number, group: number) => GroupScale;
}

const SUPERBLOCKS: Readonly<Record<string, Superblock>> = {
  Q2_K: {
    ...{ groups: 16, scaleAt: 80, minimumAt: 82 },
    read: (bytes, at, group) => {
      const both = bytes.getUint8(at + group);
      return { scale: both & 15, minimum: both >> 4 };
    },
  },
  Q3_K: {
    ...{ groups: 16, scaleAt: 108 },
    read: (bytes, at, group) => ({ scale: scaleQ3K(bytes, at + 96, group) - 32 }),
  },
  Q4_K: { groups: 8, scaleAt: 0, minimumAt: 2, read: packedScales },
  Q5_K: { groups: 8, scaleAt: 0, minimumAt: 2, read: packedScales },
  Q6_K: {
    ...{ groups: 16, scaleAt: 208 },
    read: (bytes, at, group) => ({ scale: bytes.getInt8(at + 192 + group) }),
  },
  IQ4_XS: {
    ...{ groups: 8, scaleAt: 0 },
    read: (bytes, at, group) => {
      const low = bytes.getUint8(at + 4 + (group >> 1)) >> 4 * (group & 1) & 15;
      const high = bytes.getUint16(at + 2, true) >> 2 * group & 3;
      return { scale: (low | high << 4) - 32 };
    },
  },
  IQ3_S: { groups: 8, scaleAt: 0, unit: 2, read: nibblesFrom(106) },
  IQ3_XXS: { groups: 8, scaleAt: 0, unit: 1 / 2, read: upperNibbles(66, 4) },
  IQ2_S: { groups: 16, scaleAt: 0, unit: 1 / 8, read: nibblesFrom(74) },
  IQ2_XS: { groups: 16, scaleAt: 0, unit: 1 / 8, read: nibblesFrom(66) },
  IQ2_XXS: { groups: 8, scaleAt: 0, unit: 1 / 8, read: upperNibbles(6, 8) },
  IQ1_S: {
    ...{ groups: 8, scaleAt: 0, unit: 1 / 8 },
    read: (bytes, at, group) => odd(bytes.getUint16(at + 34 + 2 * group, true) >> 12 & 7),
  },
  IQ1_M: {
    ...{ groups: 16, scaleAt: scaleInQuarters, unit: 1 / 8 },
    read: (bytes, at, group) => {
      const word = bytes.getUint16(at + 48 + 2 * (group >> 2), true);
      return odd(word >> 3 * (group & 3) & 7);
    },
  },
  TQ2_0: { groups: 8, scaleAt: 64, read: () => ({ scale: 1 }) },
  TQ1_0: { groups: 8, scaleAt: 52, read: () => ({ scale: 1 }) },
};

/** Scales of IQ types count halves, of IQ1 and IQ3_S odd numbers: both are 2 s + 1 of something. */
function odd(scale: number): GroupScale {
  return { scale: 2 * scale + 1 };
}

/** Four bits for each group from a byte on, the lower ones of a byte first. */
function nibblesFrom(start: number): Superblock["read"] {
  return (bytes, at, group) =>
    odd(bytes.getUint8(at + start + (group >> 1)) >> 4 * (group & 1) & 15);
}

/** The highest four bits of words so far from each other. */
function upperNibbles(start: number, step: number): Superblock["read"] {
  return (bytes, at, group) => odd(bytes.getUint32(at + start + step * group, true) >>> 28);
}

/** IQ1_M has a quarter of its f16 in the highest bits of each of four words. */
function scaleInQuarters(bytes: DataView, at: number): number {
  let bits = 0;
  for (let i = 0; i < 4; i++) bits |= bytes.getUint16(at + 48 + 2 * i, true) >> 12 << 4 * i;
  return bits;
}

/** A type's superblocks; undefined: its blocks are smaller. */
export function superblockOf(type: string): Superblock | undefined {
  return Object.hasOwn(SUPERBLOCKS, type) ? SUPERBLOCKS[type] : undefined;
}

/** A superblock's f16 scale, as bits. */
function scaleBits({ scaleAt }: Superblock, bytes: DataView, at: number): number {
  return typeof scaleAt === "number" ? bytes.getUint16(at + scaleAt, true) : scaleAt(bytes, at);
}

const half = new DataView(new ArrayBuffer(2));

/** Scale and offset of a group of the superblock at `at`; exact in f32. */
export function groupFactors(
  own: Superblock,
  bytes: DataView,
  at: number,
  group: number,
): { scale: number; offset?: number } {
  const { minimumAt, unit = 1, read } = own;
  const { scale, minimum = 0 } = read(bytes, at, group);
  half.setUint16(0, scaleBits(own, bytes, at));
  const factors = { scale: half.getFloat16(0) * scale * unit };
  if (minimumAt === undefined) return factors;
  return { ...factors, offset: -bytes.getFloat16(at + minimumAt, true) * minimum };
}

/** Words of a superblock's factors: both f16s, then integers, as factors.wgsl reads them. */
export function factorWords(groups: number, hasOffsets: boolean): number {
  // With offsets two bytes of each of eight groups, or two halves of a byte of each of sixteen.
  return 1 + (hasOffsets ? 4 : groups / 4);
}

/** Factors of whole superblocks. */
export function packSuperblocks(type: string, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const own = superblockOf(type);
  check(own !== undefined, `no superblocks of type ${type}`);
  const { groups, minimumAt, read } = own;
  const hasOffsets = minimumAt !== undefined;
  const { blockBytes } = dtypeByName(type)!;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const each = 4 * factorWords(groups, hasOffsets);
  const out = new Uint8Array(bytes.length / blockBytes * each);
  const words = new DataView(out.buffer);
  for (let at = 0, to = 0; at < bytes.length; at += blockBytes, to += each) {
    words.setUint16(to, scaleBits(own, view, at), true);
    // Of what is subtracted the sign is turned.
    if (hasOffsets) words.setUint16(to + 2, view.getUint16(at + minimumAt, true) ^ 0x8000, true);
    for (let group = 0; group < groups; group++) {
      const { scale, minimum = 0 } = read(view, at, group);
      if (!hasOffsets) words.setInt8(to + 4 + group, scale);
      else if (groups === 16) words.setUint8(to + 4 + group, scale | minimum << 4);
      else words.setUint16(to + 4 + 2 * group, scale | minimum << 8, true);
    }
  }
  return out;
}
