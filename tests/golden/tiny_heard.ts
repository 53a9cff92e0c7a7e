/**
 * Rows that llama.cpp (clip of npm's llama.rn 0.12.9, in F32) makes of 96 `tinyFrames` by the tiny
 * towers that hear of seed 1: six numbers at the beginning of the first one, six at the end of the
 * last one. Of "voxtral" it takes means of two rows before the last norm, as its authors do not.
 * Data only.
 */
import type { TinyHearingName } from "../support/tiny_hearing.ts";

// deno-fmt-ignore
export const TINY_HEARD: Readonly<Record<TinyHearingName, readonly number[]>> = {
  "qwen2a": [
    1.94021, 0.26393, 0.30725, -1.08605, 3.78974, -0.52341,
    0.74390, 0.80459, 0.48813, 1.51471, -0.01111, 1.43067,
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
