/**
 * Sizes that are not known yet: integer polynomials over what a step brings along, as in
 * Transformer-Lite. An expression is in canonical form from the moment it exists, so that equal
 * expressions are structurally equal, whatever way they were made. Rounding and maxima are opaque
 * atoms, each of one kind: alignUp(e, k) is k · ceilDiv(e, k), max(a, b) is a + positive(b − a).
 * Knows nothing of tensors.
 */
import { check } from "../base/check.ts";

/** New tokens of a step, tokens before it, sequences that are computed at the same time. */
export const SYMBOLS = ["N", "P", "B"] as const;
export type ShapeSymbol = (typeof SYMBOLS)[number];

/** What the symbols stand for. */
export type SymbolValues = Readonly<Record<ShapeSymbol, number>>;

/** What a monomial is a product of. */
export type Atom =
  | { readonly kind: "symbol"; readonly key: string; readonly symbol: ShapeSymbol }
  /** ⌈of / by⌉, by > 1. */
  | { readonly kind: "ceilDiv"; readonly key: string; readonly of: Expr; readonly by: number }
  /** max(0, of). */
  | { readonly kind: "positive"; readonly key: string; readonly of: Expr };

/** coefficient · Π atoms; atoms sorted by key, as often as they are factors. */
export interface Term {
  readonly coefficient: number;
  readonly atoms: readonly Atom[];
}

/** An expression, or a number that is one. */
export type ExprLike = Expr | number;

/** An integer that depends on symbols. Immutable. */
export class Expr {
  /** Sorted, no two of the same atoms, no coefficient 0; the constant, if any, comes first. */
  readonly terms: readonly Term[];
  #key: string | null = null;

  private constructor(terms: readonly Term[]) {
    this.terms = terms;
  }

  /** The same for expressions that are structurally equal, and for no others; readable. */
  get key(): string {
    return this.#key ??= this.terms.length === 0 ? "0" : this.terms.map(termKey).join(" + ");
  }

  /** Σ terms, in any order, with any repetitions. */
  static of(terms: Iterable<Term>): Expr {
    const byAtoms = new Map<string, Term>();
    for (const { coefficient, atoms } of terms) {
      const key = atomsKey(atoms);
      const sum = coefficient + (byAtoms.get(key)?.coefficient ?? 0);
      check(
        Number.isSafeInteger(sum),
        `coefficient of ${key} in a size: a whole number below 2^53`,
      );
      if (sum === 0) byAtoms.delete(key);
      else byAtoms.set(key, { coefficient: sum, atoms });
    }
    const sorted = [...byAtoms].sort(([a], [b]) => a < b ? -1 : 1);
    return new Expr(sorted.map(([, term]) => term));
  }

  /** The number as an expression: most sizes are none but that, and nothing is sorted for them. */
  static ofNumber(value: number): Expr {
    check(Number.isSafeInteger(value), "a size: a whole number below 2^53");
    return new Expr(value === 0 ? [] : [{ coefficient: value, atoms: [] }]);
  }

  /** The value where there are no symbols in it, else null. */
  get constant(): number | null {
    if (this.terms.length === 0) return 0;
    const [{ coefficient, atoms }] = this.terms;
    return this.terms.length === 1 && atoms.length === 0 ? coefficient : null;
  }

  plus(other: ExprLike): Expr {
    const [value, more] = [this.constant, valueOf(other)];
    if (value !== null && more !== null) return constant(value + more);
    return Expr.of([...this.terms, ...toExpr(other).terms]);
  }

  minus(other: ExprLike): Expr {
    return this.plus(toExpr(other).times(-1));
  }

  times(other: ExprLike): Expr {
    const [value, by] = [this.constant, valueOf(other)];
    if (value !== null && by !== null) return constant(value * by);
    const { terms } = toExpr(other);
    return Expr.of(this.terms.flatMap((a) => terms.map((b) => product(a, b))));
  }

