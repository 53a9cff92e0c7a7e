/**
 * Rows of heads of an image's patches, which come line of blocks by line, put column of blocks by
 * column, and back. Knows nothing of attention.
 */
import { check } from "../../base/check.ts";
import { POSITION_AXES } from "../../memory/control_layout.ts";
import { floats } from "../bound/arena_views.ts";
import type { Layer } from "../bound/layer.ts";
import type { StepState } from "../step/step_state.ts";

export class ColumnOrder {
  readonly #state: StepState;
  /** Patches of a block, and on its side. */
  readonly #block: number;
  readonly #side: number;
  /** All of each arena. */
  readonly #arenas: readonly Float32Array[];
  /** Where row i goes, [chunkTokens]. */
  readonly #places: Int32Array;
  /** Which rows are where they belong already. */
  readonly #isDone: Uint8Array;

  /** Null: no layer puts them so. memories: this rank's, one per arena. */
  static of(state: StepState, memories: readonly WebAssembly.Memory[]): ColumnOrder | null {
    const isThere = state.config.layers.some(({ byColumns }) => byColumns);
    return isThere ? new ColumnOrder(state, memories) : null;
  }

  private constructor(state: StepState, memories: readonly WebAssembly.Memory[]) {
    const { chunkTokens } = state.plan;
    this.#state = state;
    this.#block = state.config.projector!.mergedRows;
    this.#side = Math.sqrt(this.#block);
    this.#arenas = memories.map((memory) => floats(memory, 0, memory.buffer.byteLength / 4));
    this.#places = new Int32Array(chunkTokens);
    this.#isDone = new Uint8Array(chunkTokens);
  }

  /** Queries, keys and values of the step's rows stand column by column. */
  enter({ headCount, kvHeadCount, headDim, valueDim }: Layer): void {
    const { space: { query, key, value } } = this.#state;
    this.#place();
    this.#move(query, headCount * headDim, headCount * headDim);
    this.#move(key, kvHeadCount * headDim, kvHeadCount * headDim);
    this.#move(value, kvHeadCount * valueDim, kvHeadCount * valueDim);
  }

  /** What attention gives stands as the step's rows do. */
  leave({ headCount, valueDim }: Layer): void {
    const { space: { attention }, plan: { strides } } = this.#state;
    this.#moveBack(attention, strides.attention, headCount * valueDim);
  }

  /** Of the step's image. */
  #place(): void {
    const { n, positions } = this.#state;
    let rows = 0, columns = 0;
    for (let i = 0; i < n; i++) {
      rows = Math.max(rows, 1 + positions[POSITION_AXES * i + 1]);
      columns = Math.max(columns, 1 + positions[POSITION_AXES * i + 2]);
    }
    check(rows * columns === n, "patches of a whole image");
    const down = rows / this.#side, across = columns / this.#side;
    for (let i = 0; i < n; i++) {
      const block = Math.floor(i / this.#block), within = i % this.#block;
      const place = block % across * down + Math.floor(block / across);
      this.#places[i] = place * this.#block + within;
    }
  }

  /** Row i goes to its place, cycle by cycle: swapped with the row that is there. */
  #move(at: number, stride: number, width: number): void {
    this.#isDone.fill(0, 0, this.#state.n);
    for (let start = 0; start < this.#state.n; start++) {
      // Each row of the cycle comes to `start`, and goes on from there.
      for (let to = this.#places[start]; !this.#isDone[to]; to = this.#places[to]) {
        this.#isDone[to] = 1;
        if (to !== start) this.#swap(at, stride, width, { a: start, b: to });
      }
    }
  }

  /** The other way round. */
  #moveBack(at: number, stride: number, width: number): void {
    this.#isDone.fill(0, 0, this.#state.n);
    for (let start = 0; start < this.#state.n; start++) {
      for (let row = start; !this.#isDone[row]; row = this.#places[row]) {
        this.#isDone[row] = 1;
        const from = this.#places[row];
        if (from !== start) this.#swap(at, stride, width, { a: row, b: from });
      }
    }
  }

  #swap(
    at: number,
    stride: number,
    width: number,
    { a, b }: { readonly a: number; readonly b: number },
  ): void {
    const all = this.#arenas[this.#state.arena];
    const first = at / 4 + a * stride, second = at / 4 + b * stride;
    for (let i = 0; i < width; i++) {
      const value = all[first + i];
      all[first + i] = all[second + i];
      all[second + i] = value;
    }
  }
}
