/** From a grammar as a client writes it to one that answers can follow. */
import { RequestError } from "../base/errors.ts";
import type { GrammarSource } from "../llm/types.ts";
import { checkNetwork } from "./check_network.ts";
import { Configurations } from "./configurations.ts";
import { type Expression, ref, RuleBook, sequence, until } from "./expression.ts";
import { parseGbnf } from "./gbnf.ts";
import { JsonRules } from "./json_rules.ts";
import { GRAMMAR_LIMITS, grammarError, type GrammarLimits } from "./limits.ts";
import type { Grammar } from "./network.ts";
import { NetworkBuilder } from "./network_builder.ts";
import { partExpression } from "./part_expression.ts";
import { convertSchema } from "./schema/convert_schema.ts";

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
    const book = new RuleBook(limits);
    const builder = new NetworkBuilder(book);
    const start = builder.build(addRules(source, new JsonRules(book)));
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

/** Adds the rules of a grammar. @returns the number of the one for the whole. */
function addRules(source: GrammarSource, json: JsonRules): number {
  const root = addRoot(source, json);
  if (source.trigger === undefined) return root;
  const free = until(new TextEncoder().encode(source.trigger));
  return addRule(json.book, "text before the trigger", sequence(free, ref(root)));
}

function addRoot(source: GrammarSource, json: JsonRules): number {
  if (source.kind === "gbnf") return parseGbnf(source.text, json.book);
  if (source.kind === "jsonSchema") return convertSchema(source.schema, json);
  if (source.kind === "json") return addRule(json.book, "root", json.object);
  const whole = partExpression(source, json.book, (grammar) => addRules(grammar, json));
  return addRule(json.book, "root", whole);
}

function addRule(book: RuleBook, name: string, body: Expression): number {
  const rule = book.add(name);
  book.define(rule, body);
  return rule;
}