  /** this / divisor where it comes out even for all values, term by term; else null. */
  dividedBy(divisor: ExprLike): Expr | null {
    const by = toExpr(divisor);
    check(by.terms.length > 0, "a size is not divided by zero");
    return by.terms.length === 1 ? divideTerms(this, by.terms[0]) : dividePolynomial(this, by);
  }

  /** ⌈this / by⌉; by: a positive integer. */
  ceilDiv(by: number): Expr {
    check(Number.isSafeInteger(by) && by > 0, "sizes are divided by positive integers");
    if (by === 1) return this;
    const { constant: value } = this;
    if (value !== null) {
      const whole = Math.floor(value / by);
      return constant(whole + Math.ceil((value - whole * by) / by));
    }
    const whole: Term[] = [];
    const rest: Term[] = [];
    for (const { coefficient, atoms } of this.terms) {
      const quotient = Math.floor(coefficient / by);
      whole.push({ coefficient: quotient, atoms });
      rest.push({ coefficient: coefficient - quotient * by, atoms });
    }
    return Expr.of(whole).plus(ceilDivReduced(Expr.of(rest), by));
  }

  /** The smallest multiple of `alignment` that is at least this. */
  alignUp(alignment: number): Expr {
    return this.ceilDiv(alignment).times(alignment);
  }

  max(other: ExprLike): Expr {
    return this.plus(positive(toExpr(other).minus(this)));
  }

  /** The value; slow and plain: `compileExpr` is for whoever asks often. */
  evaluate(values: SymbolValues): number {
    let sum = 0;
    for (const { coefficient, atoms } of this.terms) {
      sum += atoms.reduce((value, atom) => value * evaluateAtom(atom, values), coefficient);
    }
    return sum;
  }

  toString(): string {
    return this.key;
  }
}

/** The value of what has no symbols in it; null: it has some. */
export function valueOf(e: ExprLike): number | null {
  return typeof e === "number" ? e : e.constant;
}

/** The number as an expression. */
export function constant(value: number): Expr {
  return Expr.ofNumber(value);
}

export function toExpr(value: ExprLike): Expr {
  return typeof value === "number" ? constant(value) : value;
}

function symbol(name: ShapeSymbol): Expr {
  return Expr.of([{ coefficient: 1, atoms: [{ kind: "symbol", key: name, symbol: name }] }]);
}

/** New tokens of the step. */
export const N = symbol("N");
/** Tokens before them. */
export const P = symbol("P");
/** Sequences that are computed at the same time. */
export const B = symbol("B");
/** All tokens that the new ones can see. */
export const S = P.plus(N);

function termKey({ coefficient, atoms }: Term): string {
  if (atoms.length === 0) return `${coefficient}`;
  return coefficient === 1 ? atomsKey(atoms) : `${coefficient}·${atomsKey(atoms)}`;
}

function atomsKey(atoms: readonly Atom[]): string {
  return atoms.map(({ key }) => key).join("·");
}

function product(a: Term, b: Term): Term {
  const atoms = [...a.atoms, ...b.atoms].sort((x, y) => x.key < y.key ? -1 : x.key > y.key ? 1 : 0);
  const coefficient = a.coefficient * b.coefficient;
  check(Number.isSafeInteger(coefficient), "coefficients of sizes stay below 2^53");
  return { coefficient, atoms };
}

/** Each term by one term. */
function divideTerms({ terms }: Expr, by: Term): Expr | null {
  const quotients: Term[] = [];
  for (const { coefficient, atoms } of terms) {
    const left = without(atoms, by.atoms);
    if (left === null || coefficient % by.coefficient !== 0) return null;
    quotients.push({ coefficient: coefficient / by.coefficient, atoms: left });
  }
  return Expr.of(quotients);
}

