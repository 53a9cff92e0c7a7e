/** Random grammars with a slow, obvious meaning, random sentences of them, random vocabularies. */
import fc from "fast-check";

/** A grammar as data: what the test knows of it, and its GBNF. */
export type Piece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "class"; readonly chars: string; readonly isNegated: boolean }
  | { readonly kind: "sequence"; readonly parts: readonly Piece[] }
  | { readonly kind: "choice"; readonly parts: readonly Piece[] }
  | { readonly kind: "repeat"; readonly body: Piece; readonly min: number; readonly max: number }
  | { readonly kind: "nest"; readonly inner: Piece };

export const ALPHABET = "abcé😀";

const char = fc.constantFrom(...ALPHABET);
const text = fc.array(char, { minLength: 1, maxLength: 3 }).map((chars) => chars.join(""));

const { piece } = fc.letrec<{ piece: Piece }>((tie) => ({
  piece: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    text.map((text): Piece => ({ kind: "text", text })),
    fc.record({
      kind: fc.constant("class" as const),
      chars: fc.uniqueArray(char, { minLength: 1, maxLength: 2 }).map((chars) => chars.join("")),
      isNegated: fc.boolean(),
    }),
    fc.array(tie("piece"), { minLength: 1, maxLength: 3 })
      .map((parts): Piece => ({ kind: "sequence", parts })),
    fc.array(tie("piece"), { minLength: 1, maxLength: 3 })
      .map((parts): Piece => ({ kind: "choice", parts })),
    fc.tuple(tie("piece"), fc.constantFrom([0, 1], [0, Infinity], [1, Infinity], [2, 3], [20, 40]))
      .map(([body, [min, max]]): Piece => ({ kind: "repeat", body, min, max })),
    tie("piece").map((inner): Piece => ({ kind: "nest", inner })),
  ),
}));
export const randomPiece = piece;

/** The piece in GBNF; `nest` becomes a rule that calls itself between brackets. */
export function gbnfOf(root: Piece): string {
  const rules: string[] = [];
  const write = (piece: Piece): string => {
    switch (piece.kind) {
      case "text":
        return JSON.stringify(piece.text);
      case "class":
        return `[${piece.isNegated ? "^" : ""}${piece.chars}]`;
      case "sequence":
        return `(${piece.parts.map(write).join(" ")})`;
      case "choice":
        return `(${piece.parts.map(write).join(" | ")})`;
      case "repeat": {
        const { min, max } = piece;
        const suffix = max === 1 ? "?" : max < Infinity ? `{${min},${max}}` : min === 0 ? "*" : "+";
        return `(${write(piece.body)})${suffix}`;
      }
      case "nest": {
        const name = `n${rules.length}`;
        rules.push("");
        const inner = write(piece.inner);
        rules[Number(name.slice(1))] = `${name} ::= "<" ${name} ">" | ${inner}`;
        return name;
      }
    }
  };
  const main = write(root);
  return [`root ::= ${main}`, ...rules].join("\n");
}

/** Whether the piece fits the empty text. */
export function isNullable(piece: Piece): boolean {
  switch (piece.kind) {
    case "text":
    case "class":
      return false;
    case "sequence":
      return piece.parts.every(isNullable);
    case "choice":
      return piece.parts.some(isNullable);
    case "repeat":
      return piece.min === 0 || isNullable(piece.body);
    case "nest":
      return isNullable(piece.inner);
  }
}

/** Whether something that may be empty is repeated with a count, which is refused. */
export function countsEmptiness(piece: Piece): boolean {
  switch (piece.kind) {
    case "text":
    case "class":
      return false;
    case "sequence":
    case "choice":
      return piece.parts.some(countsEmptiness);
    case "nest":
      return countsEmptiness(piece.inner);
    case "repeat":
      return isNullable(piece.body) && piece.max > 1 && piece.max < Infinity ||
        countsEmptiness(piece.body);
  }
}

/** A sentence of the piece; next() gives numbers in [0, 1). */
export function sentenceOf(piece: Piece, next: () => number): string {
  switch (piece.kind) {
    case "text":
      return piece.text;
    case "class": {
      const chars = [...ALPHABET, "x", "\n"].filter((each) =>
        [...piece.chars].includes(each) !== piece.isNegated
      );
      return chars[Math.floor(next() * chars.length)];
    }
    case "sequence":
      return piece.parts.map((part) => sentenceOf(part, next)).join("");
    case "choice":
      return sentenceOf(piece.parts[Math.floor(next() * piece.parts.length)], next);
    case "repeat": {
      const most = Math.min(piece.max, piece.min + 3);
      const count = piece.min + Math.floor(next() * (most - piece.min + 1));
      return Array.from({ length: count }, () => sentenceOf(piece.body, next)).join("");
    }
    case "nest": {
      const depth = Math.floor(next() * 3);
      return "<".repeat(depth) + sentenceOf(piece.inner, next) + ">".repeat(depth);
    }
  }
}

/** Where in `text` a match of the piece that begins at `from` may end: the slow, obvious way. */
export function endsOf(piece: Piece, text: readonly string[], from: number): ReadonlySet<number> {
  switch (piece.kind) {
    case "text": {
      const chars = [...piece.text];
      return new Set(
        chars.every((each, i) => text[from + i] === each) ? [from + chars.length] : [],
      );
    }
    case "class": {
      const isIn = from < text.length && [...piece.chars].includes(text[from]) !== piece.isNegated;
      return new Set(isIn ? [from + 1] : []);
    }
    case "sequence":
      return piece.parts.reduce<ReadonlySet<number>>(
        (starts, part) => new Set([...starts].flatMap((at) => [...endsOf(part, text, at)])),
        new Set([from]),
      );
    case "choice":
      return new Set(piece.parts.flatMap((part) => [...endsOf(part, text, from)]));
    case "repeat": {
      const ends = new Set<number>(piece.min === 0 ? [from] : []);
      let starts = new Set([from]);
      for (let count = 1; count <= Math.min(piece.max, 50) && starts.size > 0; count++) {
        starts = new Set([...starts].flatMap((at) => [...endsOf(piece.body, text, at)]));
        if (count >= piece.min) { for (const each of starts) ends.add(each); }
      }
      return ends;
    }
    case "nest": {
      const ends = new Set(endsOf(piece.inner, text, from));
      if (text[from] !== "<") return ends;
      for (const end of endsOf(piece, text, from + 1)) if (text[end] === ">") ends.add(end + 1);
      return ends;
    }
  }
}

/** Tokens of a few bytes of the alphabet, whole characters or not. */
export const randomTokens = fc.array(
  fc.tuple(
    fc.array(fc.constantFrom(...ALPHABET, "<", ">", "x", "ab", "😀a"), {
      minLength: 1,
      maxLength: 4,
    }),
    fc.nat(3),
    fc.nat(3),
  ).map(([chars, from, to]) => {
    const bytes = new TextEncoder().encode(chars.join(""));
    return bytes.slice(Math.min(from, bytes.length - 1), Math.max(from + 1, bytes.length - to));
  }),
  { minLength: 1, maxLength: 60 },
);
