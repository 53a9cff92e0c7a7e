/**
 * Weights of ggml's types of one scale and one or two bits, or a ternary digit, plainly: what the
 * kernels are judged by. A decoder fills `out`, as many weights as the blocks hold.
 */

/** 18 bytes: f16 d, 128 bits; weight = d where the bit is set, else −d. */
export function decodeQ1_0(bytes: DataView, out: Float32Array): void {
  for (let begin = 0, at = 0; begin < out.length; begin += 128, at += 18) {
    const d = bytes.getFloat16(at, true);
    for (let i = 0; i < 128; i++) {
      out[begin + i] = bytes.getUint8(at + 2 + (i >> 3)) >> (i & 7) & 1 ? d : -d;
    }
  }
}

/** 18 bytes: f16 d, 64 times two bits; weight = d · (q − 1). */
export function decodeQ2_0(bytes: DataView, out: Float32Array): void {
  for (let begin = 0, at = 0; begin < out.length; begin += 64, at += 18) {
    const d = bytes.getFloat16(at, true);
    for (let i = 0; i < 64; i++) {
      out[begin + i] = d * ((bytes.getUint8(at + 2 + (i >> 2)) >> 2 * (i & 3) & 3) - 1);
    }
  }
}

/** 66 bytes: 64 bytes of two bits as in Q2_K, f16 d; weight = d · (q − 1). */
export function decodeTq2_0(bytes: DataView, out: Float32Array): void {
  for (let begin = 0, at = 0; begin < out.length; begin += 256, at += 66) {
    const d = bytes.getFloat16(at + 64, true);
    for (let i = 0; i < 256; i++) {
      const byte = bytes.getUint8(at + 32 * (i >> 7) + (i & 31));
      out[begin + i] = d * ((byte >> 2 * (i >> 5 & 3) & 3) - 1);
    }
  }
}

/**
 * 54 bytes: 48 bytes of five ternary digits, 4 bytes of four, f16 d; weight = d · (digit − 1). A
 * byte is a fraction of 256, and times 3 its first digit is what is carried over. The first 32
 * bytes have the first digits of weights 0 … 31, the second ones of 32 … 63, and so on; the next
 * 16 bytes those of weights 160 …, the last 4 those of weights 240 ….
 */
export function decodeTq1_0(bytes: DataView, out: Float32Array): void {
  for (let begin = 0, at = 0; begin < out.length; begin += 256, at += 54) {
    const d = bytes.getFloat16(at + 52, true);
    for (let i = 0; i < 256; i++) out[begin + i] = d * (digit(bytes, at, i) - 1);
  }
}

function digit(bytes: DataView, at: number, i: number): number {
  const [start, first, width] = i < 160 ? [0, 0, 32] : i < 240 ? [32, 160, 16] : [48, 240, 4];
  const place = i - first;
  const byte = bytes.getUint8(at + start + place % width);
  const rest = byte * 3 ** Math.floor(place / width) & 255;
  return rest * 3 >> 8;
}
