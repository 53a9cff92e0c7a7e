/**
 * What a caller gives beside ids: rows in place of embeddings, positions by axes, and rows that see
 * each other. Plain formulas. Knows no images.
 */
import { check } from "../base/check.ts";

/** Of a sequence, not of its new tokens alone. */
export interface ReferenceGiven {
  /** Rows [d] of ids below 0. */
  readonly rows?: ReadonlyMap<number, ArrayLike<number>>;
  /** Positions by axes, [tokens, 3]; left out: tokens stand where they follow one another. */
  readonly positions?: ArrayLike<number>;
  /** Tokens from `start` to before `end` see each other both ways. */
  readonly bothWays?: readonly { readonly start: number; readonly end: number }[];
}

/** The row of an id below 0. */
export function givenRow(id: number, { rows }: ReferenceGiven): ArrayLike<number> {
  const row = rows?.get(id);
  check(row !== undefined, `id ${id} has a row`);
  return row;
}

/** The positions of a token, by axes. */
export function positionsOf(token: number, { positions }: ReferenceGiven): Int32Array {
  const on = (axis: number) => positions?.[3 * token + axis] ?? token;
  return Int32Array.of(on(0), on(1), on(2));
}

/** The last token that a token sees at least. */
export function lastSeenBy(token: number, { bothWays = [] }: ReferenceGiven): number {
  const span = bothWays.find(({ start, end }) => token >= start && token < end);
  return span === undefined ? token : span.end - 1;
}
