/** What an answer with calls of functions is bound to: schemas and grammars. Pure. */
import type { GrammarPart, GrammarSource } from "../../llm/types.ts";
import type { CallFormat } from "./call_format.ts";
import { bareGrammar, recipientsGrammar } from "./lead_grammar.ts";
import { markupGrammar } from "./markup_grammar.ts";
import { gemmaGrammar, pythonGrammar } from "./written_grammar.ts";
import { closingOf, LINE_END, marksIn, speltBy } from "./spelt_marks.ts";
import type { ToolFunction } from "./tool_plan.ts";

type Functions = readonly ToolFunction[];

/** The schema of an answer that is a call; where the format has lists, a list of calls. */
export function forcedSchema(functions: Functions, format: CallFormat, isParallel: boolean) {
  const definitions: Record<string, unknown> = {};
  const call = anyOf(callSchemas(functions, format, definitions));
  const list = { type: "array", items: call, minItems: 1, ...(!isParallel && { maxItems: 1 }) };
  return rooted(format.isList ? list : call, definitions);
}

/** The schema of an answer that is a call, or follows `answer`. */
export function schemaOrCall(functions: Functions, format: CallFormat, answer: unknown) {
  const definitions: Record<string, unknown> = {};
  const calls = callSchemas(functions, format, definitions);
  return rooted(anyOf([...calls, placed(answer, "answer", definitions)]), definitions);
}

/**
 * What holds behind the opening of a call that the model chose to make; null: nothing. Names are
 * bound, and arguments to the functions' schemas, or to be objects.
 */
export function autoGrammar(
  functions: Functions,
  format: CallFormat,
  isParallel: boolean,
): GrammarSource | null {
  const { open, named, isList, textLead, gemmaQuote, hasPythonCalls, markup } = format;
  const how = { format, isParallel, isBegun: false };
  if (markup) {
    // Names alone are told by tags; without one schema that is law nothing more is worth binding.
    if (!functions.some(({ strict }) => strict)) return null;
    return behindOpening(format, markupGrammar(functions, format, how));
  }
  if (textLead !== undefined) return recipientsGrammar(functions, how);
  if (named && !isList) return behindOpening(format, namedGrammar(functions, format, how));
  // Texts between control tokens are no texts to its rules.
  const isSpelt = ![...format.controls?.values() ?? []].includes(gemmaQuote ?? "");
  if (gemmaQuote) return isSpelt ? behindOpening(format, gemmaGrammar(functions, how)) : null;
  if (hasPythonCalls) return behindOpening(format, pythonGrammar(functions, how));
  if (open === "") return bareGrammar(functions, format, isParallel);
  if (isList) return behindOpening(format, listGrammar(functions, format, isParallel));
  return behindOpening(format, taggedGrammar(functions, format, isParallel));
}

/** What holds once the format's opening has been said. */
function behindOpening(
  { open, controls = new Map<number, string>() }: CallFormat,
  grammar: GrammarSource,
): GrammarSource {
  const lead = marksIn(open, new Set(controls.values()));
  if (lead.length === 1) return { ...grammar, trigger: open };
  // Opened by control tokens and text, which are no one trigger.
  return { kind: "parts", parts: { leads: [{ lead, then: { grammar } }] } };
}

/** A list of calls, each an object, and what closes it. */
export function listGrammar(
  functions: Functions,
  format: CallFormat,
  isParallel: boolean,
): GrammarSource {
  const schema = forcedSchema(functions, format, isParallel);
  const list: GrammarPart = { grammar: { kind: "jsonSchema", schema } };
  return { kind: "parts", parts: { all: [LINE_END, list, closingOf(format)] } };
}

/** One call or several, each an object between the format's tags; the first one's is open. */
export function taggedGrammar(
  functions: Functions,
  format: CallFormat,
  isParallel: boolean,
): GrammarSource & { readonly kind: "parts" } {
  const { open, close, isBlock, controls, textEnd = "" } = format;
  const spelt = (text: string) => speltBy(text, new Set(controls?.values()));
  const schema = forcedSchema(functions, format, false);
  const call: GrammarPart = { grammar: { kind: "jsonSchema", schema } };
  const again = isBlock ? [] : [spelt(close), LINE_END, spelt(textEnd + open)];
  const between = { all: [LINE_END, ...again, LINE_END] };
  const calls = { repeat: call, between, min: 1, ...(!isParallel && { max: 1 }) };
  const closing = close === "" ? [] : [LINE_END, spelt(close)];
  return { kind: "parts", parts: { all: [LINE_END, calls, ...closing] } };
}

