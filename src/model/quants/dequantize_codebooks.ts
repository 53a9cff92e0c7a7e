/**
 * Weights of ggml's IQ1, IQ2 and IQ3 types, plainly: what the kernels are judged by. A decoder
 * fills `out` [256 · superblocks]. A superblock is eight blocks of 32 weights; four indices into
 * a codebook (eight of IQ3) give the sizes of a block's weights, and bits beside them their signs.
 *
 * All are products that f32 holds exactly. Codebooks have levels of IQ3_XXS halved and those of
 * IQ1 times 8 (codebook_layout.ts).
 */
import { codebook, evenSigns } from "./codebooks.ts";

const SUPERBLOCK = 256;

/** Where eight weights go, and what they are: level · scale, negative where `signs` has a bit. */
interface Eight {
  readonly to: number;
  readonly scale: number;
  readonly signs: number;
}

function put(out: Float32Array, { to, scale, signs }: Eight, level: (i: number) => number): void {
  for (let i = 0; i < 8; i++) out[to + i] = scale * level(i) * (signs >> i & 1 ? -1 : 1);
}

/** 66 bytes: f16 d, 8 × (4 index bytes, u32: four times 7 signs, 4 bits of scale). */
export function decodeIq2Xxs(bytes: DataView, out: Float32Array): void {
  const book = codebook("IQ2_XXS");
  for (let begin = 0, at = 0; begin < out.length; begin += SUPERBLOCK, at += 66) {
    const d = bytes.getFloat16(at, true);
    for (let i = 0; i < 32; i++) {
      const block = at + 2 + 8 * (i >> 2);
      const word = bytes.getUint32(block + 4, true);
      const index = bytes.getUint8(block + (i & 3));
      const eight = {
        to: begin + 8 * i,
        scale: d * ((word >>> 28) + 0.5) / 4,
        signs: evenSigns(word >>> 7 * (i & 3) & 127),
      };
      put(out, eight, (j) => book[8 * index + j]);
    }
  }
}

/** 74 bytes: f16 d, 32 × u16 (9 bits of index, 7 signs), 8 bytes: a block's halves' scales. */
export function decodeIq2Xs(bytes: DataView, out: Float32Array): void {
  const book = codebook("IQ2_XS");
  for (let begin = 0, at = 0; begin < out.length; begin += SUPERBLOCK, at += 74) {
    const d = bytes.getFloat16(at, true);
    for (let i = 0; i < 32; i++) {
      const both = bytes.getUint16(at + 2 + 2 * i, true);
      const scale = d * (nibble(bytes, at + 66, i >> 1) + 0.5) / 4;
      const eight = { to: begin + 8 * i, scale, signs: evenSigns(both >> 9) };
      put(out, eight, (j) => book[8 * (both & 511) + j]);
    }
  }
}

/**
 * 82 bytes: f16 d, 32 low bytes of indices, 32 bytes of signs, 8 bytes: the upper two bits of a
 * block's four indices, 8 bytes of scales as in IQ2_XS.
 */
export function decodeIq2S(bytes: DataView, out: Float32Array): void {
  const book = codebook("IQ2_S");
  for (let begin = 0, at = 0; begin < out.length; begin += SUPERBLOCK, at += 82) {
    const d = bytes.getFloat16(at, true);
    for (let i = 0; i < 32; i++) {
      const upper = bytes.getUint8(at + 66 + (i >> 2)) >> 2 * (i & 3) & 3;
      const index = bytes.getUint8(at + 2 + i) | upper << 8;
      const scale = d * (nibble(bytes, at + 74, i >> 1) + 0.5) / 4;
      const eight = { to: begin + 8 * i, scale, signs: bytes.getUint8(at + 34 + i) };
      put(out, eight, (j) => book[8 * index + j]);
    }
  }
}

