/**
 * Weights of types with blocks of 32, plainly: what the kernels are judged by. A decoder fills
 * `out` [32 · blocks] from as many blocks. In ggml's types of four or five bits, byte i of the
 * nibbles holds weight i in its low and weight 16 + i in its high half.
 *
 * Sums are made in f64 and rounded to f32 once: the products in them have 24 bits at most.
 */

/** The sixteen levels of IQ4_NL and IQ4_XS; ggml's. */
export const IQ4_LEVELS: readonly number[] = [
  ...[-127, -104, -83, -65, -49, -35, -22, -10],
  ...[1, 13, 25, 38, 53, 69, 89, 113],
];

/** The sixteen numbers of FP4 (a sign, two bits of exponent, one of fraction). */
export const FP4_LEVELS: readonly number[] = [
  ...[0, 0.5, 1, 1.5, 2, 3, 4, 6],
  ...[0, -0.5, -1, -1.5, -2, -3, -4, -6],
];

/** 34 bytes: f16 scale, 32 signed bytes. */
export function decodeQ8_0(bytes: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += 32, at += 34) {
    const scale = bytes.getFloat16(at, true);
    for (let j = 0; j < 32; j++) out[i + j] = scale * bytes.getInt8(at + 2 + j);
  }
}

/** 18 bytes: f16 scale, 16 bytes of nibbles; weight = scale · (q − 8). */
export function decodeQ4_0(bytes: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += 32, at += 18) {
    const scale = bytes.getFloat16(at, true);
    for (let j = 0; j < 16; j++) {
      const pair = bytes.getUint8(at + 2 + j);
      out[i + j] = scale * ((pair & 15) - 8);
      out[i + 16 + j] = scale * ((pair >> 4) - 8);
    }
  }
}

/** 20 bytes: f16 scale, f16 minimum, 16 bytes of nibbles; weight = scale · q + minimum. */
export function decodeQ4_1(bytes: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += 32, at += 20) {
    const scale = bytes.getFloat16(at, true);
    const minimum = bytes.getFloat16(at + 2, true);
    for (let j = 0; j < 16; j++) {
      const pair = bytes.getUint8(at + 4 + j);
      out[i + j] = scale * (pair & 15) + minimum;
      out[i + 16 + j] = scale * (pair >> 4) + minimum;
    }
  }
}

/**
 * 22 bytes: f16 scale, a u32 whose bit j is the fifth bit of weight j, 16 bytes of nibbles;
 * weight = scale · (q − 16).
 */
export function decodeQ5_0(bytes: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += 32, at += 22) {
    const scale = bytes.getFloat16(at, true);
    const fifths = bytes.getUint32(at + 2, true);
    for (let j = 0; j < 16; j++) {
      const pair = bytes.getUint8(at + 6 + j);
      out[i + j] = scale * ((pair & 15 | (fifths >> j & 1) << 4) - 16);
      out[i + 16 + j] = scale * ((pair >> 4 | (fifths >> 16 + j & 1) << 4) - 16);
    }
  }
}

/**
 * 24 bytes: f16 scale, f16 minimum, a u32 whose bit j is the fifth bit of weight j, 16 bytes of
 * nibbles; weight = scale · q + minimum.
 */
export function decodeQ5_1(bytes: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += 32, at += 24) {
    const scale = bytes.getFloat16(at, true);
    const minimum = bytes.getFloat16(at + 2, true);
    const fifths = bytes.getUint32(at + 4, true);
    for (let j = 0; j < 16; j++) {
      const pair = bytes.getUint8(at + 8 + j);
      out[i + j] = scale * (pair & 15 | (fifths >> j & 1) << 4) + minimum;
      out[i + 16 + j] = scale * (pair >> 4 | (fifths >> 16 + j & 1) << 4) + minimum;
    }
  }
}

/** 18 bytes: f16 scale, 16 bytes of nibbles; weight = scale · level. */
export function decodeIq4Nl(bytes: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += 32, at += 18) {
    const scale = bytes.getFloat16(at, true);
    for (let j = 0; j < 16; j++) {
      const pair = bytes.getUint8(at + 2 + j);
      out[i + j] = scale * IQ4_LEVELS[pair & 15];
      out[i + 16 + j] = scale * IQ4_LEVELS[pair >> 4];
    }
  }
}

/**
 * 17 bytes: exponent e, 16 bytes of nibbles; weight = 2^(e − 127) · FP4 number. OCP's MX makes NaN
 * of e = 255; ggml goes on counting, and so does this.
 */
export function decodeMxfp4(bytes: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += 32, at += 17) {
    const scale = 2 ** (bytes.getUint8(at) - 127);
    for (let j = 0; j < 16; j++) {
      const pair = bytes.getUint8(at + 1 + j);
      out[i + j] = scale * FP4_LEVELS[pair & 15];
      out[i + 16 + j] = scale * FP4_LEVELS[pair >> 4];
    }
  }
}

/**
 * 20 bytes: f16 scale, f16 offset, four u32 words; weight = scale · q + offset. Byte b of word j
 * holds weight 4b + j in its low and weight 16 + 4b + j in its high half, so that the same four
 * bits of all words are the codes of four weights in a row.
 *
 * The name says what the codes are for: without an exponent of its own (E0), a code is the top four
 * bits of a float's fraction (M4). (q << 19) | 0x3f800000 is the float h = 1 + q / 16, two bit
 * operations and no conversion; the weight is A · h + B, A = 16 · scale, B = offset − A.
 * After E0M4 of Transformer-Lite (arXiv:2403.20041).
 */
export function decodeE0m4(bytes: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += 32, at += 20) {
    const scale = bytes.getFloat16(at, true);
    const offset = bytes.getFloat16(at + 2, true);
    for (let j = 0; j < 4; j++) {
      const word = bytes.getUint32(at + 4 + 4 * j, true);
      for (let b = 0; b < 4; b++) {
        out[i + 4 * b + j] = scale * (word >>> 8 * b & 15) + offset;
        out[i + 16 + 4 * b + j] = scale * (word >>> 8 * b + 4 & 15) + offset;
      }
    }
  }
}
