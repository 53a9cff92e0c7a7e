/**
 * Two convolutions over time as products: windows of 3 frames become rows, and windows of 3 of
 * these, every other one, become rows of the residual stream, with gelu behind both. The second
 * one's windows are laid side by side, a piece of the rows at a time. Knows nothing of sounds.
 */
import { check } from "../../base/check.ts";
import { FLOAT_ROW_PAD_WEIGHTS } from "../../memory/row_layout.ts";
import { floats } from "../bound/arena_views.ts";
import { type Matrix, matrixOf, project, readsQ8 } from "../bound/matrix.ts";
import { aloneKernel } from "../neurons/neurons.ts";
import type { MatrixPlan } from "../plan/plan_types.ts";
import { CONVOLVED_ROWS } from "../plan/convolved_rows.ts";
import type { StepState } from "../step/step_state.ts";

/** Frames of a window. */
const TAPS = 3;

export class Convolutions {
  readonly #state: StepState;
  readonly #first: Matrix;
  readonly #second: Matrix;
  /** [2 · rows + 1, strides.embedding]: what the first one gives, and the row before it. */
  readonly #convolved: Float32Array;
  /** [rows, 3 · d], number by number, and what a product reads behind them. */
  readonly #windows: Float32Array;

  /** memory: the first arena of the rank that leads. */
  constructor(state: StepState, memory: WebAssembly.Memory, second: MatrixPlan) {
    const { plan: { chunkTokens, embedding, strides, workspaces: [space] } } = state;
    const { embeddingLength: d } = state.config;
    const rows = Math.min(CONVOLVED_ROWS, chunkTokens);
    this.#state = state;
    this.#first = matrixOf(embedding);
    this.#second = matrixOf(second);
    const isQuantised = [this.#first, this.#second].some(readsQ8);
    check(!isQuantised, "rows of kernels are of threes, which no block of a type divides");
    this.#convolved = floats(memory, space.convolved, (2 * rows + 1) * strides.embedding);
    this.#windows = floats(memory, space.windows, rows * TAPS * d + FLOAT_ROW_PAD_WEIGHTS);
  }

  /** to [n, strides.embedding] of windows [2n, columns] at `from`. */
  run(from: number, to: number): void {
    const { n, plan: { strides: { embedding: stride } } } = this.#state;
    for (let row = 0; row < n; row += CONVOLVED_ROWS) {
      const rows = Math.min(CONVOLVED_ROWS, n - row);
      this.#convolve(from, row, rows);
      this.#layWindows(rows);
      this.#makeRows(to + 4 * row * stride, rows);
    }
  }

  /** convolved = gelu(first · windows) of the frames that rows from `row` on see. */
  #convolve(from: number, row: number, rows: number): void {
    const { kernels, space, plan: { strides: { embedding: stride } } } = this.#state;
    const { columnCount, rowCount } = this.#first;
    // Before the first frame there is nothing.
    const before = row === 0 ? 1 : 0;
    if (before > 0) this.#convolved.fill(0, 0, stride);
    const frames = 2 * rows + 1 - before;
    const windows = from + 4 * (2 * row - 1 + before) * columnCount;
    const to = space.convolved + 4 * before * stride;
    const x = { f32: windows, stride: columnCount, q8: 0 };
    project(kernels, this.#first, x, frames, to, stride);
    aloneKernel(kernels, "gelu")(to, stride, to, stride, frames, rowCount);
  }

  #layWindows(rows: number): void {
    const { config: { embeddingLength: d }, plan: { strides: { embedding: stride } } } = this
      .#state;
    const convolved = this.#convolved, windows = this.#windows;
    const length = TAPS * d;
    for (let row = 0; row < rows; row++) {
      for (let tap = 0; tap < TAPS; tap++) {
        const from = (2 * row + tap) * stride;
        let to = row * length + tap;
        for (let i = 0; i < d; i++, to += TAPS) windows[to] = convolved[from + i];
      }
    }
    windows.fill(0, rows * length, rows * length + FLOAT_ROW_PAD_WEIGHTS);
  }

  #makeRows(to: number, rows: number): void {
    const { kernels, space, plan: { strides: { embedding: stride } } } = this.#state;
    const { columnCount, rowCount } = this.#second;
    const x = { f32: space.windows, stride: columnCount, q8: 0 };
    project(kernels, this.#second, x, rows, to, stride);
    aloneKernel(kernels, "gelu")(to, stride, to, stride, rows, rowCount);
  }
}
