/** What a tower's convolutions over a plane have between them, in numbers. */
import { alignUp } from "../../base/check.ts";
import { FLOAT_ROW_PAD_WEIGHTS, SUPERBLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import { halved, halvedThrice, KERNEL_SIDE, type PlaneConfig } from "../../model/plane.ts";
import { CONVOLVED_ROWS } from "./convolved_rows.ts";
import type { KernelSizes } from "./plan_workspace.ts";
import type { StepGraphInput } from "./step_graph.ts";

export interface PlaneFloats {
  /** Of what the first convolution gives, and, later, the third one. */
  readonly first: number;
  readonly second: number;
  /** Of windows side by side, or of what rows are made of. */
  readonly windows: number;
  /** Of what a row is made of. */
  readonly columns: number;
}

export function planeFloats({ frames, rows, bands, channels }: PlaneConfig): PlaneFloats {
  const stride = alignUp(channels, SUPERBLOCK_WEIGHTS);
  const [width, height] = [halved(frames), halved(bands)];
  const columns = channels * halvedThrice(bands);
  const longest = Math.max(CONVOLVED_ROWS * KERNEL_SIDE ** 2 * channels, rows * columns);
  return {
    first: width * height * stride,
    second: halved(width) * halved(height) * stride,
    windows: longest + FLOAT_ROW_PAD_WEIGHTS,
    columns,
  };
}

/** Rows that a piece's windows are of; the windows, and what a product reads behind them. */
export function convolutionBytes(
  chunkTokens: number,
  length: number,
): Partial<StepGraphInput["bytes"]> {
  const rows = Math.min(CONVOLVED_ROWS, chunkTokens);
  return {
    convolved: (2 * rows + 1) * alignUp(length, SUPERBLOCK_WEIGHTS) * 4,
    windows: (rows * 3 * length + FLOAT_ROW_PAD_WEIGHTS) * 4,
  };
}

/** What convolutions over a plane have between them. */
export function planeBytes(
  plane: PlaneConfig,
  sizes: KernelSizes,
): Partial<StepGraphInput["bytes"]> {
  const { first, second, windows, columns } = planeFloats(plane);
  return {
    ...{ convolved: 4 * first, "convolved.again": 4 * second, windows: 4 * windows },
    "convolved.q8": sizes.q8_bytes(plane.rows, columns),
  };
}
