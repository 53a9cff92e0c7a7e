/**
 * Reads a subset of JavaScript's regular expressions, as `pattern` has them, into a tree of what a
 * whole text must be. What it has no words for (looking behind, referring back) it refuses.
 */
import { ANY_CODE_POINT, type CodePoints, codePoints, without } from "../code_points.ts";
import { REPEAT_MIN_MAX } from "../limits.ts";

/** A part of a pattern. */
export type PatternNode =
  /** One character. */
  | { readonly kind: "set"; readonly set: CodePoints }
  | { readonly kind: "sequence" | "choice"; readonly parts: readonly PatternNode[] }
  | {
    readonly kind: "repeat";
    readonly body: PatternNode;
    readonly min: number;
    readonly max: number;
  }
  /** What follows does, or does not, begin so; it is not passed. */
  | { readonly kind: "ahead"; readonly body: PatternNode; readonly isNot: boolean }
  /** Nothing follows. */
  | { readonly kind: "end" };

/** A pattern that is not understood; `message` says what of it. */
export class PatternError extends Error {
  override readonly name = "PatternError";
}

const DEPTH_MAX = 64;
const PATTERN_LENGTH_MAX = 4096;

const DIGIT = codePoints([0x30, 0x39]);
const WORD = codePoints([0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a]);
// deno-fmt-ignore
const SPACE = codePoints([
  0x09, 0x0d, 0x20, 0x20, 0xa0, 0xa0, 0x1680, 0x1680, 0x2000, 0x200a, 0x2028, 0x2029,
  0x202f, 0x202f, 0x205f, 0x205f, 0x3000, 0x3000, 0xfeff, 0xfeff,
]);
const NO_LINE_END = without(codePoints([0x0a, 0x0a, 0x0d, 0x0d, 0x2028, 0x2029]));
const CLASSES: ReadonlyMap<string, CodePoints> = new Map([
  ["d", DIGIT],
  ["D", without(DIGIT)],
  ["w", WORD],
  ["W", without(WORD)],
  ["s", SPACE],
  ["S", without(SPACE)],
]);
const CONTROLS: ReadonlyMap<string, number> = new Map([
  ["n", 0x0a],
  ["r", 0x0d],
  ["t", 0x09],
  ["v", 0x0b],
  ["f", 0x0c],
  ["0", 0x00],
]);
const COUNTS = /\{(\d+)(?:(,)(\d*))?\}/y;
const HEX = /x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}/y;

/**
 * Reads a pattern.
 * @throws {PatternError} where it is none, or one that is not supported.
 */
export function readPattern(source: string): PatternNode {
  if (source.length > PATTERN_LENGTH_MAX) {
    throw new PatternError(`it is longer than ${PATTERN_LENGTH_MAX} characters`);
  }
  return new PatternReader(source).read();
}

class PatternReader {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  read(): PatternNode {
    const parts: PatternNode[] = [];
    do parts.push(this.#anchored()); while (this.#take("|"));
    if (this.#at < this.#source.length) throw this.#error(`"${this.#peek}" is not expected`);
    return anyOf(parts);
  }

  /** An alternative of the whole: free text goes before and behind it unless it is anchored. */
  #anchored(): PatternNode {
    const isFromStart = this.#take("^");
    const middle = this.#sequence(0);
    const isToEnd = this.#take("$");
    return inOrder([...isFromStart ? [] : [FREE], middle, ...isToEnd ? [] : [FREE]]);
  }

  #alternatives(depth: number): PatternNode {
    if (depth > DEPTH_MAX) throw this.#error(`groups are nested deeper than ${DEPTH_MAX}`);
    const parts: PatternNode[] = [];
    do parts.push(this.#sequence(depth)); while (this.#take("|"));
    return anyOf(parts);
  }

