/** Convolutions over the grid of an image's patches as formulas, in f64. */
import { convolvedLength, type GridConvolution } from "../model/grid_convolutions.ts";
import type { PatchGrid } from "./offset_heads.ts";
import type { Numbers } from "./ops.ts";

/** What zeros around it are added to: Σ kernel · around (stride · row, stride · column) + bias. */
export function convolveGrid(
  x: Numbers,
  { grid, config, kernels, biases }: {
    readonly grid: PatchGrid;
    readonly config: GridConvolution;
    /** [outputs, channels, side, side] */
    readonly kernels: Numbers;
    /** [outputs]; null: there are none. */
    readonly biases: Numbers | null;
  },
): { readonly rows: Float64Array; readonly grid: PatchGrid } {
  const { side, stride } = config;
  const channels = x.length / (grid.rows * grid.columns);
  const outputs = kernels.length / (channels * side * side);
  const half = (side - 1) / 2;
  const to = {
    rows: convolvedLength(grid.rows, config),
    columns: convolvedLength(grid.columns, config),
  };
  const rows = new Float64Array(to.rows * to.columns * outputs);
  for (let row = 0, at = 0; row < to.rows; row++) {
    for (let column = 0; column < to.columns; column++) {
      for (let output = 0; output < outputs; output++, at++) {
        let sum = biases?.[output] ?? 0;
        for (let dy = 0; dy < side; dy++) {
          for (let dx = 0; dx < side; dx++) {
            const [y, x0] = [row * stride + dy - half, column * stride + dx - half];
            if (y < 0 || x0 < 0 || y >= grid.rows || x0 >= grid.columns) continue;
            const from = (y * grid.columns + x0) * channels;
            for (let channel = 0; channel < channels; channel++) {
              const tap = ((output * channels + channel) * side + dy) * side + dx;
              sum += kernels[tap] * x[from + channel];
            }
          }
        }
        rows[at] = sum;
      }
    }
  }
  return { rows, grid: to };
}
