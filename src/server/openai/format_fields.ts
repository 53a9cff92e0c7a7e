/** The fields that say what an answer must look like. */
import { z } from "zod";
import type { GrammarSource } from "../../llm/types.ts";
import { fieldError } from "../http_errors.ts";
import { anyObject, optional } from "../parse_fields.ts";

const GRAMMAR_CHARS_MAX = 256 * 1024;

/** A JSON Schema: an object, or a boolean for "all" and "nothing". */
export const jsonSchema = z.union([anyObject, z.boolean()]);

/** OpenAI's form, with llama.cpp's `schema` beside `json_object`. */
const responseFormat = z.discriminatedUnion("type", [
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
  /** The field that it came from. */
  readonly param?: string;
}

const ANY_OBJECT = { type: "object" };

/** An answer that follows `schema`. */
export function schemaFormat(schema: unknown, param: string): AnswerFormat {
  return { grammar: { kind: "jsonSchema", schema }, schema, param };
}

/** An answer that is a JSON object. */
export const ANY_JSON_FORMAT: AnswerFormat = { grammar: { kind: "json" }, schema: ANY_OBJECT };

/** @throws {RequestError} 400 when more than one of the fields binds the answer. */
export function toAnswerFormat(
  fields: Partial<z.infer<z.ZodObject<typeof formatFields>>>,
): AnswerFormat {
  const { response_format: format, grammar, json_schema: schema } = fields;
  const all: AnswerFormat[] = [];
  const add = (of: AnswerFormat, param: string) => all.push({ ...of, param });
  if (format !== undefined && format.type !== "text") {
    const wanted = format.type === "json_object" ? format.schema : format.json_schema.schema;
    const name = "response_format";
    add(wanted === undefined ? ANY_JSON_FORMAT : schemaFormat(wanted, name), name);
  }
  if (grammar) add({ grammar: { kind: "gbnf", text: grammar.toWellFormed() } }, "grammar");
  if (schema !== undefined) all.push(schemaFormat(schema, "json_schema"));
  if (all.length > 1) {
    const names = all.map(({ param }) => `"${param}"`).join(" and ");
    throw fieldError(all[1].param!, `${names} both bind the answer: leave out all but one`);
  }
  return all[0] ?? {};
}
