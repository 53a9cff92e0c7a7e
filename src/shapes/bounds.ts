/**
 * What expressions can be at most and at least while their symbols stay within bounds, and so which
 * of two sizes is never the larger one. Sound, not complete: "not proven" may be true all the same.
 */
import { type Expr, type ExprLike, type ShapeSymbol, toExpr, valueOf } from "./expr.ts";
import { inAllTokens, type Polynomial, rangeOnBox, relax, type Relaxed } from "./relax.ts";

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
  const [small, large] = [valueOf(a), valueOf(b)];
  if (small !== null && large !== null) return small <= large;
  const difference = toExpr(b).minus(a);
  const { constant } = difference;
  if (constant !== null) return constant >= 0;
  return search(difference, bounds, 0) >= 0;
}

/** A number that the expression never exceeds; its maximum where that can be found. */
export function mostOf(e: ExprLike, bounds: Bounds): number {
  return valueOf(e) ?? -search(toExpr(e).times(-1), bounds, null);
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
  const root = clip(rootBox(bounds), bounds);
  if (root === null) return Infinity;
  let found = cornerValue(e, root);
  // Most sizes are numbers, or grow with one symbol: then a corner is the minimum.
  if (rangeOnBox(e, root).least >= found) return found;
  const symbols = symbolsOf(e);
  const lowerBound = lowerBoundOf(e, bounds);
  const open: Candidate[] = [{ box: root, least: lowerBound(root) }];
  for (let looked = 1; looked < BOXES_MAX; looked += 2) {
    let lowest = 0;
    open.forEach(({ least }, i) => {
      if (least < open[lowest].least) lowest = i;
    });
    const { box, least } = open[lowest];
    if (least >= found) return found;
    if (enough !== null && (least >= enough || found < enough)) return Math.min(least, found);
    const halves = cut(box, symbols);
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

/** The symbols that an expression is of. */
function symbolsOf({ terms }: Expr): Set<ShapeSymbol> {
  const symbols = new Set<ShapeSymbol>();
  for (const { atoms } of terms) {
    for (const atom of atoms) {
      if (atom.kind === "symbol") symbols.add(atom.symbol);
      else symbolsOf(atom.of).forEach((name) => symbols.add(name));
    }
  }
  return symbols;
}

/**
 * Two halves across the side of one of the symbols that is longest, relatively; null: to them, the
 * box is one point.
 */
function cut(box: Box, symbols: ReadonlySet<ShapeSymbol>): [Box, Box] | null {
  let longest: keyof Box | null = null;
  let ratio = 1;
  for (const name of symbols) {
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

/** What the expression is at least in a box: the best of what its two forms say in two ways. */
function lowerBoundOf(e: Expr, bounds: Bounds): (box: Box) => number {
  const ofAll = inAllTokens(e);
  const relaxed = relax(e, rootBox(bounds));
  const relaxedOfAll = relax(ofAll, allTokens(rootBox(bounds), bounds));
  return (box) => {
    const all = allTokens(box, bounds);
    return Math.max(
      rangeOnBox(e, box).least,
      rangeOnBox(ofAll, all).least,
      leastRelaxed(relaxed, box),
      leastRelaxed(relaxedOfAll, all),
    );
  };
}

/** The box with S in P's place. */
function allTokens({ N, P, B }: Box, { contextMax }: Bounds): Box {
  const most = Math.min(N.most + P.most, contextMax);
  return { N, P: { least: N.least + P.least, most }, B };
}

/** By polynomials below it; −∞: there are none. */
function leastRelaxed(relaxed: readonly Relaxed[] | null, box: Box): number {
  if (relaxed === null) return -Infinity;
  let lowest = Infinity;
  for (const { polynomial, scale } of relaxed) {
    const least = leastOfPolynomial(polynomial, [box.N, box.P, box.B]);
    lowest = Math.min(lowest, Math.ceil(least / scale));
  }
  return lowest;
}

/** Corners of a box, bit by bit: whether a variable is at its upper end. */
const CORNERS = 8;

/** Of a polynomial in three variables, each in its range: the best that corners can say. */
function leastOfPolynomial(polynomial: Polynomial, ranges: readonly Range[]): number {
  let best = -Infinity;
  if (magnitude(polynomial, ranges) > Number.MAX_SAFE_INTEGER) return best;
  for (let corner = 0; corner < CORNERS; corner++) {
    if (ranges.some(({ least, most }, i) => (corner >> i & 1) === 1 && least === most)) continue;
    best = Math.max(best, leastFromCorner(polynomial, ranges, corner));
  }
  return best;
}

/**
 * At the corner it is the constant of what `shifted` gives, and from there on only terms that are
 * negative make it smaller.
 */
function leastFromCorner(
  polynomial: Polynomial,
  ranges: readonly Range[],
  corner: number,
): number {
  const isUpper = (i: number) => (corner >> i & 1) === 1;
  const from = ranges.map(({ least, most }, i) => isUpper(i) ? most : least);
  let sum = 0;
  for (const [powers, coefficient] of shifted(polynomial, from)) {
    let term = coefficient;
    ranges.forEach(({ least, most }, i) => {
      term *= (isUpper(i) ? least - most : most - least) ** powerOf(powers, i);
    });
    if (powers === 0 || term < 0) sum += term;
  }
  return sum;
}

/** Nothing that is added up on the way is larger: what floats hold exactly is not rounded. */
function magnitude(polynomial: Polynomial, ranges: readonly Range[]): number {
  let sum = 0;
  for (const [powers, coefficient] of polynomial) {
    const largest = ranges.reduce(
      (product, { most }, i) => product * (2 * most) ** powerOf(powers, i),
      Math.abs(coefficient),
    );
    sum += largest;
  }
  return sum;
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