/**
 * Calls whose names are between marks: one of the names, and arguments by the function's schema, or
 * any object where it has none.
 * @param options.isBegun what begins the first call is in the prompt.
 */
export function namedGrammar(
  functions: Functions,
  format: CallFormat,
  { isParallel, isBegun = false }: { isParallel: boolean; isBegun?: boolean },
): GrammarSource & { readonly kind: "parts" } {
  const { open, close, controls = new Map<number, string>() } = format;
  const { begin, before, behind, after, end, hasNumbers } = format.named!;
  const names = new Set(controls.values());
  const spelt = (text: string) => speltBy(text, names);
  const number: GrammarPart = { grammar: { kind: "gbnf", text: 'root ::= ":" [0-9]{1,4}' } };
  const call = {
    anyOf: functions.map(({ name, parameters = { type: "object" } }): GrammarPart => ({
      all: [
        ...[spelt(before), name, ...(hasNumbers ? [number] : []), spelt(behind)],
        { grammar: { kind: "jsonSchema", schema: parameters } },
        spelt(after + end),
      ],
    })),
  };
  const between: GrammarPart = { all: [LINE_END, spelt(begin === "" ? open : begin)] };
  return {
    kind: "parts",
    parts: {
      all: [
        ...(isBegun ? [] : [LINE_END, spelt(begin)]),
        { repeat: call, between, min: 1, ...(!isParallel && { max: 1 }) },
        spelt(close),
      ],
    },
  };
}

/** Behind what comes before a function's name: one of the names, then what tags grammars leave. */
export function namesGrammar(
  functions: Functions,
  { markup, controls }: CallFormat,
): GrammarSource {
  const { name: [, behind], hasNumbers } = markup!;
  const names = { anyOf: functions.map(({ name }) => name) };
  const next = hasNumbers ? '" ' : speltBy(behind, new Set(controls?.values()));
  return { kind: "parts", parts: { all: [names, next, { leads: [] }] } };
}

function callSchemas(
  functions: Functions,
  { nameKey = "name", argumentsKey, isKeyed }: CallFormat,
  definitions: Record<string, unknown>,
) {
  return functions.map(({ name, parameters = { type: "object" } }, index) => {
    const args = placed(parameters, `function${index}`, definitions);
    return {
      type: "object",
      properties: isKeyed ? { [name]: args } : { [nameKey]: { const: name }, [argumentsKey]: args },
      required: isKeyed ? [name] : [nameKey, argumentsKey],
      additionalProperties: false,
    };
  });
}

function anyOf(schemas: readonly unknown[]): unknown {
  return schemas.length === 1 ? schemas[0] : { anyOf: schemas };
}

function rooted(schema: unknown, definitions: Record<string, unknown>): unknown {
  if (Object.keys(definitions).length === 0) return schema;
  return { ...(schema as object), $defs: definitions };
}

/** `schema` for use inside another: where it refers to its own parts, it moves to a definition. */
function placed(schema: unknown, name: string, definitions: Record<string, unknown>): unknown {
  if (!refersToItself(schema)) return schema;
  definitions[name] = rebased(schema, `#/$defs/${name}`);
  return { $ref: `#/$defs/${name}` };
}

function refersToItself(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if ("$ref" in value && typeof value.$ref === "string") return true;
  return Object.values(value).some(refersToItself);
}

/** A body nests a bounded number of levels, and so may this. */
function rebased(value: unknown, root: string): unknown {
  if (Array.isArray(value)) return value.map((item) => rebased(item, root));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const isReference = key === "$ref" && typeof item === "string" && item.startsWith("#");
      return [key, isReference ? root + item.slice(1) : rebased(item, root)];
    }),
  );
}