  #sequence(depth: number): PatternNode {
    const parts: PatternNode[] = [];
    for (;;) {
      const char = this.#peek;
      if (char === "" || char === "|" || char === ")") break;
      if (char === "^") throw this.#error('"^" is supported at the beginning of the whole only');
      if (char === "$") {
        const isLast = depth === 0 &&
          (this.#at + 1 === this.#source.length || this.#source[this.#at + 1] === "|");
        if (isLast) break;
        this.#at++;
        parts.push({ kind: "end" });
      } else parts.push(this.#quantified(this.#atom(depth)));
    }
    return inOrder(parts);
  }

  #atom(depth: number): PatternNode {
    if (this.#take("(")) return this.#group(depth);
    if (this.#take("[")) return { kind: "set", set: this.#class() };
    if (this.#take(".")) return { kind: "set", set: NO_LINE_END };
    if (this.#take("\\")) return { kind: "set", set: this.#escape(false) };
    const char = this.#peek;
    if ("*+?{".includes(char)) throw this.#error(`nothing stands before "${char}"`);
    if ("]}".includes(char)) throw this.#error(`"${char}" needs a backslash`);
    this.#at += char.length;
    return { kind: "set", set: single(char.codePointAt(0)!) };
  }

  #group(depth: number): PatternNode {
    let ahead: "=" | "!" | null = null;
    if (this.#take("?")) {
      const isNamed = /^<[A-Za-z_$][\w$]*>/.exec(this.#source.slice(this.#at, this.#at + 80));
      if (isNamed !== null) this.#at += isNamed[0].length;
      else if (this.#take("=")) ahead = "=";
      else if (this.#take("!")) ahead = "!";
      else if (!this.#take(":")) throw this.#error("looking behind is not supported");
    }
    const body = this.#alternatives(depth + 1);
    if (!this.#take(")")) throw this.#error('")" is missing');
    return ahead === null ? body : { kind: "ahead", body, isNot: ahead === "!" };
  }

  #quantified(part: PatternNode): PatternNode {
    const char = this.#peek;
    let result: PatternNode;
    if (char === "*" || char === "+" || char === "?") {
      this.#at++;
      result = repeated(part, char === "+" ? 1 : 0, char === "?" ? 1 : Infinity);
    } else if (char === "{") {
      COUNTS.lastIndex = this.#at;
      const match = COUNTS.exec(this.#source);
      if (match === null) throw this.#error("a repetition is {m}, {m,} or {m,n}");
      const min = Number(match[1]);
      const max = match[2] === undefined ? min : match[3] ? Number(match[3]) : Infinity;
      if (max < min) throw this.#error(`{${min},${max}} repeats more often than it may`);
      if (min > REPEAT_MIN_MAX) throw this.#error(`more than ${REPEAT_MIN_MAX} repetitions`);
      this.#at = COUNTS.lastIndex;
      result = repeated(part, min, max);
    } else return part;
    this.#take("?"); // which match is preferred makes no difference to whether there is one
    if (this.#peek !== "" && "*+?{".includes(this.#peek)) {
      throw this.#error(`nothing stands before "${this.#peek}"`);
    }
    return result;
  }

  #class(): CodePoints {
    const isNegated = this.#take("^");
    const pairs: number[] = [];
    while (!this.#take("]")) {
      const first = this.#classItem();
      if (this.#peek === "-" && this.#source[this.#at + 1] !== "]") {
        this.#at++;
        const last = this.#classItem();
        const isRange = first.length === 2 && first[0] === first[1] && last.length === 2 &&
          last[0] === last[1] && first[0] <= last[0];
        if (!isRange) throw this.#error("a range of characters is none");
        pairs.push(first[0], last[0]);
      } else pairs.push(...first);
    }
    return isNegated ? without(codePoints(pairs)) : codePoints(pairs);
  }

  #classItem(): CodePoints {
    if (this.#take("\\")) return this.#escape(true);
    const char = this.#peek;
    if (char === "") throw this.#error('"]" is missing');
    this.#at += char.length;
    return single(char.codePointAt(0)!);
  }

  /** What stands behind a backslash. */
  #escape(inClass: boolean): CodePoints {
    HEX.lastIndex = this.#at;
    const hex = HEX.exec(this.#source);
    if (hex !== null) {
      this.#at = HEX.lastIndex;
      const point = parseInt(hex[1] ?? hex[2] ?? hex[3], 16);
      if (codePoints([point, point]).length === 0) {
        throw this.#error("no character has this number");
      }
      return single(point);
    }
    const char = this.#peek;
    this.#at += char.length;
    const named = CLASSES.get(char);
    if (named !== undefined) return named;
    const control = CONTROLS.get(char);
    if (control !== undefined) return single(control);
    if (inClass && char === "b") return single(0x08);
    if (char === "" || /[A-Za-z0-9]/.test(char)) throw this.#error(`\\${char} is not supported`);
    return single(char.codePointAt(0)!);
  }

  get #peek(): string {
    const point = this.#source.codePointAt(this.#at);
    return point === undefined ? "" : String.fromCodePoint(point);
  }

  #take(char: string): boolean {
    if (this.#source[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #error(what: string): PatternError {
    return new PatternError(`${what} (at character ${this.#at + 1})`);
  }
}

function single(point: number): CodePoints {
  return codePoints([point, point]);
}

function inOrder(parts: readonly PatternNode[]): PatternNode {
  return parts.length === 1 ? parts[0] : { kind: "sequence", parts };
}

function anyOf(parts: readonly PatternNode[]): PatternNode {
  return parts.length === 1 ? parts[0] : { kind: "choice", parts };
}

function repeated(body: PatternNode, min: number, max: number): PatternNode {
  return { kind: "repeat", body, min, max };
}

/** Any text, or none. */
const FREE = repeated({ kind: "set", set: ANY_CODE_POINT }, 0, Infinity);
