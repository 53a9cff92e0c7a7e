/**
 * Weights of ggml's types with superblocks of 256, plainly: what the kernels are judged by. A
 * decoder fills `out` [256 · blocks] from as many superblocks. A superblock is cut into blocks of
 * 16 or 32 weights, whose small integer scales (and minima) are multiplied with an f16 of the
 * superblock.
 *
 * Sums are made in f64 and rounded to f32 once: the products in them have 24 bits at most.
 */
import { IQ4_LEVELS } from "./dequantize_blocks.ts";

/** Weights of a superblock. */
const SUPERBLOCK = 256;

/**
 * 84 bytes: 16 × (scale in the low, minimum in the high nibble), 64 bytes of 2-bit quants, f16 d,
 * f16 dmin; weight i = d · scale · q − dmin · minimum, both of block i / 16.
 *
 * Byte l of the quants' first half holds weights l, 32 + l, 64 + l, 96 + l from its low bits up;
 * the second half holds weights 128 … likewise.
 */
export function decodeQ2K(bytes: DataView, out: Float32Array): void {
  for (let begin = 0, at = 0; begin < out.length; begin += SUPERBLOCK, at += 84) {
    const d = bytes.getFloat16(at + 80, true);
    const dmin = bytes.getFloat16(at + 82, true);
    for (let i = 0; i < SUPERBLOCK; i++) {
      const both = bytes.getUint8(at + (i >> 4));
      const q = twoBits(bytes, at + 16, i);
      out[begin + i] = d * (both & 15) * q - dmin * (both >> 4);
    }
  }
}

/**
 * 110 bytes: 32 bytes of third bits, 64 bytes of 2-bit quants (as in Q2_K), 12 bytes of sixteen
 * 6-bit scales, f16 d; weight i = d · (scale − 32) · (q − 4). Bit i / 32 of byte i % 32 is weight
 * i's third bit.
 */
export function decodeQ3K(bytes: DataView, out: Float32Array): void {
  for (let begin = 0, at = 0; begin < out.length; begin += SUPERBLOCK, at += 110) {
    const d = bytes.getFloat16(at + 108, true);
    for (let i = 0; i < SUPERBLOCK; i++) {
      const scale = d * (scaleQ3K(bytes, at + 96, i >> 4) - 32);
      const third = bytes.getUint8(at + i % 32) >> (i >> 5) & 1;
      out[begin + i] = scale * ((twoBits(bytes, at + 32, i) | third << 2) - 4);
    }
  }
}

/** 144 bytes: f16 d, f16 dmin, 12 bytes of eight scales and minima, 128 bytes of nibbles. */
export function decodeQ4K(bytes: DataView, out: Float32Array): void {
  for (let begin = 0, at = 0; begin < out.length; begin += SUPERBLOCK, at += 144) {
    for (let block = 0; block < 8; block++) {
      const { scale, minimum } = scaleAndMinimum(bytes, at, block);
      for (let j = 0; j < 32; j++) {
        out[begin + 32 * block + j] = scale * nibble(bytes, at + 16, { block, j }) - minimum;
      }
    }
  }
}

/**
 * 176 bytes: as Q4_K, with 32 bytes of fifth bits before the nibbles: bit `block` of byte j is that
 * of weight 32 · block + j.
 */
export function decodeQ5K(bytes: DataView, out: Float32Array): void {
  for (let begin = 0, at = 0; begin < out.length; begin += SUPERBLOCK, at += 176) {
    for (let block = 0; block < 8; block++) {
      const { scale, minimum } = scaleAndMinimum(bytes, at, block);
      for (let j = 0; j < 32; j++) {
        const fifth = bytes.getUint8(at + 16 + j) >> block & 1;
        const q = nibble(bytes, at + 48, { block, j }) | fifth << 4;
        out[begin + 32 * block + j] = scale * q - minimum;
      }
    }
  }
}

/**
 * 210 bytes: 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales, f16 d;
 * weight i = d · scale · (q − 32), the scale of block i / 16.
 *
 * Each half of 128 weights has 64 bytes of nibbles: byte l is weight l and 64 + l. The bit pairs
 * lie as the quants of Q2_K.
 */
