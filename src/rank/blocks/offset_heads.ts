/**
 * Attention to patches of an image whose scores count how many rows and columns away a key is, in
 * windows of the image or in all of it. A key is made longer by ones that say its row and column, a
 * query by what it counts of each: then attention's own kernel does it, head by head. Knows nothing
 * of how queries, keys and values were made.
 */
import { check } from "../../base/check.ts";
import { POSITION_AXES } from "../../memory/control_layout.ts";
import { ALL_AHEAD } from "../../model/layer_config.ts";
import { floats } from "../bound/arena_views.ts";
import type { Layer } from "../bound/layer.ts";
import type { Offsets } from "../bound/offsets.ts";
import { tableBlocks } from "../plan/kv_bytes.ts";
import {
  layOffsets,
  OFFSET_QUERIES,
  type OffsetPlaces,
  offsetSizes,
} from "../plan/plan_offsets.ts";
import type { StepState } from "../step/step_state.ts";

/** A window: its first row and column, how many it has, and how many of these an image has. */
interface Window {
  top: number;
  left: number;
  rows: number;
  columns: number;
  ownRows: number;
  ownColumns: number;
}

export class OffsetHeads {
  readonly #state: StepState;
  readonly #at: OffsetPlaces;
  /** From one longer key, or query, to the next. */
  readonly #length: number;
  readonly #keysMax: number;
  readonly #blocks: number;
  /** All of each arena. */
  readonly #arenas: readonly Float32Array[];
  /** By arena: which block is where. */
  readonly #blockTables: readonly Uint32Array[];
  /** By layer: tables of as many rows, and columns, as the last image needs, [2n - 1, headDim]. */
  readonly #tables = new Map<number, readonly [rows: Float64Array, columns: Float64Array]>();
  readonly #window: Window = { top: 0, left: 0, rows: 0, columns: 0, ownRows: 0, ownColumns: 0 };
  /** Of the step's image. */
  #rows = 0;
  #columns = 0;

  /** Null: no layer has such heads, or the rank has none. */
  static of(state: StepState, memories: readonly WebAssembly.Memory[]): OffsetHeads | null {
    const isThere = state.plan.workspaces.some(({ inGrid }) => inGrid > 0);
    return isThere ? new OffsetHeads(state, memories) : null;
  }

