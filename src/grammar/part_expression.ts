/**
 * A grammar in parts → one expression: texts, control tokens, free text, and grammars of their own
 * in an order. Knows nothing of GBNF or of schemas.
 */
import type { GrammarPart, GrammarSource } from "../llm/types.ts";
import {
  choice,
  type Expression,
  marker,
  ref,
  repeat,
  type RuleBook,
  sequence,
  text,
  until,
} from "./expression.ts";
import { grammarError } from "./limits.ts";
import { markerBytes } from "./token_trie.ts";

/**
 * What a text of this part is.
 * @param addRules adds another grammar's rules; @returns the number of its whole.
 * @throws {RequestError} 400 where parts are nested too deeply.
 */
export function partExpression(
  part: GrammarPart,
  book: RuleBook,
  addRules: (source: GrammarSource) => number,
): Expression {
  const { depth: depthMax } = book.limits;
  /** A grammar that several parts name is there once. */
  const known = new Map<GrammarSource, Expression>();
  const grammarOf = (source: GrammarSource): Expression => {
    const rule = known.get(source) ?? ref(addRules(source));
    known.set(source, rule);
    return rule;
  };
  const convert = (part: GrammarPart, depth: number): Expression => {
    if (depth > depthMax) {
      throw grammarError(`Cannot use the grammar: its parts nest deeper than ${depthMax}`);
    }
    const inner = (each: GrammarPart) => convert(each, depth + 1);
    if (typeof part === "string") return text(part);
    if ("token" in part) return marker(part.token);
    if ("until" in part) return until(triggerOf(part.until), { isDue: true });
    if ("all" in part) return sequence(...part.all.map(inner));
    if ("anyOf" in part) return choice(...part.anyOf.map(inner));
    if ("grammar" in part) return grammarOf(part.grammar);
    const { repeat: body, min = 0, max = Infinity } = part;
    return repeat(inner(body), min, max);
  };
  return convert(part, 0);
}

function triggerOf(end: string | { readonly token: string }): Uint8Array {
  return typeof end === "string" ? new TextEncoder().encode(end) : markerBytes(end.token);
}
