/**
 * Heads that ask the same keys and values, all of them, on one rank: attention's own kernel over
 * what is kept of one picture. Knows nothing of how queries were made.
 */
import { ALL_AHEAD } from "../../model/layer_config.ts";
import { matrixOf, project } from "../bound/matrix.ts";
import { NETWORK_QUERIES, type NetworkPlaces } from "../plan/plan_network.ts";
import type { MatrixPlan } from "../plan/plan_types.ts";
import type { StepState } from "../step/step_state.ts";
import type { Plane } from "./planes_of_places.ts";

export class SharedHeads {
  readonly #state: StepState;
  readonly #places: NetworkPlaces;
  /** Address of the region. */
  readonly #at: number;
  readonly #table: Uint32Array;

  /** memory: this rank's first arena. */
  constructor(
    state: StepState,
    { memory, places }: { readonly memory: WebAssembly.Memory; readonly places: NetworkPlaces },
  ) {
    this.#state = state;
    this.#places = places;
    this.#at = state.plan.workspaces[0].convolved;
    const { buffer } = memory;
    this.#table = new Uint32Array(buffer, this.#at + places.table, places.floats.blocks);
  }

  /** Keeps matrix · x of all places as keys, or as values. */
  take(what: "keys" | "values", matrix: MatrixPlan, x: Plane, headDim: number): void {
    const { kernels } = this.#state;
    const { rows, keyBlocks, valueBlocks, table, floats: { blocks } } = this.#places;
    const count = x.side ** 2, from = this.#at + rows;
    // It shares bytes with what other parts of a step leave.
    this.#table.forEach((_, block) => this.#table[block] = block);
    const read = { f32: x.at, stride: x.stride, q8: 0 };
    project(kernels, matrixOf(matrix), read, count, from, headDim);
    const isKeys = what === "keys";
    const to = this.#at + (isKeys ? keyBlocks : valueBlocks);
    const store = isKeys ? kernels.store_keys_f32 : kernels.store_values_f32;
    store(from, headDim, to, this.#at + table, blocks, 0, count, 1, headDim);
  }

  /** mixed = what heads take of `count` places. */
  mix(
    queries: Plane,
    mixed: Plane,
    { count, headDim }: { readonly count: number; readonly headDim: number },
  ): void {
    const { kernels } = this.#state;
    const { keyBlocks, valueBlocks, table, scratch, floats: { blocks } } = this.#places;
    const at = this.#at, places = queries.side ** 2;
    const heads = queries.channels / headDim;
    // Positions mean nothing: each query sees all keys, and no step may be longer than these.
    const most = Math.min(NETWORK_QUERIES, count);
    for (let from = 0; from < places; from += most) {
      kernels.attention_f32(
        queries.at + 4 * from * queries.stride,
        queries.stride,
        at + keyBlocks,
        at + valueBlocks,
        1,
        at + table,
        blocks,
        mixed.at + 4 * from * mixed.stride,
        mixed.stride,
        at + scratch,
        Math.min(most, places - from),
        0,
        heads,
        0,
        heads,
        headDim,
        headDim,
        0,
        1 / Math.sqrt(headDim),
        0,
        0,
        0,
        0,
        0,
        ALL_AHEAD,
        count,
      );
    }
  }
}
