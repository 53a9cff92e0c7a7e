/**
 * Rows of an embedding table that stays in its packed file: asked for when tokens are known, some
 * at a time, and packed as loading would have packed them. Knows nothing of tokens.
 */
import type { Kernels } from "../../../wasm/kernels.ts";
import { check } from "../../base/check.ts";
import { NO_TICKET, PRIORITY_GATE, type Reads } from "../../io/mod.ts";
import type { SharedText } from "../../memory/shared_text.ts";
import { CountedReads } from "./counted_reads.ts";
import { DISK_WAIT_MS } from "../plan/counts.ts";
import { packRows, type RowsToPack } from "../load/load_weights.ts";
import type { MatrixPlan, RankPlan, RowsInFile } from "../plan/plan_types.ts";

export interface EmbeddingRowsInput {
  readonly plan: RankPlan;
  /** Of the arena that the table would be in. */
  readonly kernels: Kernels;
  readonly queue: Reads;
  /** What the rank counts: counts.ts. */
  readonly counts: Float64Array;
  /** Where the leader finds why a step is void. */
  readonly failure: SharedText;
}

export class EmbeddingRows {
  readonly #in: EmbeddingRowsInput;
  readonly #table: MatrixPlan;
  readonly #file: RowsInFile;
  readonly #toPack: RowsToPack;
  readonly #reads: CountedReads;
  /** Of the rows that were asked for. */
  readonly #tickets: Int32Array;
  #count = 0;

  constructor(input: EmbeddingRowsInput) {
    const { plan, queue, counts } = input;
    const file = plan.embeddingInFile;
    check(file !== null, "the table stays in the file");
    this.#in = input;
    this.#table = plan.embedding;
    this.#file = file;
    this.#toPack = {
      source: file.rawOffsetBytes,
      fileRowBytes: file.fileRowBytes,
      target: plan.embedding.offsetBytes,
      scratch: plan.workspaces[0].normedQ8, // before anything is multiplied
    };
    this.#reads = new CountedReads(queue, counts);
    this.#tickets = new Int32Array(file.rowsAtOnce);
  }

  /** No more can be asked for before bring(). */
  get isFull(): boolean {
    return this.#count === this.#tickets.length;
  }

  /** Asks for an own row: it will be the table's next one, from 0 on, after bring(). */
  ask(row: number): void {
    check(!this.isFull, "rows were brought");
    const { fileOffsetBytes, fileRowBytes, rawOffsetBytes } = this.#file;
    const from = fileOffsetBytes + row * fileRowBytes;
    const to = rawOffsetBytes + this.#count * fileRowBytes;
    this.#tickets[this.#count++] = this.#reads.merge(PRIORITY_GATE, from, fileRowBytes, 0, to);
  }

  /**
   * Waits for what was asked for, and packs it.
   * @returns false when a row could not be read: then the step is void, and nothing was packed.
   */
  bring(): boolean {
    const { kernels, queue, counts, failure } = this.#in;
    const count = this.#count;
    this.#count = 0;
    if (count === 0) return true;
    const startMs = performance.now();
    const failed = queue.waitAll(this.#tickets, count);
    counts[DISK_WAIT_MS] += performance.now() - startMs;
    if (failed === NO_TICKET) packRows(kernels, this.#table, count, this.#toPack);
    else failure.leave(queue.failure(failed));
    return failed === NO_TICKET;
  }
}
