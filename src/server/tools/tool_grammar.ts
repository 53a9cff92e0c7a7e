/** What an answer with calls of functions is bound to: schemas and grammars. Pure. */
import type { GrammarPart, GrammarSource } from "../../llm/types.ts";
import type { CallFormat } from "./call_format.ts";
import { gemmaGrammar } from "./gemma_grammar.ts";
import { LINE_END, markupGrammar } from "./markup_grammar.ts";
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
 * What holds behind the opening of a call that the model chose to make; null: nothing, for calls
 * have no opening, or are no JSON. Names are bound, and arguments to the functions' schemas, or to
 * be objects.
 */
export function autoGrammar(
  functions: Functions,
  format: CallFormat,
  isParallel: boolean,
): GrammarSource | null {
  const { open, close, named, isList, hasPythonCalls, hasGemmaCalls, markup } = format;
  if (markup) {
    // Names alone are told by tags; without one schema that is law nothing more is worth binding.
    if (!functions.some(({ strict }) => strict)) return null;
    return { ...markupGrammar(functions, format, { isParallel }), trigger: open };
  }
  if (named && !isList) {
    return { ...namedGrammar(functions, format, { isParallel }), trigger: open };
  }
  if (hasGemmaCalls) return gemmaGrammar(functions, { format, isParallel, isBegun: false });
  if (open === "" || isList || close === "" || hasPythonCalls) return null;
  return { ...taggedGrammar(functions, format, isParallel), trigger: open };
}

/** One call or several, each an object between the format's tags; the first one's is open. */
export function taggedGrammar(
  functions: Functions,
  format: CallFormat,
  isParallel: boolean,
): GrammarSource & { readonly kind: "parts" } {
  const { open, close } = format;
  const schema = forcedSchema(functions, format, false);
  const call: GrammarPart = { grammar: { kind: "jsonSchema", schema } };
  const between = { all: [LINE_END, close, LINE_END, open, LINE_END] };
  const calls = { repeat: call, between, min: 1, ...(!isParallel && { max: 1 }) };
  return { kind: "parts", parts: { all: [LINE_END, calls, LINE_END, close] } };
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

/** A text in which some names are those of control tokens. */
export function speltBy(text: string, controls: ReadonlySet<string>): GrammarPart {
  if (controls.size === 0) return text;
  const names = [...controls].map(RegExp.escape).join("|");
  const parts = text.split(new RegExp(`(${names})`)).filter((part) => part !== "");
  return { all: parts.map((part) => controls.has(part) ? { token: part } : part) };
}

/** Behind what comes before a function's name: one of the names, then what tags grammars leave. */
export function namesGrammar(functions: Functions, behind: string): GrammarSource {
  const names = functions.map(({ name }) => quoted(name));
  const newLine = behind === "\n" ? '"\\n"' : quoted(behind);
  return { kind: "gbnf", text: `root ::= (${names.join(" | ")}) ${newLine} [^\\x00]*` };
}

/** A text as a terminal of a grammar. */
function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

function callSchemas(
  functions: Functions,
  { nameKey = "name", argumentsKey }: CallFormat,
  definitions: Record<string, unknown>,
) {
  return functions.map(({ name, parameters = { type: "object" } }, index) => ({
    type: "object",
    properties: {
      [nameKey]: { const: name },
      [argumentsKey]: placed(parameters, `function${index}`, definitions),
    },
    required: [nameKey, argumentsKey],
    additionalProperties: false,
  }));
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
