/**
 * Which rows of a step have which adapters, and how much of them: by the table that the leader
 * writes for sequences. Knows nothing of what adapters change.
 */
import type { StepWords } from "../../memory/control.ts";
import { SEGMENT_ROWS, SEGMENT_SLOT, SEGMENT_WORDS } from "../../memory/control_layout.ts";
import { floats } from "../bound/arena_views.ts";
import { type AdaptersPlan, ADDED_ROWS } from "../plan/plan_added.ts";
import type { RankPlan } from "../plan/plan_types.ts";

/** Rows that follow one another, [start, end) each. */
export interface RowRuns {
  /** i32 [chunkTokens, 2] */
  readonly bounds: Int32Array;
  count: number;
}

export class AdaptedRows {
  /** By adapter: rows that have some of it. */
  readonly runs: readonly RowRuns[];
  /** By arena: what is between two matrices. */
  readonly between: readonly Float32Array[];
  readonly #chunkTokens: number;
  /** [sequences, adapters] */
  readonly #table: Float32Array;
  /** By arena: [adapters, chunkTokens] */
  readonly #scales: readonly Float32Array[];

  /** memories: this rank's, one per arena. */
  constructor(
    { workspaces, sequences, chunkTokens }: RankPlan,
    { count, stride }: AdaptersPlan,
    memories: readonly WebAssembly.Memory[],
  ) {
    this.#chunkTokens = chunkTokens;
    this.#table = floats(memories[0], workspaces[0].added!.table, sequences * count);
    this.#scales = workspaces.map(({ added }, arena) =>
      floats(memories[arena], added!.scales, count * chunkTokens)
    );
    this.between = workspaces.map(({ added }, arena) =>
      floats(memories[arena], added!.between, ADDED_ROWS * stride)
    );
    this.runs = Array.from({ length: count }, () => ({
      bounds: new Int32Array(2 * chunkTokens),
      count: 0,
    }));
  }

  /** Looks up the sequences of a step's rows. */
  begin({ segments, segmentCount }: StepWords): void {
    for (let adapter = 0; adapter < this.runs.length; adapter++) {
      this.#find(adapter, segments, segmentCount);
    }
  }

  #find(adapter: number, segments: Int32Array, segmentCount: number): void {
    const { bounds } = this.runs[adapter];
    const count = this.runs.length;
    let runs = 0, row = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const end = row + segments[at + SEGMENT_ROWS];
      const ofSequence = segments[at + SEGMENT_SLOT] * count + adapter;
      if (this.#table[ofSequence] !== 0) {
        this.#scale(adapter * this.#chunkTokens, row, end, ofSequence);
        if (runs > 0 && bounds[2 * runs - 1] === row) runs--;
        else bounds[2 * runs] = row;
        bounds[2 * runs + 1] = end;
        runs++;
      }
      row = end;
    }
    this.runs[adapter].count = runs;
  }

  /** Number by number: one that is handed on would be boxed. */
  #scale(first: number, row: number, end: number, from: number): void {
    for (let arena = 0; arena < this.#scales.length; arena++) {
      const scales = this.#scales[arena];
      for (let t = row; t < end; t++) scales[first + t] = this.#table[from];
    }
  }
}
