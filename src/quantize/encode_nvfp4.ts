/**
 * NVFP4: FP4 numbers with a scale in UE4M3 for each 16 weights; ggml's rules, and its bits. Knows
 * no scales of tensors: who writes blocks without them is limited to weights of 2688 (448 · 6).
 */
import { nearestFp4 } from "./encode_levels.ts";
import { UE4M3 } from "../model/quants/dequantize_nvfp4.ts";

const BLOCK = 64;
const GROUP = 16;
/** The largest FP4 number. */
const LARGEST_FP4 = 6;
/** The code of 448, the largest scale: the one above would be NaN. */
const LARGEST_CODE = 0x7e;

/** Codes below are fractions alone. */
const FIRST_NORMAL = 8;

/** The largest weight of 16 becomes the largest number, but for the rounding of the scale. */
export function encodeNvfp4(weights: Float32Array, into: DataView): void {
  for (let begin = 0, at = 0; begin < weights.length; begin += BLOCK, at += 36) {
    for (let g = 0; g < BLOCK / GROUP; g++) {
      const first = begin + g * GROUP;
      let largest = 0;
      for (let i = first; i < first + GROUP; i++) largest = Math.max(largest, Math.abs(weights[i]));
      const code = nearestUe4m3(Math.fround(largest / LARGEST_FP4));
      into.setUint8(at + g, code);
      const inverse = code === 0 ? 0 : 1 / UE4M3[code];
      for (let j = 0; j < GROUP / 2; j++) {
        const low = nearestFp4(weights[first + j] * inverse);
        const high = nearestFp4(weights[first + 8 + j] * inverse);
        into.setUint8(at + 4 + g * GROUP / 2 + j, low | high << 4);
      }
    }
  }
}

/**
 * The code of the scale next to `value`, which is not negative; of two the larger one. As in ggml
 * what is below the smallest normal scale does not become it.
 */
function nearestUe4m3(value: number): number {
  const last = value < UE4M3[FIRST_NORMAL] ? FIRST_NORMAL - 1 : LARGEST_CODE;
  let code = 0;
  while (code < last && value >= (UE4M3[code] + UE4M3[code + 1]) / 2) code++;
  return code;
}
