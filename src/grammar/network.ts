/**
 * A compiled grammar: a network of states over bytes, in which rules call each other. Plain data,
 * so that it can be sent to another thread. Knows nothing of tokens.
 *
 * A text is read by a set of stacks: each is a state and what is to be gone on with when the rule
 * of this state has ended (`stack_table.ts`).
 */

/** Reads one byte: has edges. */
export const BYTES = 0;
/** Goes on at `a` and at `b`. */
export const SPLIT = 1;
/** Goes on at `a`; when that has ended, at `b`. */
export const CALL = 2;
/** Goes on at `a` from `min` to `max` times, then at `b`. */
export const REPEAT = 3;
/** A rule or a repeated body has ended. */
export const END = 4;
/** BYTES of free text: tokens that are no text may come, too. */
export const FREE = 5;
/** Nothing fits: what was found to lead nowhere. */
export const DEAD = 6;

export interface Network {
  /** One of the above per state. */
  readonly kinds: Uint8Array;
  /** [states], as the kind says. */
  readonly a: Int32Array;
  readonly b: Int32Array;
  /** [states], of REPEAT. */
  readonly min: Int32Array;
  readonly max: Int32Array;
  /** [states + 1]: where a state's edges are among `edges`. */
  readonly edgeStarts: Int32Array;
  /** [edges × 3]: first byte, last byte, next state. */
  readonly edges: Int32Array;
  readonly start: number;
  /** [256]: bytes of one class are never told apart. */
  readonly byteClasses: Uint8Array;
  readonly classCount: number;
}

/** A grammar as it is sent with a request. */
export interface Grammar extends Network {
  /** The same for the same source: what has been found out about one holds for the other. */
  readonly key: string;
}