/** 98 bytes: f16 d, 64 indices of four weights each, 8 × u32 as in IQ2_XXS. */
export function decodeIq3Xxs(bytes: DataView, out: Float32Array): void {
  const book = codebook("IQ3_XXS");
  for (let begin = 0, at = 0; begin < out.length; begin += SUPERBLOCK, at += 98) {
    const d = bytes.getFloat16(at, true);
    for (let i = 0; i < 32; i++) {
      const word = bytes.getUint32(at + 66 + 4 * (i >> 2), true);
      const eight = {
        to: begin + 8 * i,
        scale: d * ((word >>> 28) + 0.5),
        signs: evenSigns(word >>> 7 * (i & 3) & 127),
      };
      put(out, eight, (j) => book[4 * bytes.getUint8(at + 2 + 2 * i + (j >> 2)) + (j & 3)]);
    }
  }
}

/**
 * 110 bytes: f16 d, 64 low bytes of indices of four weights each, 8 bytes: the ninth bits of a
 * block's eight indices, 32 bytes of signs, 4 bytes: scales of two blocks.
 */
export function decodeIq3S(bytes: DataView, out: Float32Array): void {
  const book = codebook("IQ3_S");
  for (let begin = 0, at = 0; begin < out.length; begin += SUPERBLOCK, at += 110) {
    const d = bytes.getFloat16(at, true);
    const entry = (i: number) =>
      bytes.getUint8(at + 2 + i) | (bytes.getUint8(at + 66 + (i >> 3)) >> (i & 7) & 1) << 8;
    for (let i = 0; i < 32; i++) {
      const scale = d * (2 * nibble(bytes, at + 106, i >> 2) + 1);
      const eight = { to: begin + 8 * i, scale, signs: bytes.getUint8(at + 74 + i) };
      put(out, eight, (j) => book[4 * entry(2 * i + (j >> 2)) + (j & 3)]);
    }
  }
}

/**
 * 50 bytes: f16 d, 32 low bytes of indices, 8 × u16: the upper three bits of a block's four
 * indices, three bits of scale, and the sign of an eighth that is added to all its levels.
 */
export function decodeIq1S(bytes: DataView, out: Float32Array): void {
  const book = codebook("IQ1");
  for (let begin = 0, at = 0; begin < out.length; begin += SUPERBLOCK, at += 50) {
    const d = bytes.getFloat16(at, true);
    for (let i = 0; i < 32; i++) {
      const word = bytes.getUint16(at + 34 + 2 * (i >> 2), true);
      const index = bytes.getUint8(at + 2 + i) | (word >> 3 * (i & 3) & 7) << 8;
      const eighth = word & 0x8000 ? -1 : 1;
      const scale = d * (2 * (word >> 12 & 7) + 1) / 8;
      put(out, { to: begin + 8 * i, scale, signs: 0 }, (j) => book[8 * index + j] + eighth);
    }
  }
}

/**
 * 56 bytes: 32 low bytes of indices, 32 nibbles: the upper three bits of an index and the sign of
 * its eighth, 4 × u16: four times three bits of scale, one for half a block, and a quarter of an
 * f16 d.
 */
export function decodeIq1M(bytes: DataView, out: Float32Array): void {
  const book = codebook("IQ1");
  const half = new DataView(new ArrayBuffer(2));
  for (let begin = 0, at = 0; begin < out.length; begin += SUPERBLOCK, at += 56) {
    const word = (i: number) => bytes.getUint16(at + 48 + 2 * i, true);
    half.setUint16(
      0,
      word(0) >> 12 | word(1) >> 12 << 4 | word(2) >> 12 << 8 | word(3) >> 12 << 12,
    );
    const d = half.getFloat16(0);
    for (let i = 0; i < 32; i++) {
      const upper = nibble(bytes, at + 32, i);
      const index = bytes.getUint8(at + i) | (upper & 7) << 8;
      const eighth = upper & 8 ? -1 : 1;
      const scale = d * (2 * (word(i >> 3) >> 3 * (i >> 1 & 3) & 7) + 1) / 8;
      put(out, { to: begin + 8 * i, scale, signs: 0 }, (j) => book[8 * index + j] + eighth);
    }
  }
}

/** Nibble i from `at` on, the low one of a byte first. */
function nibble(bytes: DataView, at: number, i: number): number {
  return bytes.getUint8(at + (i >> 1)) >> 4 * (i & 1) & 15;
}
