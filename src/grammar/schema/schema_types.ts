/** What a JSON Schema is here: its parts by name, the words it may have, and how it is refused. */
import type { RequestError } from "../../base/errors.ts";
import { isJsonObject } from "../../base/json_object.ts";
import type { Expression } from "../expression.ts";
import type { JsonRules } from "../json_rules.ts";
import { grammarError } from "../limits.ts";

/** A schema as it came, whose words may be anything. */
export type SchemaObject = { readonly [word: string]: unknown };
export type Schema = boolean | SchemaObject;

/** What the parts of the converter have of it. */
export interface SchemaContext {
  readonly json: JsonRules;
  /** What a value must be. path: where the schema is, such as "$.properties.a". */
  convert(schema: unknown, path: string): Expression;
}

export const TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"] as const;
export type TypeName = typeof TYPES[number];

/** Words that say nothing about which values fit. */
const ANNOTATIONS: ReadonlySet<string> = new Set([
  "$schema",
  "$id",
  "$comment",
  "$anchor",
  "$defs",
  "definitions",
  "title",
  "description",
  "default",
  "example",
  "examples",
  "deprecated",
  "readOnly",
  "writeOnly",
  "contentEncoding",
  "contentMediaType",
  "contentSchema",
]);

/** Words that say something about values of one type. */
export const WORDS_OF_TYPE: ReadonlyMap<TypeName, readonly string[]> = new Map([
  ["object", [
    "properties",
    "required",
    "additionalProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
  ]],
  ["array", ["items", "prefixItems", "minItems", "maxItems", "uniqueItems"]],
  ["string", ["minLength", "maxLength", "pattern", "format"]],
  ["number", [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
  ]],
]);

/** What `pattern` becomes where several must match: no schema from outside has one. */
export class AllPatterns {
  readonly sources: readonly unknown[];

  constructor(sources: readonly unknown[]) {
    this.sources = [...new Set(sources)];
  }
}

/** A schema that cannot be followed. what: what of it, and what to do about it. */
export function schemaError(path: string, what: string): RequestError {
  const short = path.length > 200 ? `${path.slice(0, 90)} … ${path.slice(-90)}` : path;
  return grammarError(`Cannot use the schema at "${short}": ${what}`);
}

/** The path of a member. */
export function at(path: string, ...members: readonly (string | number)[]): string {
  return members.reduce<string>((sum, each) => `${sum}.${each}`, path);
}

/** True for words that no converter looks at. */
export function isAnnotation(word: string): boolean {
  return ANNOTATIONS.has(word) || word.startsWith("x-");
}

/** The member of a schema, when it is its own. */
export function wordOf(schema: SchemaObject, word: string): unknown {
  return Object.hasOwn(schema, word) ? schema[word] : undefined;
}

/** A count among a schema's words, or what stands for one that is left out. */
export function countOf(
  schema: SchemaObject,
  word: string,
  of: { path: string; otherwise: number },
): number {
  const value = wordOf(schema, word);
  if (value === undefined) return of.otherwise;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw schemaError(at(of.path, word), "it is no whole number of at least 0: correct it");
}

/** Texts among a schema's words. */
export function textsOf(value: unknown, path: string): readonly string[] {
  if (Array.isArray(value) && value.every((each) => typeof each === "string")) return value;
  throw schemaError(path, "it is no list of texts: correct it");
}

/** The types that a schema names; null where it names none. */
export function typesOf(schema: SchemaObject, path: string): readonly TypeName[] | null {
  const type = wordOf(schema, "type");
  if (type === undefined) return null;
  const names = Array.isArray(type) ? type : [type];
  for (const name of names) {
    if (!(TYPES as readonly unknown[]).includes(name)) {
      throw schemaError(at(path, "type"), `it is none of ${TYPES.join(", ")}: correct it`);
    }
  }
  return names as TypeName[];
}

/** The type of a JSON value; whole numbers are integers. */
export function typeOfValue(value: unknown): TypeName {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value as "object" | "string" | "boolean";
}

export function isOfTypes(value: unknown, types: readonly TypeName[]): boolean {
  const type = typeOfValue(value);
  return types.includes(type) || type === "integer" && types.includes("number");
}

/** A value as it is compared: members in the order of their names. */
export function canonical(value: unknown): string {
  return JSON.stringify(
    value,
    (_, each) =>
      isJsonObject(each)
        ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => a < b ? -1 : 1))
        : each,
  );
}
