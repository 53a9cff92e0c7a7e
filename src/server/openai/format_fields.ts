/** The fields that say what an answer must look like. */
import { z } from "zod";
import type { GrammarSource } from "../../llm/types.ts";
import { fieldError } from "../http_errors.ts";
import { optional } from "../parse_fields.ts";

const GRAMMAR_CHARS_MAX = 256 * 1024;

/** A JSON Schema: an object, or a boolean for "all" and "nothing". */
export const jsonSchema = z.union([z.record(z.string(), z.unknown()), z.boolean()]);

/** OpenAI's form, with llama.cpp's `schema` beside `json_object`. */
export const responseFormat = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text") }),
  z.object({ type: z.literal("json_object"), schema: optional(jsonSchema) }),
  z.object({
    type: z.literal("json_schema"),
    json_schema: z.object({
      name: optional(z.string().max(256)),
      description: optional(z.string()),
      schema: optional(jsonSchema),
      strict: optional(z.boolean()),
    }),
  }),
], `expected a type of "text", "json_object" or "json_schema"`);

/** OpenAI's field, and llama.cpp's two. */
export const formatFields = {
  response_format: optional(responseFormat),
  grammar: optional(z.string().max(GRAMMAR_CHARS_MAX)),
  json_schema: optional(jsonSchema),
};

/** What an answer is bound to. */
export interface AnswerFormat {
  /** Left out: nothing. */
  readonly grammar?: GrammarSource;
  /** The same as a JSON Schema, where it is one. */
  readonly schema?: unknown;
}

const ANY_OBJECT = { type: "object" };

/** An answer that follows `schema`. */
export function schemaFormat(schema: unknown): AnswerFormat {
  return { grammar: { kind: "jsonSchema", schema }, schema };
}

/** An answer that is a JSON object. */
export const ANY_JSON_FORMAT: AnswerFormat = schemaFormat(ANY_OBJECT);

/** @throws {RequestError} 400 when more than one of the fields binds the answer. */
export function toAnswerFormat(
  fields: z.infer<z.ZodObject<typeof formatFields>>,
): AnswerFormat {
  const { response_format: format, grammar, json_schema: schema } = fields;
  const all: [string, AnswerFormat][] = [];
  if (format?.type === "json_object") {
    all.push(["response_format", schemaFormat(format.schema ?? ANY_OBJECT)]);
  } else if (format?.type === "json_schema") {
    all.push(["response_format", schemaFormat(format.json_schema.schema ?? ANY_OBJECT)]);
  }
  if (grammar) all.push(["grammar", { grammar: { kind: "gbnf", text: grammar.toWellFormed() } }]);
  if (schema !== undefined) all.push(["json_schema", schemaFormat(schema)]);
  if (all.length > 1) {
    const names = all.map(([name]) => `"${name}"`).join(" and ");
    throw fieldError(all[1][0], `${names} both bind the answer: leave out all but one`);
  }
  return all[0]?.[1] ?? {};
}
