/**
 * A grammar in parts → one expression: texts, control tokens, free text, and grammars of their own
 * in an order. Knows nothing of GBNF or of schemas.
 */
import type { GrammarPart, GrammarSource } from "../llm/types.ts";
import {
  choice,
  type Expression,
  leads,
  marker,
  optional,
  ref,
  repeat,
  type RuleBook,
  sequence,
  text,
  until,
} from "./expression.ts";
import { grammarError } from "./limits.ts";
import { markerBytes } from "./token_trie.ts";

/** Larger alternatives and free texts are rules: there once, however often they are used. */
const INLINE_SIZE_MAX = 8;

/**
 * What a text of a grammar in parts is.
 * @param addRules adds another grammar's rules; @returns the number of its whole.
 * @throws {RequestError} 400 where parts are nested too deeply, or not there.
 */
export function partExpression(
  { parts, named = {} }: GrammarSource & { readonly kind: "parts" },
  book: RuleBook,
  addRules: (source: GrammarSource) => number,
): Expression {
  return new PartConverter(book, named, addRules).convert(parts, 0);
}

class PartConverter {
  readonly #book: RuleBook;
  readonly #named: Readonly<Record<string, GrammarPart>>;
  readonly #addRules: (source: GrammarSource) => number;
  /** Of parts and grammars that are named in several places. */
  readonly #known = new Map<GrammarPart | GrammarSource, Expression>();

  constructor(
    book: RuleBook,
    named: Readonly<Record<string, GrammarPart>>,
    addRules: (source: GrammarSource) => number,
  ) {
    this.#book = book;
    this.#named = named;
    this.#addRules = addRules;
  }

  convert(part: GrammarPart, depth: number): Expression {
    const { depth: depthMax } = this.#book.limits;
    if (depth > depthMax) {
      throw grammarError(`Cannot use the grammar: its parts nest deeper than ${depthMax}`);
    }
    const inner = (each: GrammarPart) => this.convert(each, depth + 1);
    if (typeof part === "string") return text(part);
    if ("token" in part) return marker(part.token);
    if ("all" in part) return sequence(...part.all.map(inner));
    if ("until" in part) {
      return this.#once(part, () => this.#shared(until(triggerOf(part.until), { isDue: true })));
    }
    if ("leads" in part) {
      return this.#once(part, () => {
        const all = part.leads.map(({ lead, then }) => ({
          bytes: lead.flatMap(leadBytes),
          then: inner(then),
        }));
        // A rule of its own: what follows it follows its free end, too.
        const behind = inner(part.behind ?? "");
        return this.#ruleOf(leads(all, { isAtStart: part.isAtStart ?? false, behind }));
      });
    }
    if ("anyOf" in part) {
      return this.#once(part, () => this.#shared(choice(...part.anyOf.map(inner))));
    }
    if ("part" in part) {
      if (!Object.hasOwn(this.#named, part.part)) {
        throw grammarError(`Cannot use the grammar: no part is named "${part.part}": name one`);
      }
      return this.#once(part.part, () => this.#shared(inner(this.#named[part.part])));
    }
    if ("grammar" in part) {
      return this.#once(part.grammar, () => ref(this.#addRules(part.grammar)));
    }
    const { repeat: body, between, min = 0, max = Infinity } = part;
    const once = inner(body);
    if (between === undefined) return repeat(once, min, max);
    const more = sequence(inner(between), once);
    const list = sequence(once, repeat(more, Math.max(0, min - 1), max - 1));
    return min === 0 ? optional(list) : list;
  }

  #once(key: GrammarPart | GrammarSource, make: () => Expression): Expression {
    const made = this.#known.get(key) ?? make();
    this.#known.set(key, made);
    return made;
  }

  #shared(body: Expression): Expression {
    return body.size <= INLINE_SIZE_MAX ? body : this.#ruleOf(body);
  }

  #ruleOf(body: Expression): Expression {
    const rule = this.#book.add("part");
    this.#book.define(rule, body);
    return ref(rule);
  }
}

type Mark = string | { readonly token: string };

function triggerOf(end: Mark | readonly Mark[]): Uint8Array {
  return Uint8Array.from([end].flat().flatMap(markBytes));
}

function leadBytes(item: Mark | { readonly isBlank: true }): readonly (number | null)[] {
  return typeof item === "object" && "isBlank" in item ? [null] : markBytes(item);
}

function markBytes(mark: Mark): number[] {
  return [...typeof mark === "string" ? new TextEncoder().encode(mark) : markerBytes(mark.token)];
}
