/**
 * Rows of the residual stream that a prompt brings along, in place of embeddings: those of images.
 * Ids below 0 name them. Knows nothing of where they come from.
 */
import { check } from "../../base/check.ts";
import { givenWidth } from "../../model/given_width.ts";
import type { ModelConfig } from "../../model/types.ts";

/** Rows that follow one another in a prompt: of an image, or of a part of one. */
export interface GivenRows {
  /**
   * Below 0: row k has id `firstId` - k, in the prompt as well. While an engine lives, an id never
   * names two different rows.
   */
  readonly firstId: number;
  /** [count, `givenWidth`]: as they enter the first layer, or before `GivenConfig.scalesGiven`. */
  readonly values: Float32Array;
  /** They attend to each other both ways. */
  readonly seesAll: boolean;
  /** Where they stand in an image, row by row; null: they follow one another as texts do. */
  readonly grid: RowGrid | null;
}

/** Rows of an image, line by line. */
export interface RowGrid {
  /** Lines. */
  readonly rows: number;
  /** Rows in a line. */
  readonly columns: number;
  /**
   * A row stands before all of them and one behind, which stand as text does; the last column is
   * lines' ends. Rows take as many positions as there are of them. Left out: they take as many as
   * the longer side has.
   */
  readonly isFramed?: true;
}

/** The rows of all prompts that are under way, on the thread that puts them in: rank 0's. */
export class GivenTable {
  readonly #length: number;
  readonly #width: number;
  readonly #scale: number;
  readonly #all: GivenRows[] = [];

  constructor(config: ModelConfig) {
    this.#length = config.embeddingLength;
    this.#width = givenWidth(config);
    this.#scale = config.scalesGiven ? config.embeddingScale : 1;
  }

  add(rows: readonly GivenRows[]): void {
    this.#all.push(...rows);
  }

  /** Takes out what was added. */
  remove(rows: readonly GivenRows[]): void {
    for (const each of rows) {
      const at = this.#all.indexOf(each);
      if (at >= 0) this.#all.splice(at, 1);
    }
  }

  /** Copies what of the row of an id enters the first layer to `to[at …]`. */
  put(id: number, to: Float32Array, at: number): void {
    const { values, from } = this.#find(id);
    to.set(values.subarray(from, from + this.#length), at);
    if (this.#scale === 1) return;
    for (let i = at; i < at + this.#length; i++) to[i] *= this.#scale;
  }

  /** Adds another part of the row of an id, from 1 on, to `to[at …]`; scale: left out: as it is. */
  addPart(
    id: number,
    part: number,
    { to, at, scale = 1 }: { to: Float32Array; at: number; scale?: number },
  ): void {
    const { values, from } = this.#find(id);
    const start = from + part * this.#length;
    for (let i = 0; i < this.#length; i++) to[at + i] += scale * values[start + i];
  }

  #find(id: number): { readonly values: Float32Array; readonly from: number } {
    for (const { firstId, values } of this.#all) {
      const from = (firstId - id) * this.#width;
      if (from >= 0 && from < values.length) return { values, from };
    }
    check(false, "a row was given for each id below 0");
  }
}
