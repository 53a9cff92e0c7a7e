/**
 * Factors of superblocks of 256 weights, as files have them: one scale (and one for minima) of all
 * in f16, and a small integer for each group. On the GPU they stay so, which takes 0.4 to 0.6 bits
 * a weight; multiplied out they would be f32s, 1 to 4 bits a weight.
 */
import { check } from "../../src/base/check.ts";
import { dtypeByName } from "../../src/model/dtypes.ts";
import { packedScales, scaleQ3K } from "../../src/model/dequantize_superblocks.ts";

/** Weights of a superblock. */
export const SUPERBLOCK = 256;

/** A group's integers: scale · d is its scale, −minimum · dmin its offset. */
interface GroupScale {
  readonly scale: number;
  readonly minimum?: number;
}

interface Superblock {
  readonly groups: 8 | 16;
  /** Bytes from the block's begin on. */
  readonly scaleAt: number;
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
};

/** A type's superblocks; undefined: its blocks are smaller. */
export function superblockOf(type: string): Superblock | undefined {
  return Object.hasOwn(SUPERBLOCKS, type) ? SUPERBLOCKS[type] : undefined;
}

/** Scale and offset of a group of the superblock at `at`; exact in f32. */
export function groupFactors(
  { scaleAt, minimumAt, read }: Superblock,
  bytes: DataView,
  at: number,
  group: number,
): { scale: number; offset?: number } {
  const { scale, minimum = 0 } = read(bytes, at, group);
  const own = { scale: bytes.getFloat16(at + scaleAt, true) * scale };
  if (minimumAt === undefined) return own;
  return { ...own, offset: -bytes.getFloat16(at + minimumAt, true) * minimum };
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
  const { groups, scaleAt, minimumAt, read } = own;
  const hasOffsets = minimumAt !== undefined;
  const { blockBytes } = dtypeByName(type)!;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const each = 4 * factorWords(groups, hasOffsets);
  const out = new Uint8Array(bytes.length / blockBytes * each);
  const words = new DataView(out.buffer);
  for (let at = 0, to = 0; at < bytes.length; at += blockBytes, to += each) {
    words.setUint16(to, view.getUint16(at + scaleAt, true), true);
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
