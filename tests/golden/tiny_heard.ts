/**
 * Rows that llama.cpp (clip of npm's llama.rn 0.12.9, of kinds that it has not of v0.5.0, in F32)
 * makes of 96 `tinyFrames` (of "qwen3a" of 300) by the tiny towers that hear of seed 1: six numbers
 * at the beginning of the first one, six at the end of the last one, rows around a sound left out.
 * Of "gemma4a" they are of 94, of "lfm2a" of 98 by a tower as wide as llama.cpp wants it, of both
 * with windows of convolutions in F32, where llama.cpp has F16.
 * Of "voxtral" it takes means of two rows before the last norm, as its authors do not. Data only.
 */
import type { TinyHearingName } from "../support/tiny_hearing.ts";

// deno-fmt-ignore
export const TINY_HEARD: Readonly<Record<TinyHearingName, readonly number[]>> = {
  "gemma4a": [
    -0.01879, 0.81218, -1.08825, -0.85407, 0.89677, -0.36833,
    -1.42388, -1.50000, -0.62369, 1.30000, 1.30000, -0.24281,
  ],
  "gemma4ua": [
    -3.14649, 2.58049, 1.80343, 0.81015, -0.65332, 1.65276,
    2.99590, -1.12385, 3.67896, 0.44498, 1.21741, 0.77306,
  ],
  "glma": [
    -1.83034, -2.51586, -2.60555, -1.49170, 1.25088, -0.81108,
    3.28586, -0.48868, -0.95901, 2.69591, -1.68733, 0.42024,
  ],
  "lfm2a": [
    4.84156, 0.38991, 1.47068, -1.28354, -1.27266, -0.87788,
    1.58488, -2.35621, 0.55713, 2.83301, -3.79618, 0.91579,
  ],
  "meralion": [
    2.65593, 1.09168, -0.28857, 0.54102, -2.23160, -2.39335,
    -1.85793, 0.36527, 1.60157, 0.89775, -0.00480, 1.42656,
  ],
  "musicflamingo": [
    -0.95747, 1.49767, -2.79169, -0.34133, 1.36752, 0.80235,
    -2.59327, -0.49366, -1.07034, 0.20087, -0.72232, -0.36977,
  ],
  "qwen2.5o": [
    1.94021, 0.26393, 0.30725, -1.08605, 3.78974, -0.52341,
    0.74390, 0.80459, 0.48813, 1.51471, -0.01111, 1.43067,
  ],
  "qwen2a": [
    1.94021, 0.26393, 0.30725, -1.08605, 3.78974, -0.52341,
    0.74390, 0.80459, 0.48813, 1.51471, -0.01111, 1.43067,
  ],
  "qwen3a": [
    -0.91453, -2.96864, 1.33922, -1.50765, -2.02945, -1.90584,
    1.63247, -1.48414, 2.19554, 0.02271, -0.87855, -1.94683,
  ],
  "ultravox": [
    -2.46444, -0.64333, 0.61330, 0.39915, -0.58133, 1.51619,
    0.46966, 0.50977, -0.33810, -0.47797, 0.16449, 2.54582,
  ],
  "voxtral": [
    0.10759, 0.34598, -0.71045, 1.55404, -2.14448, -2.50661,
    -2.51924, -1.45740, -0.30706, 0.72547, -0.65811, -1.19809,
  ],
};
