/** What blocks of keys and values are asked for, and what is told of them: kv_blocks.ts. */

export interface KvBlocksOptions {
  /** Blocks of the pool: at least those of one sequence at full length. */
  readonly blocks: number;
  /** Sequences that may be open at once, and blocks that each may have. */
  readonly sequences: number;
  readonly tableBlocks: number;
  /** What exact requests use again is a multiple of so many positions. */
  readonly reuseUnit: number;
  /** Whether a sequence can go on behind remembered content. Left out: behind any. */
  readonly canFollow?: (content: number, isExact: boolean) => boolean;
  /** Block `index` of a sequence is block `block` of the pool from now on. */
  readonly onBlock: (slot: number, index: number, block: number) => void;
  /**
   * Block `to` is to be what block `from` is, before anybody reads or writes either. Left out:
   * nothing can be copied, and whole blocks alone are used again.
   */
  readonly onCopy?: (from: number, to: number) => void;
}

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
  /** The content before all of it (`worn_adapters.ts`). Left out: that of the model alone. */
  readonly root?: number;
  /** Whether what is used again may end there. Left out: anywhere. */
  readonly mayEndAt?: (tokens: number) => boolean;
}

/** A block whose content is remembered. */
export interface RememberedBlock {
  readonly block: number;
  /** The block whose content is before it; null: none is. */
  readonly before: number | null;
  /** i32 [32]. */
  readonly ids: Int32Array;
  readonly isExact: boolean;
}

/** Content that comes from elsewhere. */
export interface AdoptedContent {
  readonly ids: Int32Array;
  /** The block whose content is before it; null: none is. */
  readonly before: number | null;
  readonly isExact: boolean;
  /** As of a request, where nothing else is before it. */
  readonly root?: number;
}
