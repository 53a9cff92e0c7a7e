/** Convolutions over the grid of an image's patches: what they are, and how large grids become. */
import type { MatrixTensor, NormTensors } from "./types.ts";

/** Around each place that is kept zeros lie where the grid ends: (side - 1) / 2 on each side. */
export interface GridConvolution {
  /** Rows and columns of a kernel. */
  readonly side: 1 | 3;
  /** Every so many rows and columns a place is kept. */
  readonly stride: 1 | 2;
  /** Of the layer's norm behind it; null: there is none. */
  readonly epsilon: number | null;
}

export interface GridConvolutionTensors {
  /** Kernels are rows: channel by channel, each line by line. */
  readonly matrix: MatrixTensor;
  readonly norm: NormTensors | null;
}

/** Rows, or columns, of a grid of so many behind it. */
export function convolvedLength(length: number, { stride }: GridConvolution): number {
  return Math.ceil(length / stride);
}
