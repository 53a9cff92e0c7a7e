/** What the leader asks of whoever keeps account of keys and values. */

/** A sequence that wants room. */
export interface KvRequest {
  /** Its ids, of which the first `promptTokens` are known. */
  readonly ids: Int32Array;
  readonly promptTokens: number;
  /** The most positions that it will ever have. */
  readonly totalTokens: number;
  /**
   * Only keys and values that a prompt of the same ids would have got, to the bit, are used again:
   * they are of positions below a multiple of `reuseUnit`.
   */
  readonly isExact: boolean;
  /** False: all of it is computed, whatever is there already. Default true. */
  readonly reuses?: boolean;
}

/** Sequences are known by their slots. */
export interface KvStore {
  /** Room that sequences have or were promised, in tokens. */
  readonly usedTokens: number;
  /**
   * Gives a sequence all the room that it will need, or nothing.
   * @returns for how many of its first ids keys and values are there already, less than
   *   `promptTokens`; -1: there is no room now.
   */
  open(slot: number, request: KvRequest): number;
  /** Positions below `tokens` are about to be written. */
  grow(slot: number, tokens: number): void;
  /** Positions below `tokens` are written, those of new whole blocks exactly or not. */
  remember(slot: number, ids: Int32Array, tokens: number, isExact: boolean): void;
  /** The sequence is over; what it leaves may be used again. */
  close(slot: number): void;
  /** Forgets everything; no sequence is open. The slot has blocks for the whole context then. */
  clearFor(slot: number): void;
}
