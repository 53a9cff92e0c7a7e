/**
 * Reads a subset of JavaScript's regular expressions, as `pattern` has them, into what a string of
 * JSON may hold. What it cannot express (looking around, referring back) it refuses.
 */
import { ANY_CODE_POINT, type CodePoints, codePoints, without } from "../code_points.ts";
import { choice, type Expression, nothing, repeat, sequence } from "../expression.ts";
import { REPEAT_MIN_MAX } from "../limits.ts";

/** What a pattern is read into. */
export interface ReadPattern {
  /** What stands between the quotes. */
  readonly expression: Expression;
  /** Characters that a match has, at least and at most. */
  readonly min: number;
  readonly max: number;
}

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
 * @param characterOf how a string holds one character of a set.
 * @throws {PatternError} where it is none, or one that is not supported.
 */
export function readPattern(
  source: string,
  characterOf: (set: CodePoints) => Expression,
): ReadPattern {
  if (source.length > PATTERN_LENGTH_MAX) {
    throw new PatternError(`it is longer than ${PATTERN_LENGTH_MAX} characters`);
  }
  return new PatternReader(source, characterOf).read();
}

class PatternReader {
  readonly #source: string;
  readonly #characterOf: (set: CodePoints) => Expression;
  #at = 0;

  constructor(source: string, characterOf: (set: CodePoints) => Expression) {
    this.#source = source;
    this.#characterOf = characterOf;
  }

  read(): ReadPattern {
    const parts: ReadPattern[] = [];
    do parts.push(this.#anchored()); while (this.#take("|"));
    if (this.#at < this.#source.length) throw this.#error(`"${this.#peek}" is not expected`);
    return anyOf(parts);
  }

  /** An alternative of the whole: free text goes before and behind it unless it is anchored. */
  #anchored(): ReadPattern {
    const isFromStart = this.#take("^");
    const middle = this.#sequence(0);
    const isToEnd = this.#take("$");
    const free = this.#repeated(this.#one(ANY_CODE_POINT), 0, Infinity);
    return inOrder([...isFromStart ? [] : [free], middle, ...isToEnd ? [] : [free]]);
  }

  #alternatives(depth: number): ReadPattern {
    if (depth > DEPTH_MAX) throw this.#error(`groups are nested deeper than ${DEPTH_MAX}`);
    const parts: ReadPattern[] = [];
    do parts.push(this.#sequence(depth)); while (this.#take("|"));
    return anyOf(parts);
  }

  #sequence(depth: number): ReadPattern {
    const parts: ReadPattern[] = [];
    for (;;) {
      const char = this.#peek;
      if (char === "" || char === "|" || char === ")") break;
      if (char === "^" || char === "$") {
        const isLast = char === "$" && depth === 0 &&
          (this.#at + 1 === this.#source.length || this.#source[this.#at + 1] === "|");
        if (isLast) break;
        throw this.#error(`"${char}" is supported at the ends of the whole only`);
      }
      parts.push(this.#quantified(this.#atom(depth)));
    }
    return inOrder(parts);
  }

  #atom(depth: number): ReadPattern {
    if (this.#take("(")) return this.#group(depth);
    if (this.#take("[")) return this.#one(this.#class());
    if (this.#take(".")) return this.#one(NO_LINE_END);
    if (this.#take("\\")) return this.#one(this.#escape(false));
    const char = this.#peek;
    if ("*+?{".includes(char)) throw this.#error(`nothing stands before "${char}"`);
    if ("]}".includes(char)) throw this.#error(`"${char}" needs a backslash`);
    this.#at += char.length;
    return this.#one(single(char.codePointAt(0)!));
  }

  #group(depth: number): ReadPattern {
    if (this.#take("?")) {
      const isNamed = /^<[A-Za-z_$][\w$]*>/.exec(this.#source.slice(this.#at, this.#at + 80));
      if (isNamed !== null) this.#at += isNamed[0].length;
      else if (!this.#take(":")) throw this.#error("looking ahead or behind is not supported");
    }
    const inner = this.#alternatives(depth + 1);
    if (!this.#take(")")) throw this.#error('")" is missing');
    return inner;
  }

  #quantified(part: ReadPattern): ReadPattern {
    const char = this.#peek;
    let result: ReadPattern;
    if (char === "*" || char === "+" || char === "?") {
      this.#at++;
      result = this.#repeated(part, char === "+" ? 1 : 0, char === "?" ? 1 : Infinity);
    } else if (char === "{") {
      COUNTS.lastIndex = this.#at;
      const match = COUNTS.exec(this.#source);
      if (match === null) throw this.#error("a repetition is {m}, {m,} or {m,n}");
      const min = Number(match[1]);
      const max = match[2] === undefined ? min : match[3] ? Number(match[3]) : Infinity;
      if (max < min) throw this.#error(`{${min},${max}} repeats more often than it may`);
      if (min > REPEAT_MIN_MAX) throw this.#error(`more than ${REPEAT_MIN_MAX} repetitions`);
      this.#at = COUNTS.lastIndex;
      result = this.#repeated(part, min, max);
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

  #one(set: CodePoints): ReadPattern {
    return { expression: this.#characterOf(set), min: 1, max: 1 };
  }

  #repeated({ expression, min: least, max: most }: ReadPattern, min: number, max: number) {
    const longest = most === 0 || max === 0 ? 0 : most * max;
    return { expression: repeat(expression, min, max), min: least * min, max: longest };
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

function inOrder(parts: readonly ReadPattern[]): ReadPattern {
  if (parts.length === 0) return { expression: nothing(), min: 0, max: 0 };
  return {
    expression: sequence(...parts.map((part) => part.expression)),
    min: parts.reduce((sum, part) => sum + part.min, 0),
    max: parts.reduce((sum, part) => sum + part.max, 0),
  };
}

function anyOf(parts: readonly ReadPattern[]): ReadPattern {
  return {
    expression: choice(...parts.map((part) => part.expression)),
    min: parts.reduce((least, part) => Math.min(least, part.min), Infinity),
    max: parts.reduce((most, part) => Math.max(most, part.max), 0),
  };
}