  /** memories: this rank's, one per arena. */
  private constructor(state: StepState, memories: readonly WebAssembly.Memory[]) {
    const { config } = state;
    const { keys, length } = offsetSizes(config);
    this.#state = state;
    // Every arena's kernels have the same sizes.
    this.#at = layOffsets(config, state.kernels)!.at;
    this.#length = length;
    this.#keysMax = keys;
    this.#blocks = tableBlocks(keys);
    this.#arenas = memories.map((memory) => floats(memory, 0, memory.buffer.byteLength / 4));
    this.#blockTables = memories.map(({ buffer }, arena) => {
      const at = state.plan.workspaces[arena].inGrid + this.#at.table;
      return new Uint32Array(buffer, at, this.#blocks);
    });
  }

  /** attention [n, attentionStride] = softmax(scale · query · keysᵀ + what is counted) · values. */
  attend(layer: Layer, offsets: Offsets): void {
    this.#measure(offsets);
    const window = this.#window;
    window.rows = offsets.areWindows ? offsets.side : this.#rows;
    window.columns = offsets.areWindows ? offsets.side : this.#columns;
    const tables = this.#tablesOf(layer, offsets);
    this.#fillTable();
    for (let top = 0; top < this.#rows; top += window.rows) {
      for (let left = 0; left < this.#columns; left += window.columns) {
        window.top = top;
        window.left = left;
        window.ownRows = Math.min(window.rows, this.#rows - top);
        window.ownColumns = Math.min(window.columns, this.#columns - left);
        for (let head = 0; head < layer.headCount; head++) {
          this.#layKeys(layer, head);
          this.#layQueries(layer, head, tables);
          this.#mix(layer);
          this.#leave(layer, head);
        }
      }
    }
  }

  /** Patches come line by line. */
  #measure({ side, areWindows }: Offsets): void {
    const { n, positions } = this.#state;
    const last = (n - 1) * POSITION_AXES;
    this.#rows = positions[last + 1] + 1;
    this.#columns = positions[last + 2] + 1;
    check(this.#rows * this.#columns === n, "patches of a whole grid");
    check(areWindows || Math.max(this.#rows, this.#columns) <= side, "a grid of known sides");
  }

  /** It shares bytes with what other parts of a step leave. */
  #fillTable(): void {
    const table = this.#blockTables[this.#state.arena];
    for (let block = 0; block < table.length; block++) table[block] = block;
  }

  /** Of zeros beyond the image's edges, too. */
  #layKeys({ headDim, kvHeadCount, key, value }: Layer, head: number): void {
    const { kernels, space, arena } = this.#state;
    const { top, left, rows, columns, ownRows, ownColumns } = this.#window;
    const all = this.#arenas[arena], at = this.#at, length = this.#length;
    const width = kvHeadCount * headDim, own = head * headDim;
    const count = rows * columns;
    check(count <= this.#keysMax, "a window has its place");
    let to = (space.inGrid + at.rows) / 4, toValue = (space.inGrid + at.values) / 4;
    all.fill(0, to, to + count * length);
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++, to += length, toValue += headDim) {
        if (y < ownRows && x < ownColumns) {
          const from = ((top + y) * this.#columns + left + x) * width + own;
          all.copyWithin(to, space.key / 4 + from, space.key / 4 + from + headDim);
          all.copyWithin(toValue, space.value / 4 + from, space.value / 4 + from + headDim);
        } else {
          this.#copyBias(key.bias, own, headDim, to);
          this.#copyBias(value.bias, own, headDim, toValue);
        }
        all[to + headDim + y] = 1;
        all[to + headDim + rows + x] = 1;
      }
    }
    const { inGrid } = space;
    const table = inGrid + at.table, blocks = this.#blocks;
    const keys = inGrid + at.keyBlocks, values = inGrid + at.valueBlocks;
    kernels.store_keys_f32(inGrid + at.rows, length, keys, table, blocks, 0, count, 1, length);
    kernels.store_values_f32(
      ...[inGrid + at.values, headDim, values, table, blocks, 0, count, 1, headDim] as const,
    );
  }

  #copyBias(bias: number, own: number, headDim: number, to: number): void {
    const all = this.#arenas[this.#state.arena];
    if (bias === 0) all.fill(0, to, to + headDim);
    else all.copyWithin(to, bias / 4 + own, bias / 4 + own + headDim);
  }

  /** Of those in the image: what they count of each row and column, before scores are scaled. */
  #layQueries(
    { headCount, headDim, scoreScale }: Layer,
    head: number,
    [ofRows, ofColumns]: readonly [Float64Array, Float64Array],
  ): void {
    const { space, arena, fractions } = this.#state;
    const { top, left, rows, columns, ownRows, ownColumns } = this.#window;
    const all = this.#arenas[arena], length = this.#length;
    const scale = scoreScale ?? fractions.attentionScale;
    const width = headCount * headDim;
    let to = (space.inGrid + this.#at.queries) / 4;
    for (let y = 0; y < ownRows; y++) {
      for (let x = 0; x < ownColumns; x++, to += length) {
        const from = space.query / 4 + ((top + y) * this.#columns + left + x) * width +
          head * headDim;
        all.copyWithin(to, from, from + headDim);
        all.fill(0, to + headDim, to + length);
        const toRows = to + headDim, toColumns = toRows + rows;
        for (let other = 0; other < rows; other++) {
          const row = (y - other + rows - 1) * headDim;
          all[toRows + other] = dot(all, from, ofRows, row, headDim) / scale;
        }
        for (let other = 0; other < columns; other++) {
          const column = (x - other + columns - 1) * headDim;
          all[toColumns + other] = dot(all, from, ofColumns, column, headDim) / scale;
        }
      }
    }
  }

  /** mixed = softmax(scale · queries · keysᵀ) · values: every query sees all keys. */
  #mix({ headDim, scoreScale }: Layer): void {
    const { kernels, space: { inGrid }, fractions } = this.#state;
    const { rows, columns, ownRows, ownColumns } = this.#window;
    const at = this.#at, length = this.#length;
    const queries = ownRows * ownColumns, keys = rows * columns;
    for (let from = 0; from < queries; from += OFFSET_QUERIES) {
      kernels.attention_f32(
        inGrid + at.queries + 4 * from * length,
        length,
        inGrid + at.keyBlocks,
        inGrid + at.valueBlocks,
        1,
        inGrid + at.table,
        this.#blocks,
        inGrid + at.mixed + 4 * from * headDim,
        headDim,
        inGrid + at.scratch,
        Math.min(OFFSET_QUERIES, queries - from),
        from,
        1,
        0,
        1,
        length,
        headDim,
        0,
        scoreScale ?? fractions.attentionScale,
        0,
        0,
        0,
        0,
        0,
        ALL_AHEAD,
        keys,
      );
    }
  }

  #leave({ headDim }: Layer, head: number): void {
    const { space, arena, plan: { strides: { attention: stride } } } = this.#state;
    const { top, left, ownRows, ownColumns } = this.#window;
    const all = this.#arenas[arena];
    let from = (space.inGrid + this.#at.mixed) / 4;
    for (let y = 0; y < ownRows; y++) {
      for (let x = 0; x < ownColumns; x++, from += headDim) {
        const token = (top + y) * this.#columns + left + x;
        all.copyWithin(space.attention / 4 + token * stride + head * headDim, from, from + headDim);
      }
    }
  }

  #tablesOf(layer: Layer, { rows, columns }: Offsets): readonly [Float64Array, Float64Array] {
    const { headDim, index } = layer;
    const lengths = [2 * this.#window.rows - 1, 2 * this.#window.columns - 1];
    const known = this.#tables.get(index);
    if (known && known.every((table, i) => table.length === lengths[i] * headDim)) return known;
    const all = this.#arenas[this.#state.arena];
    const [ofRows, ofColumns] = [rows, columns].map(({ at, count }, i) =>
      stretched(all.subarray(at / 4, at / 4 + count * headDim), headDim, lengths[i])
    );
    const tables = [ofRows, ofColumns] as const;
    this.#tables.set(index, tables);
    return tables;
  }
}

function dot(x: Float32Array, from: number, y: Float64Array, at: number, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += x[from + i] * y[at + i];
  return sum;
}

/** So many rows, [count, d], read between those that are there where these are others. */
function stretched(table: Float32Array, d: number, count: number): Float64Array {
  const found = table.length / d;
  const out = new Float64Array(count * d);
  for (let row = 0; row < count; row++) {
    const place = Math.max(0, Math.min(found - 1, (row + 0.5) * found / count - 0.5));
    const first = Math.floor(place), next = Math.min(found - 1, first + 1);
    for (let i = 0; i < d; i++) {
      const [before, behind] = [table[first * d + i], table[next * d + i]];
      out[row * d + i] = before + (place - first) * (behind - before);
    }
  }
  return out;
}