export function decodeQ6K(bytes: DataView, out: Float32Array): void {
  for (let begin = 0, at = 0; begin < out.length; begin += SUPERBLOCK, at += 210) {
    const d = bytes.getFloat16(at + 208, true);
    for (let i = 0; i < SUPERBLOCK; i++) {
      const pair = bytes.getUint8(at + 64 * (i >> 7) + i % 64);
      const low = i & 64 ? pair >> 4 : pair & 15;
      const q = (low | twoBits(bytes, at + 128, i) << 4) - 32;
      out[begin + i] = d * bytes.getInt8(at + 192 + (i >> 4)) * q;
    }
  }
}

/**
 * 136 bytes: f16 d, u16 of the scales' high bit pairs, 4 bytes of their low nibbles, 128 bytes of
 * nibbles; weight = d · (scale − 32) · level. Nibbles of a block of 32 lie as in IQ4_NL.
 */
export function decodeIq4Xs(bytes: DataView, out: Float32Array): void {
  for (let begin = 0, at = 0; begin < out.length; begin += SUPERBLOCK, at += 136) {
    const d = bytes.getFloat16(at, true);
    const highs = bytes.getUint16(at + 2, true);
    for (let block = 0; block < 8; block++) {
      const low = bytes.getUint8(at + 4 + (block >> 1)) >> 4 * (block & 1) & 15;
      const scale = d * ((low | (highs >> 2 * block & 3) << 4) - 32);
      for (let j = 0; j < 16; j++) {
        const pair = bytes.getUint8(at + 8 + 16 * block + j);
        out[begin + 32 * block + j] = scale * IQ4_LEVELS[pair & 15];
        out[begin + 32 * block + 16 + j] = scale * IQ4_LEVELS[pair >> 4];
      }
    }
  }
}

/** Bit pair of weight i: 32 bytes serve 128 weights, each 32 weights two bits further up. */
function twoBits(bytes: DataView, at: number, i: number): number {
  return bytes.getUint8(at + 32 * (i >> 7) + i % 32) >> 2 * (i >> 5 & 3) & 3;
}

/** Nibble of weight j of a block of 32: 32 bytes serve two blocks, the first in the low halves. */
function nibble(bytes: DataView, at: number, { block, j }: { block: number; j: number }): number {
  return bytes.getUint8(at + 32 * (block >> 1) + j) >> 4 * (block & 1) & 15;
}

/**
 * Six bits: the low four of scales 0 to 7 are the low nibbles of bytes 0 to 7, those of scales 8 to
 * 15 the high ones; bytes 8 to 11 hold the high pairs, four scales apart in one byte.
 */
export function scaleQ3K(bytes: DataView, at: number, block: number): number {
  const low = bytes.getUint8(at + block % 8) >> (block < 8 ? 0 : 4) & 15;
  const high = bytes.getUint8(at + 8 + block % 4) >> 2 * (block >> 2) & 3;
  return low | high << 4;
}

/** d · scale and dmin · minimum of a block of Q4_K or Q5_K. */
export function scaleAndMinimum(
  bytes: DataView,
  at: number,
  block: number,
): { scale: number; minimum: number } {
  const { scale, minimum } = packedScales(bytes, at, block);
  return {
    scale: bytes.getFloat16(at, true) * scale,
    minimum: bytes.getFloat16(at + 2, true) * minimum,
  };
}

/**
 * Scale and minimum of a block of Q4_K or Q5_K, six bits each. Of 12 bytes behind d and dmin bytes
 * 0 to 3 hold the scales of blocks 0 to 3 in their low six bits, bytes 4 to 7 their minima;
 * bytes 8 to 11 hold the low nibbles of scale and minimum of blocks 4 to 7, whose high pairs are
 * the top bits of bytes 0 to 3 and 4 to 7.
 */
export function packedScales(
  bytes: DataView,
  at: number,
  block: number,
): { scale: number; minimum: number } {
  const packed = (index: number) => bytes.getUint8(at + 4 + index);
  const isFirst = block < 4;
  const scale = isFirst ? packed(block) & 63 : packed(block + 4) & 15 | packed(block - 4) >> 6 << 4;
  const minimum = isFirst
    ? packed(block + 4) & 63
    : packed(block + 4) >> 4 | packed(block) >> 6 << 4;
  return { scale, minimum };
}
