/**
 * What expressions can be at most and at least while their symbols stay within bounds, and so which
 * of two sizes is never the larger one. Sound, not complete: "not proven" may be true all the same.
 */
import { type Expr, type ExprLike, toExpr } from "./expr.ts";
import { type Polynomial, rangeOnBox, relax, type Relaxed } from "./relax.ts";

/** 1 ≤ N ≤ tokensMax, 0 ≤ P ≤ contextMax − N, 1 ≤ B ≤ batchMax. */
export interface Bounds {
  readonly tokensMax: number;
  readonly contextMax: number;
  readonly batchMax: number;
}

/** Ranges of the symbols, ends included. */
export interface Box {
  readonly N: Range;
  readonly P: Range;
  readonly B: Range;
}

export interface Range {
  readonly least: number;
  readonly most: number;
}

/** Boxes that are looked at before a question is given up. */
const BOXES_MAX = 400;

/** True where a ≤ b is proven for all values of the symbols. */
export function isAlwaysAtMost(a: ExprLike, b: ExprLike, bounds: Bounds): boolean {
  const difference = toExpr(b).minus(a);
  const { constant } = difference;
  if (constant !== null) return constant >= 0;
  return search(difference, bounds, 0) >= 0;
}

/** A number that the expression never exceeds; its maximum where that can be found. */
export function mostOf(e: ExprLike, bounds: Bounds): number {
  return -search(toExpr(e).times(-1), bounds, null);
}

/** A number that the expression never falls below; its minimum where that can be found. */
export function leastOf(e: ExprLike, bounds: Bounds): number {
  return search(toExpr(e), bounds, null);
}

/** A box, and what the expression is there at least. */
interface Candidate {
  readonly box: Box;
  readonly least: number;
}

/**
 * A lower bound of the expression: boxes are cut in two, always the one that promises least.
 * enough: where it is all the same how far the minimum is from this, on either side.
 */
function search(e: Expr, bounds: Bounds, enough: number | null): number {
  const relaxed = relax(e, rootBox(bounds));
  const lowerBound = (box: Box) => Math.max(rangeOnBox(e, box).least, leastRelaxed(relaxed, box));
  const root = clip(rootBox(bounds), bounds);
  if (root === null) return Infinity;
  const open: Candidate[] = [{ box: root, least: lowerBound(root) }];
  let found = cornerValue(e, root);
  for (let looked = 1; looked < BOXES_MAX; looked += 2) {
    let lowest = 0;
    open.forEach(({ least }, i) => {
      if (least < open[lowest].least) lowest = i;
    });
    const { box, least } = open[lowest];
    if (least >= found) return found;
    if (enough !== null && (least >= enough || found < enough)) return Math.min(least, found);
    const halves = cut(box);
    if (halves === null) return least;
    open.splice(lowest, 1);
    for (const half of halves) {
      const clipped = clip(half, bounds);
      if (clipped === null) continue;
      open.push({ box: clipped, least: lowerBound(clipped) });
      found = Math.min(found, cornerValue(e, clipped));
    }
    if (open.length === 0) return found;
  }
  return Math.min(...open.map(({ least }) => least));
}

function rootBox({ tokensMax, contextMax, batchMax }: Bounds): Box {
  return {
    N: { least: 1, most: tokensMax },
    P: { least: 0, most: contextMax - 1 },
    B: { least: 1, most: batchMax },
  };
}

/** The box without what the context rules out; null: all of it. Its lower corner is admissible. */
function clip({ N, P, B }: Box, { contextMax }: Bounds): Box | null {
  const tokens = { least: N.least, most: Math.min(N.most, contextMax - P.least) };
  const past = { least: P.least, most: Math.min(P.most, contextMax - N.least) };
  const isEmpty = [tokens, past, B].some(({ least, most }) => least > most);
  return isEmpty ? null : { N: tokens, P: past, B };
}

/** Values at the ends of the box that are admissible. */
function cornerValue(e: Expr, { N, P, B }: Box): number {
  const low = e.evaluate({ N: N.least, P: P.least, B: B.least });
  const manyTokens = e.evaluate({ N: N.most, P: P.least, B: B.most });
  const longPast = e.evaluate({ N: N.least, P: P.most, B: B.most });
  return Math.min(low, manyTokens, longPast);
}

/** Two halves across the longest side, relatively; null: the box is one point. */
function cut(box: Box): [Box, Box] | null {
  let longest: keyof Box | null = null;
  let ratio = 1;
  for (const name of ["N", "P", "B"] as const) {
    const { least, most } = box[name];
    if ((most + 1) / (least + 1) > ratio) {
      ratio = (most + 1) / (least + 1);
      longest = name;
    }
  }
  if (longest === null) return null;
  const { least, most } = box[longest];
  const middle = Math.floor((least + most) / 2);
  return [
    { ...box, [longest]: { least, most: middle } },
    { ...box, [longest]: { least: middle + 1, most } },
  ];
}

/** What the expression is at least in the box, by polynomials below it; −∞: there are none. */
function leastRelaxed(relaxed: readonly Relaxed[] | null, box: Box): number {
  if (relaxed === null) return -Infinity;
  const { N, P } = box;
  const all = { least: N.least + P.least, most: N.most + P.most };
  let lowest = Infinity;
  for (const { ofPast, ofAll, scale } of relaxed) {
    const byPast = leastOfPolynomial(ofPast, [box.N, box.P, box.B]);
    const byAll = leastOfPolynomial(ofAll, [box.N, all, box.B]);
    lowest = Math.min(lowest, Math.ceil(Math.max(byPast, byAll) / scale));
  }
  return lowest;
}

/**
 * Of a polynomial in three variables, each in its range: at the lower corner it is the constant of
 * what `shifted` gives, and from there on only terms with negative coefficients make it smaller.
 */
function leastOfPolynomial(polynomial: Polynomial, ranges: readonly Range[]): number {
  let sum = 0;
  for (const [powers, coefficient] of shifted(polynomial, ranges.map(({ least }) => least))) {
    if (powers !== 0 && coefficient > 0) continue;
    let term = coefficient;
    ranges.forEach(({ least, most }, i) => {
      term *= (most - least) ** powerOf(powers, i);
    });
    sum += term;
  }
  return Math.abs(sum) <= Number.MAX_SAFE_INTEGER ? sum : -Infinity;
}

/** Powers of three variables in one number. */
function powerOf(powers: number, variable: number): number {
  return (powers >> (8 * variable)) & 255;
}

/** The polynomial of x + from, variable by variable: Taylor's, by binomials. */
function shifted(polynomial: Polynomial, from: readonly number[]): Map<number, number> {
  let terms = new Map(polynomial);
  from.forEach((start, variable) => {
    if (start === 0) return;
    const next = new Map<number, number>();
    for (const [powers, coefficient] of terms) {
      const power = powerOf(powers, variable);
      let binomial = coefficient;
      for (let taken = 0; taken <= power; taken++) {
        const key = powers - (taken << (8 * variable));
        next.set(key, (next.get(key) ?? 0) + binomial);
        binomial = binomial * start * (power - taken) / (taken + 1);
      }
    }
    terms = next;
  });
  return terms;
}
