/**
 * What is known of an expression within a box: its range by interval arithmetic, and polynomials
 * below it in which nothing is rounded any more. Both only ever err on the safe side.
 */
import type { Box, Range } from "./bounds.ts";
import { type Atom, constant, Expr, N, P, type ShapeSymbol, SYMBOLS, type Term } from "./expr.ts";

/** Coefficients by powers of the symbols in their order: p0 + 256 · p1 + 65536 · p2. */
export type Polynomial = ReadonlyMap<number, number>;

/** The expression is at least polynomial / scale. */
export interface Relaxed {
  readonly polynomial: Polynomial;
  readonly scale: number;
}

/** An expression has at most so many cases: each maximum doubles them. */
const CASES_MAX = 16;
/** Beyond it, coefficients are not multiplied any further. */
const COEFFICIENT_MAX = 2 ** 48;

/** The range of the expression in the box, as if symbols were independent. */
export function rangeOnBox(e: Expr, box: Box): Range {
  let [least, most] = [0, 0];
  for (const { coefficient, atoms } of e.terms) {
    let range: Range = { least: coefficient, most: coefficient };
    for (const atom of atoms) range = multiply(range, rangeOfAtom(atom, box));
    least += range.least;
    most += range.most;
  }
  return { least, most };
}

function rangeOfAtom(atom: Atom, box: Box): Range {
  if (atom.kind === "symbol") return box[atom.symbol];
  const { least, most } = rangeOnBox(atom.of, box);
  return atom.kind === "ceilDiv"
    ? { least: Math.ceil(least / atom.by), most: Math.ceil(most / atom.by) }
    : { least: Math.max(0, least), most: Math.max(0, most) };
}

function multiply(a: Range, b: Range): Range {
  const products = [a.least * b.least, a.least * b.most, a.most * b.least, a.most * b.most];
  return { least: Math.min(...products), most: Math.max(...products) };
}

/**
 * The expression in N and S in place of N and P, with S under P's name: bounds that are far apart
 * in one form are near in the other.
 */
export function inAllTokens({ terms }: Expr): Expr {
  let sum = Expr.of([]);
  for (const { coefficient, atoms } of terms) {
    const factors = atoms.map((atom) => {
      if (atom.kind === "ceilDiv") return inAllTokens(atom.of).ceilDiv(atom.by);
      if (atom.kind === "positive") return inAllTokens(atom.of).max(0);
      return atom.symbol === "P" ? P.minus(N) : Expr.of([{ coefficient: 1, atoms: [atom] }]);
    });
    sum = sum.plus(
      factors.reduce((product, factor) => product.times(factor), constant(coefficient)),
    );
  }
  return sum;
}

/** Cases: everywhere in the box the expression is at least one of them. Null: none is known. */
export function relax(e: Expr, box: Box): Relaxed[] | null {
  const cases: Relaxed[] = [];
  const pending: { e: Expr; scale: number }[] = [{ e, scale: 1 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const opaque = findOpaque(next.e);
    if (opaque === null) {
      cases.push({ polynomial: polynomialOf(next.e), scale: next.scale });
      continue;
    }
    if (cases.length + pending.length >= CASES_MAX) return null;
    if (opaque.atom.kind === "positive") {
      const without = replaceAtom(next.e, opaque.atom.key, Expr.of([]));
      const within = replaceAtom(next.e, opaque.atom.key, opaque.atom.of);
      if (within === null || without === null) return null;
      pending.push({ e: without, scale: next.scale }, { e: within, scale: next.scale });
      continue;
    }
    const rounded = unround(next.e, opaque.term, opaque.atom, box);
    if (rounded === null) return null;
    pending.push({ e: rounded, scale: next.scale * opaque.atom.by });
  }
  return cases;
}

type Opaque = Exclude<Atom, { kind: "symbol" }>;

/** An atom that is no symbol, and its term. */
function findOpaque(e: Expr): { term: Term; atom: Opaque } | null {
  for (const term of e.terms) {
    for (const atom of term.atoms) if (atom.kind !== "symbol") return { term, atom };
  }
  return null;
}

/** All occurrences of an atom replaced; null: coefficients become too large. */
function replaceAtom(e: Expr, key: string, by: Expr): Expr | null {
  if (!staysSmall(e, by)) return null;
  let sum = Expr.of([]);
  for (const { coefficient, atoms } of e.terms) {
    let product = Expr.of([{ coefficient, atoms: atoms.filter((atom) => atom.key !== key) }]);
    for (const atom of atoms) if (atom.key === key) product = product.times(by);
    sum = sum.plus(product);
  }
  return sum;
}

/**
 * by · e without one ⌈of / by⌉: of / by is the least that it can be, (of + by − 1) / by the most.
 * Null where what it is multiplied with may be negative.
 */
function unround(
  e: Expr,
  term: Term,
  { key, of, by }: Extract<Atom, { kind: "ceilDiv" }>,
  box: Box,
): Expr | null {
  const place = term.atoms.findIndex((atom) => atom.key === key);
  const others = term.atoms.filter((_, i) => i !== place);
  if (others.some((atom) => rangeOfAtom(atom, box).least < 0)) return null;
  const rest = Expr.of([{ coefficient: term.coefficient, atoms: others }]);
  const bound = term.coefficient > 0 ? of : of.plus(by - 1);
  const scaled = e.minus(Expr.of([term]));
  if (!staysSmall(rest, bound) || largest(scaled) * by > COEFFICIENT_MAX) return null;
  return scaled.times(by).plus(rest.times(bound));
}

function staysSmall(a: Expr, b: Expr): boolean {
  return largest(a) * Math.max(1, largest(b)) ** 2 <= COEFFICIENT_MAX;
}

function largest({ terms }: Expr): number {
  return terms.reduce((most, { coefficient }) => Math.max(most, Math.abs(coefficient)), 0);
}

/** Of an expression of symbols only. */
function polynomialOf(e: Expr): Polynomial {
  const polynomial = new Map<number, number>();
  for (const { coefficient, atoms } of e.terms) {
    let powers = 0;
    for (const { key } of atoms) powers += 1 << (8 * SYMBOLS.indexOf(key as ShapeSymbol));
    polynomial.set(powers, coefficient);
  }
  return polynomial;
}
