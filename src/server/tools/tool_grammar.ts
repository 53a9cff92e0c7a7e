/** What an answer with calls of functions is bound to: schemas and grammars. Pure. */
import type { GrammarSource } from "../../llm/types.ts";
import type { CallFormat } from "./call_format.ts";
import { gemmaGrammar } from "./gemma_grammar.ts";
import type { ToolFunction } from "./tool_plan.ts";

type Functions = readonly ToolFunction[];

/** The schema of an answer that is a call, or a list of calls. */
export function forcedSchema(functions: Functions, format: CallFormat, isList: boolean) {
  const definitions: Record<string, unknown> = {};
  const call = anyOf(callSchemas(functions, format, definitions));
  return rooted(isList ? { type: "array", items: call, minItems: 1 } : call, definitions);
}

/** The schema of an answer that is a call, or follows `answer`. */
export function schemaOrCall(functions: Functions, format: CallFormat, answer: unknown) {
  const definitions: Record<string, unknown> = {};
  const calls = callSchemas(functions, format, definitions);
  return rooted(anyOf([...calls, placed(answer, "answer", definitions)]), definitions);
}

/**
 * What holds behind the opening of a call that the model chose to make; null: nothing, for the
 * opening is no text, or calls are no JSON. Names are bound, and arguments to be objects; to their
 * schemas only where one call is all there is, for a schema cannot say what follows it.
 */
export function autoGrammar(
  functions: Functions,
  format: CallFormat,
  isParallel: boolean,
): GrammarSource | null {
  const { open, close, hasPythonCalls, hasGemmaCalls, markup } = format;
  if (hasGemmaCalls) return gemmaGrammar(functions, { format, isParallel, isBegun: false });
  if (open === "" || close === "" || hasPythonCalls || markup) return null;
  if (!isParallel || functions.some(({ strict }) => strict)) {
    return { kind: "jsonSchema", schema: forcedSchema(functions, format, false), trigger: open };
  }
  const names = functions.map(({ name }) => quoted(JSON.stringify(name)));
  return {
    kind: "gbnf",
    trigger: open,
    text: [
      `root ::= ws call ws ${quoted(close)} (ws ${quoted(open)} ws call ws ${quoted(close)})*`,
      `call ::= "{" ws ${quoted('"name"')} ws ":" ws name ws "," ws ` +
      `${quoted(JSON.stringify(format.argumentsKey))} ws ":" ws object ws "}"`,
      `name ::= ${names.join(" | ")}`,
      ...JSON_RULES,
    ].join("\n"),
  };
}

/** Behind what comes before a function's name: one of the names, then what tags grammars leave. */
export function namesGrammar(functions: Functions, behind: string): GrammarSource {
  const names = functions.map(({ name }) => quoted(name));
  const newLine = behind === "\n" ? '"\\n"' : quoted(behind);
  return { kind: "gbnf", text: `root ::= (${names.join(" | ")}) ${newLine} [^\\x00]*` };
}

const JSON_RULES = [
  `value ::= object | array | string | number | "true" | "false" | "null"`,
  `object ::= "{" ws (member (ws "," ws member)*)? ws "}"`,
  `member ::= string ws ":" ws value`,
  `array ::= "[" ws (value (ws "," ws value)*)? ws "]"`,
  `string ::= "\\"" ([^"\\\\\\x00-\\x1f] | "\\\\" (["\\\\/bfnrt] | "u" hex hex hex hex))* "\\""`,
  `hex ::= [0-9a-fA-F]`,
  `number ::= "-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)? ([eE] [-+]? [0-9]+)?`,
  // Without an end, a model in doubt writes white space for ever.
  `ws ::= [ \\t\\n]{0,16}`,
];

/** A text as a terminal of a grammar. */
function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

function callSchemas(
  functions: Functions,
  { argumentsKey }: CallFormat,
  definitions: Record<string, unknown>,
) {
  return functions.map(({ name, parameters = { type: "object" } }, index) => ({
    type: "object",
    properties: {
      name: { const: name },
      [argumentsKey]: placed(parameters, `function${index}`, definitions),
    },
    required: ["name", argumentsKey],
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
