/** From a grammar as a client writes it to one that answers can follow. */
import { RequestError } from "../base/errors.ts";
import type { GrammarSource } from "../llm/types.ts";
import { checkNetwork } from "./check_network.ts";
import { Configurations } from "./configurations.ts";
import { ref, RuleBook, sequence, until } from "./expression.ts";
import { parseGbnf } from "./gbnf.ts";
import { JsonRules } from "./json_rules.ts";
import { GRAMMAR_LIMITS, grammarError, type GrammarLimits } from "./limits.ts";
import type { Grammar } from "./network.ts";
import { NetworkBuilder } from "./network_builder.ts";
import { convertSchema } from "./schema/convert_schema.ts";

/** Bytes of a trigger. */
const TRIGGER_BYTES_MAX = 256;

/**
 * Compiles a grammar. Takes time and memory in proportion to its size, which is bounded.
 * @param options.param the request's field that an error names.
 * @throws {RequestError} 400 where it is none, not supported, too large, or no text fits it.
 */
export function compileGrammar(
  source: GrammarSource,
  options: { readonly limits?: GrammarLimits; readonly param?: string } = {},
): Grammar {
  const { limits = GRAMMAR_LIMITS } = options;
  const param = options.param ?? (source.kind === "gbnf" ? "grammar" : "response_format");
  try {
    const key = keyOf(source, limits);
    const book = rulesOf(source, limits);
    const builder = new NetworkBuilder(book);
    const start = builder.build(
      source.trigger === undefined ? 0 : withTrigger(book, source.trigger),
    );
    checkNetwork(builder, start, (rule) => book.nameOf(rule));
    const grammar = { ...builder.finish(start), key };
    new Configurations(grammar); // a beginning that is too ambiguous is refused here
    return grammar;
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    const { message, status, code } = error;
    throw new RequestError(message, { status, code, param });
  }
}

/** The source as a text, within its bound; what is no JSON is refused. */
function keyOf(source: GrammarSource, limits: GrammarLimits): string {
  let key: string | undefined;
  try {
    key = JSON.stringify(source);
  } catch {
    // Circles, and nesting that is deeper than the stack.
  }
  if (key !== undefined && key.length <= 2 * limits.textLength) return key;
  throw grammarError(
    `Cannot use the grammar: it is no JSON, or longer than ${limits.textLength} characters: ` +
      "make it smaller",
  );
}

function rulesOf(source: GrammarSource, limits: GrammarLimits): RuleBook {
  if (source.kind === "gbnf") return parseGbnf(source.text, limits);
  if (source.kind === "jsonSchema") return convertSchema(source.schema, limits);
  const book = new RuleBook(limits);
  const root = book.add("root");
  book.define(root, new JsonRules(book).object);
  return book;
}

/** A rule that lets free text go before a grammar, up to its trigger. */
function withTrigger(book: RuleBook, trigger: string): number {
  const bytes = new TextEncoder().encode(trigger);
  if (bytes.length === 0 || bytes.length > TRIGGER_BYTES_MAX) {
    throw grammarError(
      `Cannot use the trigger: it has ${bytes.length} bytes: give it 1 to ${TRIGGER_BYTES_MAX}`,
    );
  }
  const rule = book.add("text before the trigger");
  book.define(rule, sequence(until(bytes), ref(0)));
  return rule;
}
