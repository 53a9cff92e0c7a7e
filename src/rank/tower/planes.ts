/**
 * Three convolutions that make a spectrogram's plane half as long and half as high each, piece by
 * piece, and a matrix that makes a row of what is left of each time: all of them products of
 * windows laid side by side, some at a time. Knows nothing of sounds.
 */
import { alignUp, check } from "../../base/check.ts";
import { FLOAT_ROW_PAD_WEIGHTS, SUPERBLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import { halved, KERNEL_SIDE, type PlaneConfig } from "../../model/plane.ts";
import { floats } from "../bound/arena_views.ts";
import { type Matrix, matrixOf, project, quantize, readsQ8 } from "../bound/matrix.ts";
import { CONVOLVED_ROWS } from "../plan/convolved_rows.ts";
import type { MatrixPlan } from "../plan/plan_types.ts";
import { planeFloats } from "../plan/plane_bytes.ts";
import type { StepState } from "../step/step_state.ts";

const TAPS = KERNEL_SIDE ** 2;

/** A plane [frames, bands] of places, each of so many channels, `stride` apart. */
interface Plane {
  readonly at: number;
  readonly floats: Float32Array;
  readonly frames: number;
  readonly bands: number;
  readonly channels: number;
  readonly stride: number;
}

export class Planes {
  readonly #state: StepState;
  readonly #plane: PlaneConfig;
  readonly #kernels: readonly Matrix[];
  readonly #output: Matrix;
  /** What each convolution gives; that of the third one lies where that of the first one was. */
  readonly #made: readonly Plane[];
  /** [rows, columns], and what a product reads behind them. */
  readonly #windows: Float32Array;
  /** The step's patches. */
  readonly #patches: Float32Array;
  /** Frames of a piece that a row brings. */
  readonly #framesOfRow: number;

  /** memory: the first arena of the rank that leads. */
  constructor(
    state: StepState,
    memory: WebAssembly.Memory,
    by: { plane: PlaneConfig; patches: Float32Array; matrices: readonly MatrixPlan[] },
  ) {
    const { workspaces: [space], embedding } = state.plan;
    const { plane, patches, matrices: [second, third, output] } = by;
    const { channels } = plane;
    const stride = alignUp(channels, SUPERBLOCK_WEIGHTS);
    const sizes = planeFloats(plane);
    this.#state = state;
    this.#plane = plane;
    this.#kernels = [embedding, second, third].map(matrixOf);
    this.#output = matrixOf(output);
    check(!this.#kernels.some(readsQ8), "rows of kernels are of nines, which no block divides");
    const views = [
      { at: space.convolved, floats: floats(memory, space.convolved, sizes.first) },
      { at: space.convolvedAgain, floats: floats(memory, space.convolvedAgain, sizes.second) },
    ];
    let [frames, bands] = [plane.frames, plane.bands];
    this.#made = this.#kernels.map((_, i) => {
      [frames, bands] = [halved(frames), halved(bands)];
      return { ...views[i % 2], frames, bands, channels, stride };
    });
    this.#windows = floats(memory, space.windows, sizes.windows);
    this.#patches = patches;
    this.#framesOfRow = state.config.patches!.length / plane.bands;
  }

  /** to [n, strides.embedding] of n rows of the step's patches, piece by piece. */
  run(to: number): void {
    const { n, plan: { strides: { embedding: stride }, workspaces: [space] } } = this.#state;
    const { rows, bands, frames } = this.#plane;
    for (let row = 0; row < n; row += rows) {
      const own = Math.min(rows, n - row);
      const length = this.#framesOfRow * bands;
      // Of the last piece there may be less: behind it there are zeros.
      const brought = Math.min(frames, own * this.#framesOfRow);
      let from: Plane = {
        ...{ at: space.patches, floats: this.#patches, frames, bands, channels: 1, stride: 1 },
      };
      let start = row * length, end = brought;
      for (let i = 0; i < this.#kernels.length; i++) {
        this.#convolve(from, start, end, i);
        from = this.#made[i];
        start = 0;
        end = from.frames;
      }
      this.#makeRows(from, own, to + 4 * row * stride);
    }
  }

  /** Of a plane whose numbers begin at `start`, and of which the frames before `end` are there. */
  #convolve(from: Plane, start: number, end: number, index: number): void {
    const { kernels } = this.#state;
    const { space } = this.#state;
    const kernel = this.#kernels[index], to = this.#made[index];
    const { columnCount, rowCount } = kernel;
    const places = to.frames * to.bands;
    const x = { f32: space.windows, stride: columnCount, q8: 0 };
    for (let place = 0; place < places; place += CONVOLVED_ROWS) {
      const count = Math.min(CONVOLVED_ROWS, places - place);
      for (let i = 0; i < count; i++) {
        const frame = Math.floor((place + i) / to.bands), band = (place + i) % to.bands;
        this.#layWindow(from, start, end, frame, band, i * columnCount);
      }
      this.#closeWindows(count * columnCount);
      const out = to.at + 4 * place * to.stride;
      project(kernels, kernel, x, count, out, to.stride);
      kernels.gelu_erf_f32(out, to.stride, out, to.stride, count, rowCount);
    }
  }

  /** What the place (frame, band) of a plane half as large sees, channel by channel. */
  #layWindow(
    { floats: values, bands, channels, stride }: Plane,
    start: number,
    end: number,
    frame: number,
    band: number,
    to: number,
  ): void {
    const windows = this.#windows;
    for (let tap = 0; tap < TAPS; tap++) {
      const x = 2 * frame + tap % KERNEL_SIDE - 1;
      const y = 2 * band + Math.floor(tap / KERNEL_SIDE) - 1;
      const isInside = x >= 0 && x < end && y >= 0 && y < bands;
      const from = start + (x * bands + y) * stride;
      for (let i = 0, at = to + tap; i < channels; i++, at += TAPS) {
        windows[at] = isInside ? values[from + i] : 0;
      }
    }
  }

  /** Products read whole steps of columns. */
  #closeWindows(length: number): void {
    this.#windows.fill(0, length, length + FLOAT_ROW_PAD_WEIGHTS);
  }

  /** to [count, strides.embedding] = output · a time's places, channel by channel. */
  #makeRows({ floats: values, bands, channels, stride }: Plane, count: number, to: number): void {
    const { kernels, space, plan: { strides: { embedding } } } = this.#state;
    const { columnCount } = this.#output;
    const windows = this.#windows;
    for (let row = 0; row < count; row++) {
      for (let band = 0; band < bands; band++) {
        const from = (row * bands + band) * stride;
        for (let i = 0, at = row * columnCount + band; i < channels; i++, at += bands) {
          windows[at] = values[from + i];
        }
      }
    }
    this.#closeWindows(count * columnCount);
    const x = { f32: space.windows, stride: columnCount, q8: space.convolvedQ8 };
    if (readsQ8(this.#output)) quantize(kernels, x, count, columnCount);
    project(kernels, this.#output, x, count, to, embedding);
  }
}
