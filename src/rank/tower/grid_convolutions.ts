/**
 * Convolutions over the grid of a tower's rows as products of windows laid side by side, some
 * places at a time, whole on every rank: all need what they give. Knows nothing of what reads it.
 */
import { check } from "../../base/check.ts";
import { FLOAT_ROW_PAD_WEIGHTS } from "../../memory/row_layout.ts";
import { POSITION_AXES } from "../../memory/control_layout.ts";
import { convolvedLength, type GridConvolution } from "../../model/grid_convolutions.ts";
import { floats } from "../bound/arena_views.ts";
import { bindNorm, type Norm, normalizeRows } from "../bound/bound_norm.ts";
import {
  type Activations,
  type Matrix,
  matrixOf,
  project,
  quantize,
  readsQ8,
} from "../bound/matrix.ts";
import { CONVOLVED_ROWS } from "../plan/convolved_rows.ts";
import { type ConvolutionsPlan, planeStride } from "../plan/plan_convolutions.ts";
import type { StepState } from "../step/step_state.ts";

/** Places of a grid line by line, each of so many channels, `stride` apart. */
interface Plane {
  readonly at: number;
  readonly floats: Float32Array;
  readonly rows: number;
  readonly columns: number;
  readonly channels: number;
  readonly stride: number;
}

interface Kernel {
  readonly config: GridConvolution;
  readonly matrix: Matrix;
  readonly norm: Norm | null;
}

export class GridConvolutions {
  readonly #state: StepState;
  readonly #kernels: readonly Kernel[];
  readonly #windows: { readonly at: number; readonly q8: number; readonly floats: Float32Array };
  readonly #planes: readonly { readonly at: number; readonly floats: Float32Array }[];
  /** [chunkTokens, strides.embedding]: what goes in. */
  readonly #rows: Float32Array;

  /** memory: that of the arena behind the last layer. */
  constructor(
    state: StepState,
    by: {
      readonly config: readonly GridConvolution[];
      readonly plan: ConvolutionsPlan;
      readonly memory: WebAssembly.Memory;
    },
  ) {
    const { plan: { outputArena, workspaces, chunkTokens, strides } } = state;
    const { config, memory, plan: { kernels, at, planeFloats, windowFloats } } = by;
    const { normed, projector } = workspaces[outputArena];
    const { grid } = projector!;
    this.#state = state;
    this.#kernels = kernels.map(({ matrix, norm }, i) => (
      { config: config[i], matrix: matrixOf(matrix), norm: bindNorm(norm) }
    ));
    this.#planes = at.planes.map((plane, i) => (
      { at: grid + plane, floats: floats(memory, grid + plane, planeFloats[i]) }
    ));
    const windows = grid + at.windows;
    this.#windows = {
      ...{ at: windows, q8: grid + at.windowsQ8, floats: floats(memory, windows, windowFloats) },
    };
    this.#rows = floats(memory, normed, chunkTokens * strides.embedding);
  }

  /** Of n rows in `normed`, as long as nothing is convolved again. */
  run(n: number, q8: number): Activations {
    const { positions, space, config: { embeddingLength: channels }, plan } = this.#state;
    const last = (n - 1) * POSITION_AXES;
    const rows = positions[last + 1] + 1, columns = positions[last + 2] + 1;
    check(rows * columns === n, "patches of a whole grid");
    const stride = plan.strides.embedding;
    let plane: Plane = {
      ...{ at: space.normed, floats: this.#rows, rows, columns, channels, stride },
    };
    this.#kernels.forEach((kernel, i) => plane = this.#convolve(plane, kernel, i));
    return { f32: plane.at, stride: plane.stride, q8 };
  }

  #convolve(from: Plane, { config, matrix, norm }: Kernel, index: number): Plane {
    const { kernels, space } = this.#state;
    const { columnCount, rowCount: channels } = matrix;
    const to: Plane = {
      ...this.#planes[index % 2],
      rows: convolvedLength(from.rows, config),
      columns: convolvedLength(from.columns, config),
      ...{ channels, stride: planeStride(channels) },
    };
    const places = to.rows * to.columns, { stride } = to;
    check(places * stride <= to.floats.length, "a plane has its place");
    // Products read whole steps of columns.
    to.floats.fill(0, 0, places * stride);
    const windows = this.#windows;
    const x = { f32: windows.at, stride: columnCount, q8: windows.q8 };
    for (let place = 0; place < places; place += CONVOLVED_ROWS) {
      const count = Math.min(CONVOLVED_ROWS, places - place);
      for (let i = 0; i < count; i++) this.#layWindow(from, config, to, place + i, i * columnCount);
      const end = count * columnCount;
      windows.floats.fill(0, end, end + FLOAT_ROW_PAD_WEIGHTS);
      if (readsQ8(matrix)) quantize(kernels, x, count, columnCount);
      project(kernels, matrix, x, count, to.at + 4 * place * stride, stride);
    }
    if (norm !== null) {
      const { ones } = space, { at } = to, { epsilon } = config;
      normalizeRows(
        ...[kernels, "layer", norm, ones, at, stride, at, stride, places, channels] as const,
        epsilon!,
      );
    }
    return to;
  }

  /** What a place of a grid sees, channel by channel; nothing is around the grid. */
  #layWindow(
    from: Plane,
    { side, stride }: GridConvolution,
    to: Plane,
    place: number,
    at: number,
  ): void {
    const { rows, columns, channels, floats: values } = from;
    const windows = this.#windows.floats;
    const taps = side * side, half = (side - 1) / 2;
    const row = Math.floor(place / to.columns) * stride - half;
    const column = place % to.columns * stride - half;
    for (let tap = 0; tap < taps; tap++) {
      const y = row + Math.floor(tap / side), x = column + tap % side;
      const isInside = y >= 0 && x >= 0 && y < rows && x < columns;
      const start = (y * columns + x) * from.stride;
      for (let i = 0, out = at + tap; i < channels; i++, out += taps) {
        windows[out] = isInside ? values[start + i] : 0;
      }
    }
  }
}
