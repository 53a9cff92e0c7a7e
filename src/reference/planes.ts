/** Convolutions over a spectrogram's plane as formulas, in f64. */
import { check } from "../base/check.ts";
import { framesOfRow, type PlaneConfig } from "../model/plane.ts";
import { geluErf } from "./activation_ops.ts";
import type { Numbers } from "./ops.ts";

/** A convolution: kernels [outputs, channels, 3 bands, 3 frames] and what is added, [outputs]. */
export interface PlaneKernels {
  readonly weights: Numbers;
  readonly biases: Numbers;
}

interface Plane {
  readonly frames: number;
  readonly bands: number;
  readonly channels: number;
  readonly at: (frame: number, band: number, channel: number) => number;
}

/**
 * What rows are made of, [n, channels · bands], channel by channel.
 * @param patches [n, length]: frames of pieces, one after the other.
 */
export function convolvePlanes(
  patches: Numbers,
  n: number,
  { config, kernels }: { readonly config: PlaneConfig; readonly kernels: readonly PlaneKernels[] },
): Float64Array {
  const { frames, rows, bands } = config;
  const out: number[] = [];
  for (let first = 0; first < n; first += rows) {
    const own = Math.min(rows, n - first);
    const brought = Math.min(frames, own * framesOfRow(config));
    const start = first * framesOfRow(config);
    const piece: Plane = {
      ...{ frames, bands, channels: 1 },
      at: (frame, band) => frame < brought ? patches[(start + frame) * bands + band] : 0,
    };
    const last = kernels.reduce(convolved, piece);
    for (let row = 0; row < own; row++) {
      for (let channel = 0; channel < last.channels; channel++) {
        for (let band = 0; band < last.bands; band++) out.push(last.at(row, band, channel));
      }
    }
  }
  return Float64Array.from(out);
}

/** gelu(Σ kernel · around (2 · frame, 2 · band) + bias), nothing being around the plane. */
function convolved(from: Plane, { weights, biases }: PlaneKernels): Plane {
  const [frames, bands] = [Math.ceil(from.frames / 2), Math.ceil(from.bands / 2)];
  const channels = biases.length;
  check(weights.length === channels * from.channels * 9, "kernels of three times three");
  const values = new Float64Array(frames * bands * channels);
  for (let frame = 0; frame < frames; frame++) {
    for (let band = 0; band < bands; band++) {
      for (let channel = 0; channel < channels; channel++) {
        let sum = biases[channel];
        for (let input = 0; input < from.channels; input++) {
          for (let dy = 0; dy < 3; dy++) {
            for (let dx = 0; dx < 3; dx++) {
              const [x, y] = [2 * frame + dx - 1, 2 * band + dy - 1];
              if (x < 0 || x >= from.frames || y < 0 || y >= from.bands) continue;
              const weight = weights[((channel * from.channels + input) * 3 + dy) * 3 + dx];
              sum += weight * from.at(x, y, input);
            }
          }
        }
        values[(frame * bands + band) * channels + channel] = geluErf(sum);
      }
    }
  }
  return {
    ...{ frames, bands, channels },
    at: (x, y, channel) => values[(x * bands + y) * channels + channel],
  };
}
