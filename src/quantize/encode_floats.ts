/** Floats as floats of 32 or 16 bits, little-endian, rounded to nearest, ties to even. */

/** 4 bytes a weight. */
export function encodeF32(weights: Float32Array, into: DataView): void {
  const { buffer, byteOffset, byteLength } = weights;
  // The machine is little-endian, as the file.
  const target = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
  target.set(new Uint8Array(buffer, byteOffset, byteLength));
}

/** 2 bytes a weight: 5 bits of exponent, 10 of fraction; 65520 and more become infinite. */
export function encodeF16(weights: Float32Array, into: DataView): void {
  for (let i = 0; i < weights.length; i++) into.setFloat16(2 * i, weights[i], true);
}

/** 2 bytes a weight: the upper half of an f32; NaN stays NaN. */
export function encodeBf16(weights: Float32Array, into: DataView): void {
  const word = new Float32Array(1);
  const bits = new Uint32Array(word.buffer);
  for (let i = 0; i < weights.length; i++) {
    word[0] = weights[i];
    const all = bits[0];
    const isNaN = weights[i] !== weights[i];
    into.setUint16(2 * i, isNaN ? all >>> 16 | 0x40 : all + 0x7fff + (all >>> 16 & 1) >>> 16, true);
  }
}
