/**
 * A grammar as a tree: what parsers write and the network builder reads. Knows nothing of GBNF, of
 * schemas or of bytes beyond a literal's.
 */
import { ANY_CODE_POINT, type CodePoints, codePoints } from "./code_points.ts";
import { grammarError, type GrammarLimits, REPEAT_MAX } from "./limits.ts";
import { markerBytes } from "./token_trie.ts";

/** What a part of a text must be. */
export type Expression =
  /** One of some byte strings. */
  | { readonly kind: "words"; readonly words: readonly Uint8Array[]; readonly size: number }
  /** One code point. */
  | { readonly kind: "class"; readonly set: CodePoints; readonly size: number }
  | { readonly kind: "sequence"; readonly parts: readonly Expression[]; readonly size: number }
  | { readonly kind: "choice"; readonly parts: readonly Expression[]; readonly size: number }
  /** A sentence of another rule, by its number in the book. */
  | { readonly kind: "rule"; readonly rule: number; readonly size: number }
  | {
    readonly kind: "repeat";
    readonly body: Expression;
    readonly min: number;
    readonly max: number;
    readonly size: number;
  }
  /** Free text up to and with the first trigger; unless it is due, the text may end before it. */
  | {
    readonly kind: "until";
    readonly trigger: Uint8Array;
    readonly isDue: boolean;
    readonly size: number;
  }
  /** Free text, and behind the first lead in it, or at its beginning, what belongs to that. */
  | {
    readonly kind: "leads";
    readonly leads: readonly Lead[];
    readonly isAtStart: boolean;
    /** Follows what belongs to any of the leads. */
    readonly behind: Expression;
    readonly size: number;
  };

export interface Lead {
  /** Bytes; null: any white space, or none. */
  readonly bytes: readonly (number | null)[];
  readonly then: Expression;
}

const UTF8 = new TextEncoder();

/** Written out where it is no larger than this, counted where it is. */
const UNROLL_SIZE_MAX = 64;

/** Exactly this text. */
export function text(value: string): Expression {
  return words([value]);
}

/** Exactly one of these texts. */
export function words(values: readonly string[]): Expression {
  const bytes = values.map((value) => UTF8.encode(value));
  return { kind: "words", words: bytes, size: bytes.reduce((n, each) => n + each.length + 1, 0) };
}

/** One code point of the set. */
export function oneOf(set: CodePoints): Expression {
  return { kind: "class", set, size: 1 + set.length };
}

/** One code point out of those of a text such as "az09": pairs of first and last. */
export function between(pairs: string): Expression {
  return oneOf(codePoints([...pairs].map((each) => each.codePointAt(0)!)));
}

export function anyCodePoint(): Expression {
  return oneOf(ANY_CODE_POINT);
}

export function sequence(...parts: readonly Expression[]): Expression {
  return parts.length === 1 ? parts[0] : { kind: "sequence", parts, size: sizeOf(parts) };
}

/** Nothing: the empty text. */
export function nothing(): Expression {
  return sequence();
}

/** One of the parts; without any, no text at all. */
export function choice(...parts: readonly Expression[]): Expression {
  return parts.length === 1 ? parts[0] : { kind: "choice", parts, size: sizeOf(parts) };
}

/** No text at all, not even the empty one. */
export function never(): Expression {
  return choice();
}

export function ref(rule: number): Expression {
  return { kind: "rule", rule, size: 1 };
}

/** `max`: Infinity where there is none. */
export function repeat(body: Expression, min: number, max: number): Expression {
  const most = Math.min(max, REPEAT_MAX);
  const most1 = most >= REPEAT_MAX ? min + 1 : most;
  const size = isWrittenOut(body, min, max) ? 1 + most1 * (body.size + 1) : 1 + body.size;
  return { kind: "repeat", body, min, max: most, size };
}

/** Exactly this marker, and no text that spells it. */
export function marker(name: string): Expression {
  const bytes = markerBytes(name);
  return { kind: "words", words: [bytes], size: bytes.length + 2 };
}

/** Bytes of a trigger. */
const TRIGGER_BYTES_MAX = 256;
/** Of names and what stands around them. */
const LEAD_BYTES_MAX = 2048;

/**
 * Free text that ends with the first trigger.
 * @param options.isDue it may not end otherwise; else it may, and so does the rule.
 * @throws {RequestError} 400 for a trigger that is empty or too long.
 */
export function until(trigger: Uint8Array, { isDue = false } = {}): Expression {
  const { length } = trigger;
  if (length === 0 || length > TRIGGER_BYTES_MAX) {
    throw grammarError(
      `Cannot use the trigger: it has ${length} bytes: give it 1 to ${TRIGGER_BYTES_MAX}`,
    );
  }
  return { kind: "until", trigger, isDue, size: 4 * length };
}

/**
 * Free text that may end anywhere; but behind a lead follows what belongs to it, then `behind`.
 * @param options.isAtStart leads count at the beginning only; else the first one anywhere does.
 * @throws {RequestError} 400 for a lead that is empty or too long.
 */
export function leads(
  of: readonly Lead[],
  { isAtStart, behind }: { readonly isAtStart: boolean; readonly behind: Expression },
): Expression {
  for (const { bytes: { length } } of of) {
    if (length > 0 && length <= LEAD_BYTES_MAX) continue;
    throw grammarError(
      `Cannot use the lead: it has ${length} bytes: give it 1 to ${LEAD_BYTES_MAX}`,
    );
  }
  const own = of.reduce((sum, { bytes, then }) => sum + 4 * bytes.length + then.size, 4);
  return { kind: "leads", leads: of, isAtStart, behind, size: own + behind.size };
}

export function optional(body: Expression): Expression {
  return repeat(body, 0, 1);
}

/** Whether a repetition becomes copies of its body rather than a counter. */
export function isWrittenOut(body: Expression, min: number, max: number): boolean {
  const copies = max >= REPEAT_MAX ? min : max;
  return copies <= 1 || copies * (body.size + 1) <= UNROLL_SIZE_MAX;
}

function sizeOf(parts: readonly Expression[]): number {
  return parts.reduce((sum, part) => sum + part.size, 1);
}

/** The rules of a grammar, by number. */
export class RuleBook {
  readonly limits: GrammarLimits;
  readonly #names: string[] = [];
  readonly #bodies: (Expression | null)[] = [];
  #size = 0;

  constructor(limits: GrammarLimits) {
    this.limits = limits;
  }

  get count(): number {
    return this.#names.length;
  }

  /** Makes room for a rule; it is defined later, so that rules may name each other. */
  add(name: string): number {
    if (this.#names.length >= this.limits.rules) throw tooLarge(`${this.limits.rules} rules`);
    this.#bodies.push(null);
    return this.#names.push(name) - 1;
  }

  define(rule: number, body: Expression): void {
    this.#size += body.size;
    if (this.#size > 4 * this.limits.states) throw tooLarge(`${this.limits.states} states`);
    this.#bodies[rule] = body;
  }

  isDefined(rule: number): boolean {
    return this.#bodies[rule] !== null;
  }

  bodyOf(rule: number): Expression {
    const body = this.#bodies[rule];
    if (body === null) {
      throw grammarError(
        `Cannot use the grammar: rule "${this.nameOf(rule)}" is used and not defined: define it`,
      );
    }
    return body;
  }

  nameOf(rule: number): string {
    return this.#names[rule];
  }
}

/** More than a grammar may have of something. */
export function tooLarge(bound: string): Error {
  return grammarError(`Cannot use the grammar: it has more than ${bound}: make it smaller`);
}
