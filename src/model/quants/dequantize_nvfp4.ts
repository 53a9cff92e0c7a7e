/**
 * Weights of NVFP4, plainly: FP4 numbers with a scale of eight bits for each 16, and, where a
 * reader has put it in front of each block (NVFP4S), the factor of their tensor.
 *
 * A block has four scales and four times eight bytes of nibbles: byte i of eight holds weight i of
 * its 16 in the low and weight 8 + i in the high half.
 */
import { FP4_LEVELS } from "./dequantize_blocks.ts";

/** Weights of a block, and of what has a scale of its own. */
const BLOCK = 64;
const GROUP = 16;

/**
 * What bytes of UE4M3 stand for: four bits of exponent, three of fraction. As ggml has it, the sign
 * is not looked at and 127, which would be NaN, is 0.
 */
export const UE4M3: Float32Array<ArrayBuffer> = Float32Array.from({ length: 256 }, (_, byte) => {
  const exponent = byte >> 3 & 15;
  const fraction = (byte & 7) / 8;
  if (byte === 127) return 0;
  return exponent === 0 ? fraction * 2 ** -6 : (1 + fraction) * 2 ** (exponent - 7);
});

/** 36 bytes: 4 scales, 32 bytes of nibbles; weight = scale · FP4 number. */
export function decodeNvfp4(bytes: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += BLOCK, at += 36) decodeBlock(bytes, at, out, i, 1);
}

/**
 * 40 bytes: f32 factor, and the 36 of NVFP4; weight = (factor · scale) · FP4 number, of which both
 * products are f32.
 */
export function decodeNvfp4S(bytes: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += BLOCK, at += 40) {
    decodeBlock(bytes, at + 4, out, i, bytes.getFloat32(at, true));
  }
}

function decodeBlock(
  bytes: DataView,
  at: number,
  out: Float32Array,
  begin: number,
  factor: number,
): void {
  for (let g = 0; g < BLOCK / GROUP; g++) {
    const scale = Math.fround(factor * UE4M3[bytes.getUint8(at + g)]);
    const first = begin + g * GROUP;
    for (let j = 0; j < GROUP / 2; j++) {
      const pair = bytes.getUint8(at + 4 + g * GROUP / 2 + j);
      out[first + j] = scale * FP4_LEVELS[pair & 15];
      out[first + 8 + j] = scale * FP4_LEVELS[pair >> 4];
    }
  }
}
