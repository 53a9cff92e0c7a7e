/**
 * Which dispatches a step has: ranges of tokens and of contexts, whether each token is another
 * sequence's, and how ranges meet. Knows numbers only.
 */

/** From and to, both included. */
export type Range = readonly [number, number];

export const ANY: Range = [0, Infinity];

/** Which steps: where count and longest context are within these, and who is beside whom. */
export interface When {
  readonly tokens?: Range;
  readonly context?: Range;
  /** Tokens of a sequence each, one or several; false: several of one sequence. Left out: both. */
  readonly isApart?: boolean;
}

/** Steps of both kinds; null: there are none. */
export function both(a: When = {}, b: When = {}): When | null {
  const tokens = overlap(a.tokens, b.tokens);
  const context = overlap(a.context, b.context);
  const isApart = a.isApart ?? b.isApart;
  const isNone = tokens[0] > tokens[1] || context[0] > context[1] ||
    isApart !== (b.isApart ?? isApart);
  return isNone ? null : { tokens, context, isApart };
}

function overlap([from, to]: Range = ANY, [otherFrom, otherTo]: Range = ANY): Range {
  return [Math.max(from, otherFrom), Math.min(to, otherTo)];
}

/** Where conditions begin or cease to hold, ascending. */
export function limitsOf<T>(
  dispatches: readonly T[],
  rangeOf: (dispatch: T) => Range | undefined,
): number[] {
  const limits = dispatches.flatMap((dispatch) => {
    const range = rangeOf(dispatch);
    return range === undefined ? [] : [range[0], range[1] + 1];
  });
  return [...new Set(limits)].filter(Number.isFinite).toSorted((a, b) => a - b);
}

/** How many limits a value has reached. */
export function kindOf(value: number, limits: readonly number[]): number {
  let kind = 0;
  while (kind < limits.length && value >= limits[kind]) kind++;
  return kind;
}
