/**
 * Reads GBNF, llama.cpp's language of grammars: rules, alternatives, groups, literals, classes of
 * characters, repetitions, comments. Knows nothing of what becomes of them.
 */
import { codePoints, without } from "./code_points.ts";
import {
  anyCodePoint,
  choice,
  type Expression,
  oneOf,
  ref,
  repeat,
  type RuleBook,
  sequence,
  text as literal,
} from "./expression.ts";
import { grammarError, REPEAT_MIN_MAX } from "./limits.ts";

/**
 * Adds the rules of a GBNF text to a book. @returns the number of its `root`.
 * @throws {RequestError} 400 where it is no GBNF, too large, or has no `root`.
 */
export function parseGbnf(source: string, book: RuleBook): number {
  const { textLength } = book.limits;
  if (source.length > textLength) {
    throw grammarError(
      `Cannot read the grammar: it is longer than ${textLength} characters: shorten it`,
    );
  }
  return new GbnfParser(source, book).parse();
}

const NAME = /[A-Za-z0-9_-]+/y;
const BLANK = /(?:[ \t]+|#[^\r\n]*)+/y;
const BLANK_AND_LINES = /(?:[ \t\r\n]+|#[^\r\n]*)+/y;
const COUNTS = /\{[ \t]*(\d*)[ \t]*(?:(,)[ \t]*(\d*)[ \t]*)?\}/y;
const ESCAPED = /\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([^]))/uy;
/** What a backslash and a character stand for, beside the character itself. */
const ESCAPES = new Map([["n", "\n"], ["r", "\r"], ["t", "\t"]]);
/** Characters that may stand behind a backslash for themselves. */
const ESCAPABLE = "\"\\[]^-'/.{}()*+?|$";

class GbnfParser {
  readonly #source: string;
  readonly #book: RuleBook;
  readonly #rules = new Map<string, number>();
  readonly #root: number;
  #at = 0;

  constructor(source: string, book: RuleBook) {
    this.#source = source;
    this.#book = book;
    this.#root = this.#ruleNamed("root");
  }

  parse(): number {
    this.#skip(BLANK_AND_LINES);
    while (this.#at < this.#source.length) {
      this.#rule();
      this.#skip(BLANK_AND_LINES);
    }
    for (const rule of this.#rules.values()) this.#book.bodyOf(rule);
    return this.#root;
  }

  #rule(): void {
    const name = this.#take(NAME);
    if (name === null) throw this.#error("a rule's name is missing");
    this.#skip(BLANK);
    if (!this.#takeText("::=")) throw this.#error(`"::=" is missing behind "${name}"`);
    this.#skip(BLANK_AND_LINES);
    const rule = this.#ruleNamed(name);
    if (this.#book.isDefined(rule)) throw this.#error(`rule "${name}" is defined twice`);
    this.#book.define(rule, this.#alternatives(0));
    if (this.#at < this.#source.length && !/[\r\n]/.test(this.#source[this.#at])) {
      throw this.#error(`"${this.#here()}" is not expected`);
    }
  }

  /** depth: how many groups it is in; a rule's own end with their line. */
  #alternatives(depth: number): Expression {
    if (depth > this.#book.limits.depth) {
      throw this.#error(`groups are nested deeper than ${this.#book.limits.depth}`);
    }
    const parts = [this.#sequence(depth)];
    for (;;) {
      // A line may begin with "|" and go on with the one before it.
      const lineEnd = this.#at;
      this.#skip(BLANK_AND_LINES);
      if (!this.#takeText("|")) {
        if (depth === 0) this.#at = lineEnd;
        return choice(...parts);
      }
      this.#skip(BLANK_AND_LINES);
      parts.push(this.#sequence(depth));
    }
  }

  #sequence(depth: number): Expression {
    const parts: Expression[] = [];
    for (;;) {
      this.#skip(depth === 0 ? BLANK : BLANK_AND_LINES);
      const part = this.#item(depth);
      if (part === null) return sequence(...parts);
      parts.push(this.#repeated(part));
    }
  }

  #item(depth: number): Expression | null {
    const char = this.#source[this.#at];
    if (char === '"') return this.#literal();
    if (char === "[") return this.#class();
    if (char === "(") {
      this.#at++;
      this.#skip(BLANK_AND_LINES);
      const group = this.#alternatives(depth + 1);
      if (!this.#takeText(")")) throw this.#error('")" is missing');
      return group;
    }
    if (char === ".") {
      this.#at++;
      return anyCodePoint();
    }
    if (char === "<" || char === "!") {
      throw this.#error("tokens (<name>, <[id]>, !<name>) are not supported: spell their text");
    }
    const name = this.#take(NAME);
    return name === null ? null : ref(this.#ruleNamed(name));
  }

  /** A part with the repetitions behind it. */
  #repeated(part: Expression): Expression {
    let result = part;
    for (let count = 0;; count++) {
      const char = this.#source[this.#at];
      if (char === undefined || !"*+?{".includes(char)) return result;
      if (count >= 8) throw this.#error("a repetition is repeated more than 8 times");
      if (char !== "{") {
        this.#at++;
        result = repeat(result, char === "+" ? 1 : 0, char === "?" ? 1 : Infinity);
      } else result = this.#counted(result);
      this.#skip(BLANK);
    }
  }

  #counted(part: Expression): Expression {
    COUNTS.lastIndex = this.#at;
    const match = COUNTS.exec(this.#source);
    if (match === null || match[1] === "" && !match[3]) {
      throw this.#error("a repetition is {m}, {m,} or {m,n}");
    }
    const min = Number(match[1] || 0);
    const max = match[2] === undefined ? min : match[3] ? Number(match[3]) : Infinity;
    if (max < min) throw this.#error(`{${min},${max}} repeats more often than it may`);
    if (min > REPEAT_MIN_MAX) throw this.#error(`more than ${REPEAT_MIN_MAX} repetitions are due`);
    this.#at = COUNTS.lastIndex;
    return repeat(part, min, max);
  }

  #literal(): Expression {
    const start = this.#at++;
    let value = "";
    for (;;) {
      const char = this.#character();
      if (char === null) throw this.#error('the closing " is missing', start);
      if (char === '"') return literal(value);
      value += this.#unescaped(char);
    }
  }

  #class(): Expression {
    const start = this.#at++;
    const isNegated = this.#takeText("^");
    const pairs: number[] = [];
    for (;;) {
      const char = this.#character();
      if (char === null) throw this.#error('the closing "]" is missing', start);
      if (char === "]") {
        const set = codePoints(pairs);
        return oneOf(isNegated ? without(set) : set);
      }
      const first = this.#unescaped(char).codePointAt(0)!;
      let last = first;
      if (this.#source[this.#at] === "-" && this.#source[this.#at + 1] !== "]") {
        this.#at++;
        const end = this.#character();
        if (end === null) throw this.#error('the closing "]" is missing', start);
        last = this.#unescaped(end).codePointAt(0)!;
        if (last < first) throw this.#error("a range of characters runs backwards");
      }
      pairs.push(first, last);
    }
  }

  /** The next character, a backslash for an escape, which is not consumed; null at the end. */
  #character(): string | null {
    const point = this.#source.codePointAt(this.#at);
    if (point === undefined || point === 0x0a || point === 0x0d) return null;
    const char = String.fromCodePoint(point);
    if (char !== "\\") this.#at += char.length;
    return char;
  }

  #unescaped(char: string): string {
    if (char !== "\\") return char;
    ESCAPED.lastIndex = this.#at;
    const match = ESCAPED.exec(this.#source);
    if (match === null) throw this.#error("nothing follows a backslash");
    const [, x, u, long, single] = match;
    if (single !== undefined && !ESCAPES.has(single) && !ESCAPABLE.includes(single)) {
      throw this.#error(`\\${single} means nothing here`);
    }
    this.#at = ESCAPED.lastIndex;
    if (single !== undefined) return ESCAPES.get(single) ?? single;
    const point = parseInt(x ?? u ?? long, 16);
    if (point > 0x10ffff || point >= 0xd800 && point <= 0xdfff) {
      throw this.#error(`U+${point.toString(16)} is no character`);
    }
    return String.fromCodePoint(point);
  }

  #ruleNamed(name: string): number {
    const known = this.#rules.get(name);
    if (known !== undefined) return known;
    const rule = this.#book.add(name);
    this.#rules.set(name, rule);
    return rule;
  }

  #skip(what: RegExp): void {
    what.lastIndex = this.#at;
    if (what.test(this.#source)) this.#at = what.lastIndex;
  }

  #take(what: RegExp): string | null {
    what.lastIndex = this.#at;
    const match = what.exec(this.#source);
    if (match === null) return null;
    this.#at = what.lastIndex;
    return match[0];
  }

  #takeText(expected: string): boolean {
    if (!this.#source.startsWith(expected, this.#at)) return false;
    this.#at += expected.length;
    return true;
  }

  #here(): string {
    return String.fromCodePoint(this.#source.codePointAt(this.#at) ?? 0xfffd);
  }

  #error(what: string, at = this.#at): Error {
    const before = this.#source.slice(0, at);
    const line = before.split("\n").length;
    const column = at - before.lastIndexOf("\n");
    return grammarError(
      `Cannot read the grammar at line ${line}, column ${column}: ${what}: correct it`,
    );
  }
}