/** Long division by the terms that are last in order; null where something is left. */
function dividePolynomial(dividend: Expr, by: Expr): Expr | null {
  const [leading] = orderByDegree(by);
  let left = dividend;
  let quotient = constant(0);
  while (left.terms.length > 0) {
    const [first] = orderByDegree(left);
    const atoms = without(first.atoms, leading.atoms);
    if (atoms === null || first.coefficient % leading.coefficient !== 0) return null;
    const next = Expr.of([{ coefficient: first.coefficient / leading.coefficient, atoms }]);
    quotient = quotient.plus(next);
    left = left.minus(next.times(by));
  }
  return quotient;
}

/** By degree, then by how often the first atom is there, and so on: an order of monomials. */
function orderByDegree({ terms }: Expr): Term[] {
  const compare = (a: readonly Atom[], b: readonly Atom[]): number => {
    if (a.length !== b.length) return b.length - a.length;
    const place = a.findIndex((atom, i) => atom.key !== b[i].key);
    return place < 0 ? 0 : a[place].key < b[place].key ? -1 : 1;
  };
  return [...terms].sort((a, b) => compare(a.atoms, b.atoms));
}

/** `atoms` less those of `taken`; null where one of these is missing. */
function without(atoms: readonly Atom[], taken: readonly Atom[]): Atom[] | null {
  const left = [...atoms];
  for (const { key } of taken) {
    const place = left.findIndex((atom) => atom.key === key);
    if (place < 0) return null;
    left.splice(place, 1);
  }
  return left;
}

/** ⌈e / by⌉, all of whose coefficients are in 0 .. by − 1. */
function ceilDivReduced(e: Expr, by: number): Expr {
  const { constant: value } = e;
  if (value !== null) return constant(Math.ceil(value / by));
  const [{ coefficient: first, atoms: none }] = e.terms;
  const offset = none.length === 0 ? first : 0;
  const others = e.terms.filter(({ atoms }) => atoms.length > 0);
  const common = others.reduce((divisor, { coefficient }) => gcd(divisor, coefficient), by);
  // ⌈(g·r + c) / (g·k)⌉ = ⌈(r + ⌈c / g⌉) / k⌉, as g·r is a multiple of g.
  const reduced = Expr.of([
    { coefficient: Math.ceil(offset / common), atoms: [] },
    ...others.map(({ coefficient, atoms }) => ({ coefficient: coefficient / common, atoms })),
  ]);
  const k = by / common;
  if (common > 1) return reduced.ceilDiv(k);
  const nested = others.length === 1 && others[0].coefficient === 1 &&
    others[0].atoms.length === 1 && others[0].atoms[0];
  // ⌈(⌈x / a⌉ + c) / k⌉ = ⌈(x + c·a) / (a·k)⌉
  if (nested && nested.kind === "ceilDiv") {
    return nested.of.plus(offset * nested.by).ceilDiv(nested.by * k);
  }
  const key = `⌈(${e.key})/${by}⌉`;
  return Expr.of([{ coefficient: 1, atoms: [{ kind: "ceilDiv", key, of: e, by }] }]);
}

/** max(0, e). */
function positive(e: Expr): Expr {
  const { constant: value } = e;
  if (value !== null) return constant(Math.max(0, value));
  const common = e.terms.reduce((divisor, { coefficient }) => gcd(divisor, coefficient), 0);
  if (common > 1) return positive(e.dividedBy(common)!).times(common);
  // Of e and −e one is the atom: max(0, −e) = max(0, e) − e.
  if (e.terms[e.terms.length - 1].coefficient < 0) {
    return positive(e.times(-1)).plus(e);
  }
  const key = `max(0, ${e.key})`;
  return Expr.of([{ coefficient: 1, atoms: [{ kind: "positive", key, of: e }] }]);
}

function gcd(a: number, b: number): number {
  [a, b] = [Math.abs(a), Math.abs(b)];
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}

function evaluateAtom(atom: Atom, values: SymbolValues): number {
  switch (atom.kind) {
    case "symbol":
      return values[atom.symbol];
    case "ceilDiv":
      return Math.ceil(atom.of.evaluate(values) / atom.by);
    case "positive":
      return Math.max(0, atom.of.evaluate(values));
  }
}
