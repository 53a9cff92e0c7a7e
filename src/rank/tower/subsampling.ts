/**
 * Two convolutions over a spectrogram's plane that make it half as long and half as high each, with
 * norms of channels and relu, and a matrix that makes a row of what is left of each time: some rows
 * at a time, of as many frames as they see. Knows nothing of sounds.
 */
import { check } from "../../base/check.ts";
import { FLOAT_ROW_PAD_WEIGHTS } from "../../memory/row_layout.ts";
import type { SubsamplingConfig } from "../../model/conformer_types.ts";
import { halved, KERNEL_SIDE } from "../../model/plane.ts";
import { floats } from "../bound/arena_views.ts";
import { bindNorm, type Norm, normalizeRows } from "../bound/bound_norm.ts";
import { type Matrix, matrixOf, project, quantize, readsQ8 } from "../bound/matrix.ts";
import { CONVOLVED_ROWS } from "../plan/convolved_rows.ts";
import {
  SUBSAMPLED_ROWS,
  type SubsamplingPlan,
  type SubsamplingSizes,
  subsamplingSizes,
} from "../plan/plan_conformer.ts";
import type { StepState } from "../step/step_state.ts";

const TAPS = KERNEL_SIDE ** 2;

/** Frames `from` to `end` of a plane of `frames`, each of `bands` places, `stride` apart. */
interface Piece {
  readonly values: Float32Array;
  readonly from: number;
  readonly end: number;
  readonly bands: number;
  readonly channels: number;
  readonly stride: number;
}

/** A convolution and what is behind it. */
interface Stage {
  readonly kernel: Matrix;
  readonly norm: Norm;
  readonly at: number;
  readonly values: Float32Array;
  readonly bands: number;
  readonly stride: number;
}

export class Subsampling {
  readonly #state: StepState;
  readonly #config: SubsamplingConfig;
  readonly #sizes: SubsamplingSizes;
  readonly #stages: readonly [Stage, Stage];
  readonly #output: Matrix;
  /** Windows side by side, or what rows are made of, and what a product reads behind them. */
  readonly #windows: Float32Array;
  /** The step's patches. */
  readonly #patches: Float32Array;

  /** memory: the first arena of the rank that leads. */
  constructor(
    state: StepState,
    memory: WebAssembly.Memory,
    by: { config: SubsamplingConfig; patches: Float32Array; plan: SubsamplingPlan },
  ) {
    const { workspaces: [space], embedding } = state.plan;
    const { config, patches, plan: { second, norms, output } } = by;
    const sizes = subsamplingSizes(config);
    const [first, last] = [matrixOf(embedding), matrixOf(second)];
    check(![first, last].some(readsQ8), "rows of kernels are of nines, which no block divides");
    this.#state = state;
    this.#config = config;
    this.#sizes = sizes;
    const stageOf = (kernel: Matrix, i: 0 | 1, at: number, length: number): Stage => ({
      ...{ kernel, norm: bindNorm(norms[i]), at, values: floats(memory, at, length) },
      ...{ bands: sizes.bands[i], stride: sizes.strides[i] },
    });
    this.#stages = [
      stageOf(first, 0, space.convolved, sizes.first),
      stageOf(last, 1, space.convolvedAgain, sizes.second),
    ];
    this.#output = matrixOf(output);
    this.#windows = floats(memory, space.windows, sizes.windows);
    this.#patches = patches;
  }

  /** to [n, embeddingStride] of so many frames of the step's patches. */
  run(frames: number, to: number): void {
    const { n, plan: { strides: { embedding: stride } } } = this.#state;
    const { bands } = this.#config;
    const between = halved(frames);
    check(halved(between) === n, "frames of as many rows as the step has");
    const all: Piece = {
      ...{ values: this.#patches, from: 0, end: frames, bands, channels: 1, stride: 1 },
    };
    for (let row = 0; row < n; row += SUBSAMPLED_ROWS) {
      const end = Math.min(n, row + SUBSAMPLED_ROWS);
      const seen = { from: Math.max(0, 2 * row - 1), end: Math.min(between, 2 * end) };
      const half = this.#convolve(all, this.#stages[0], seen);
      this.#makeRows(this.#convolve(half, this.#stages[1], { from: row, end }), to, stride);
    }
  }

  /** relu(norm(kernel · windows + bias)) of frames `from` to `end` of what comes out. */
  #convolve(
    piece: Piece,
    stage: Stage,
    { from, end }: { readonly from: number; readonly end: number },
  ): Piece {
    const { kernels, space: { windows, ones } } = this.#state;
    const { kernel, norm, at, values, bands, stride } = stage;
    const { columnCount, rowCount } = kernel;
    const { epsilon } = this.#config;
    const places = (end - from) * bands;
    const x = { f32: windows, stride: columnCount, q8: 0 };
    for (let place = 0; place < places; place += CONVOLVED_ROWS) {
      const n = Math.min(CONVOLVED_ROWS, places - place);
      for (let i = 0; i < n; i++) {
        const frame = from + Math.floor((place + i) / bands), band = (place + i) % bands;
        this.#layWindow(piece, frame, band, i * columnCount);
      }
      this.#close(n * columnCount);
      const to = at + 4 * place * stride;
      project(kernels, kernel, x, n, to, stride);
      normalizeRows(kernels, "layer", norm, ones, to, stride, to, stride, n, rowCount, epsilon);
      kernels.relu_f32(to, stride, to, stride, n, rowCount);
    }
    return { ...{ values, from, end, bands, channels: rowCount, stride } };
  }

  /** What the place (frame, band) of a plane half as large sees, channel by channel. */
  #layWindow(
    { values, from, end, bands, channels, stride }: Piece,
    frame: number,
    band: number,
    to: number,
  ): void {
    const windows = this.#windows;
    for (let tap = 0; tap < TAPS; tap++) {
      const t = 2 * frame + Math.floor(tap / KERNEL_SIDE) - 1;
      const b = 2 * band + tap % KERNEL_SIDE - 1;
      const isInside = t >= from && t < end && b >= 0 && b < bands;
      const at = ((t - from) * bands + b) * stride;
      for (let i = 0, place = to + tap; i < channels; i++, place += TAPS) {
        windows[place] = isInside ? values[at + i] : 0;
      }
    }
  }

  /** Products read whole steps of columns. */
  #close(length: number): void {
    this.#windows.fill(0, length, length + FLOAT_ROW_PAD_WEIGHTS);
  }

  /** Rows of a time's places side by side. */
  #makeRows(
    { values, from, end, bands, channels, stride: own }: Piece,
    to: number,
    stride: number,
  ): void {
    const { kernels, space } = this.#state;
    const { columns } = this.#sizes;
    const windows = this.#windows, output = this.#output;
    const places = (end - from) * bands;
    for (let place = 0; place < places; place++) {
      const at = place * own;
      windows.set(values.subarray(at, at + channels), place * channels);
    }
    this.#close(places * channels);
    const x = { f32: space.windows, stride: columns, q8: space.convolvedQ8 };
    if (readsQ8(output)) quantize(kernels, x, end - from, columns);
    project(kernels, output, x, end - from, to + 4 * from * stride, stride);
  }
}
