/**
 * Convolutions over a spectrogram's plane that make it half as long and half as high each, of all
 * channels or of each by itself, with norms of channels and relu, and a matrix that makes a row of
 * what is left of each time: some rows at a time, of as many frames as they see. Knows nothing of
 * sounds.
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
import type { VectorPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";
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
  /** Kernels, or what mixes channels that `taps` convolve, [9, channels], with what is added. */
  readonly matrix: Matrix;
  readonly taps: { readonly weights: Float32Array; readonly bias: Float32Array } | null;
  readonly norm: Norm | null;
  readonly at: number;
  readonly values: Float32Array;
  readonly bands: number;
  readonly stride: number;
}

export class Subsampling {
  readonly #state: StepState;
  readonly #config: SubsamplingConfig;
  readonly #sizes: SubsamplingSizes;
  readonly #stages: readonly Stage[];
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
    const { config, patches, plan: { others, norms, output } } = by;
    const sizes = subsamplingSizes(config);
    this.#state = state;
    this.#config = config;
    this.#sizes = sizes;
    const view = ({ offsetBytes, range }: VectorPlan) =>
      floats(memory, offsetBytes, lengthOf(range));
    // What every other one gives lies where that of the one before it does not.
    const places = [
      { at: space.convolved, values: floats(memory, space.convolved, sizes.first) },
      { at: space.convolvedAgain, values: floats(memory, space.convolvedAgain, sizes.second) },
    ];
    this.#stages = [embedding, ...others].map((plan, i): Stage => ({
      matrix: matrixOf("mix" in plan ? plan.mix : plan),
      taps: "mix" in plan ? { weights: view(plan.kernels), bias: view(plan.bias) } : null,
      norm: norms.length === 0 ? null : bindNorm(norms[i]),
      ...{ ...places[i % 2], bands: sizes.stages[i].bands, stride: sizes.stages[i].stride },
    }));
    const isQuantised = this.#stages.some(({ matrix }) => readsQ8(matrix));
    check(!isQuantised, "rows of kernels are of nines, or of ones in files: no block divides them");
    this.#output = matrixOf(output);
    this.#windows = floats(memory, space.windows, sizes.windows);
    this.#patches = patches;
  }

  /** to [n, strides.embedding] of so many frames of the step's patches. */
  run(frames: number, to: number): void {
    const { n, plan: { strides: { embedding: stride } } } = this.#state;
    const { bands } = this.#config;
    const lengths = [frames];
    for (let i = 0; i < this.#stages.length; i++) lengths.push(halved(lengths[i]));
    check(lengths[this.#stages.length] === n, "frames of as many rows as the step has");
    for (let row = 0; row < n; row += SUBSAMPLED_ROWS) {
      const end = Math.min(n, row + SUBSAMPLED_ROWS);
      let piece: Piece = {
        ...{ values: this.#patches, from: 0, end: frames, bands, channels: 1, stride: 1 },
      };
      for (let i = 0; i < this.#stages.length; i++) {
        piece = this.#convolve(piece, this.#stages[i], seenBy(row, end, lengths, i + 1));
      }
      this.#makeRows(piece, to, stride);
    }
  }

  /** relu(norm(matrix · windows + bias)) of frames `from` to `end` of what comes out. */
  #convolve(
    piece: Piece,
    stage: Stage,
    { from, end }: { readonly from: number; readonly end: number },
  ): Piece {
    const { kernels, space: { windows, ones } } = this.#state;
    const { matrix, taps, norm, at, values, bands, stride } = stage;
    const { columnCount, rowCount } = matrix;
    const places = (end - from) * bands;
    const x = { f32: windows, stride: columnCount, q8: 0 };
    for (let place = 0; place < places; place += CONVOLVED_ROWS) {
      const n = Math.min(CONVOLVED_ROWS, places - place);
      for (let i = 0; i < n; i++) {
        const frame = from + Math.floor((place + i) / bands), band = (place + i) % bands;
        if (taps === null) this.#layWindow(piece, frame, band, i * columnCount);
        else this.#sumUp(piece, taps, frame, band, i * columnCount);
      }
      this.#close(n * columnCount);
      const to = at + 4 * place * stride;
      project(kernels, matrix, x, n, to, stride);
      if (norm !== null) {
        const epsilon = this.#config.epsilon!;
        normalizeRows(kernels, "layer", norm, ones, to, stride, to, stride, n, rowCount, epsilon);
      }
      kernels.relu_f32(to, stride, to, stride, n, rowCount);
    }
    return { ...{ values, from, end, bands, channels: rowCount, stride } };
  }

  /** The place (frame, band) of a plane half as large, of each channel by itself. */
  #sumUp(
    { values, from, end, bands, channels, stride }: Piece,
    { weights, bias }: NonNullable<Stage["taps"]>,
    frame: number,
    band: number,
    to: number,
  ): void {
    const windows = this.#windows;
    for (let i = 0; i < channels; i++) windows[to + i] = bias[i];
    for (let tap = 0; tap < TAPS; tap++) {
      const t = 2 * frame + Math.floor(tap / KERNEL_SIDE) - 1;
      const b = 2 * band + tap % KERNEL_SIDE - 1;
      if (t < from || t >= end || b < 0 || b >= bands) continue;
      const at = ((t - from) * bands + b) * stride, weight = tap * channels;
      for (let i = 0; i < channels; i++) windows[to + i] += weights[weight + i] * values[at + i];
    }
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

  /** Rows of a time's places side by side, in the file's order. */
  #makeRows(
    { values, from, end, bands, channels, stride: own }: Piece,
    to: number,
    stride: number,
  ): void {
    const { kernels, space } = this.#state;
    const { columns } = this.#sizes;
    const windows = this.#windows, output = this.#output;
    const [ofBand, ofChannel] = this.#config.order === "byBand" ? [channels, 1] : [1, bands];
    for (let row = 0; row < end - from; row++) {
      for (let band = 0; band < bands; band++) {
        const at = (row * bands + band) * own, place = row * columns + band * ofBand;
        for (let i = 0; i < channels; i++) windows[place + i * ofChannel] = values[at + i];
      }
    }
    this.#close((end - from) * columns);
    const x = { f32: space.windows, stride: columns, q8: space.convolvedQ8 };
    if (readsQ8(output)) quantize(kernels, x, end - from, columns);
    project(kernels, output, x, end - from, to + 4 * from * stride, stride);
  }
}

/** Frames of what the first `stage` convolutions give that rows from `row` to `end` see. */
function seenBy(
  row: number,
  end: number,
  lengths: readonly number[],
  stage: number,
): { readonly from: number; readonly end: number } {
  let seen = { from: row, end };
  for (let i = lengths.length - 1; i > stage; i--) {
    seen = { from: Math.max(0, 2 * seen.from - 1), end: Math.min(lengths[i - 1], 2 * seen.end) };
  }
  return seen;
}
