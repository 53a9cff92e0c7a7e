/**
 * JSON Schema → rules whose sentences are JSON that the schema accepts: not all of it, but nothing
 * else. What a schema asks for and this cannot promise is refused with the path of the word.
 */
import { isJsonObject } from "../../base/json_object.ts";
import { choice, type Expression, never, ref, tooLarge, words } from "../expression.ts";
import type { JsonRules } from "../json_rules.ts";
import type { GrammarLimits } from "../limits.ts";
import { findOverlap } from "./alternatives.ts";
import { convertArray } from "./array_schema.ts";
import { mergeSchemas } from "./merge_schemas.ts";
import { convertObject } from "./object_schema.ts";
import {
  at,
  isAnnotation,
  isOfTypes,
  type Schema,
  type SchemaContext,
  schemaError,
  type SchemaObject,
  type TypeName,
  TYPES,
  typesOf,
  wordOf,
  WORDS_OF_TYPE,
} from "./schema_types.ts";
import { convertNumber } from "./number_schema.ts";
import { convertString } from "./text_schema.ts";

/**
 * Adds the rules of a schema to those of JSON. @returns the number of the one for the whole value.
 * @throws {RequestError} 400 with the path of what is wrong, or not supported.
 */
export function convertSchema(schema: unknown, json: JsonRules): number {
  return new SchemaConverter(schema, json).run();
}

/** Ways in which a schema with `anyOf` inside `allOf` may be read. */
const READINGS_MAX = 256;
/** Words of this file; the others belong to types. */
const COMBINING = ["$ref", "allOf", "anyOf", "oneOf"];
const KNOWN: ReadonlySet<string> = new Set([
  ...COMBINING,
  "type",
  "enum",
  "const",
  ...[...WORDS_OF_TYPE.values()].flat(),
]);

/** A reference that is still to be converted. */
interface Pending {
  readonly rule: number;
  readonly pointer: string;
}

class SchemaConverter implements SchemaContext {
  readonly json: JsonRules;
  readonly #root: unknown;
  readonly #limits: GrammarLimits;
  readonly #references = new Map<string, number>();
  readonly #pending: Pending[] = [];
  #depth = 0;
  #seen = 0;

  constructor(root: unknown, json: JsonRules) {
    this.#root = root;
    this.#limits = json.book.limits;
    this.json = json;
  }

  run(): number {
    this.#reference("#", "$");
    // Rules of references are made one after the other: a chain of them takes no stack.
    for (let next = this.#pending.pop(); next !== undefined; next = this.#pending.pop()) {
      const { rule, pointer } = next;
      const path = pointer === "#" ? "$" : pointer.replace("#", "$").replaceAll("/", ".");
      this.json.book.define(rule, this.convert(this.#find(pointer, path), path));
    }
    return this.#references.get("#")!;
  }

  convert(schema: unknown, path: string): Expression {
    this.#look(path);
    if (++this.#depth > this.#limits.depth) {
      throw schemaError(path, `schemas are nested deeper than ${this.#limits.depth}: flatten it`);
    }
    try {
      return this.#convertAny(schema, path);
    } finally {
      this.#depth--;
    }
  }

  /** Every schema that is looked at counts. */
  #look(path: string): void {
    if (++this.#seen <= this.#limits.schemas) return;
    throw schemaError(path, `more than ${this.#limits.schemas} schemas would be looked at: cut it`);
  }

  #convertAny(schema: unknown, path: string): Expression {
    if (schema === true) return this.json.value;
    if (schema === false) return never();
    const object = asObject(schema, path);
    checkWords(object, path);
    const parts = COMBINING.filter((word) => Object.hasOwn(object, word));
    const isAlone = Object.keys(object).every((word) =>
      isAnnotation(word) || COMBINING.includes(word)
    );
    // The usual cases keep references as rules; the others are written out.
    if (parts.length === 1 && isAlone) {
      const [word] = parts;
      if (word === "$ref") return this.#reference(object.$ref, at(path, word));
      const branches = listOf(object, word, path);
      if (word === "oneOf") this.#checkApart(branches, at(path, word));
      if (word !== "allOf" || branches.length === 1) {
        return choice(...branches.map((each, i) => this.convert(each, at(path, word, i))));
      }
    }
    if (parts.length === 0) return this.#convertFlat(object, path);
    const readings = this.#readings(object, path, 0);
    return choice(...readings.map((each) => this.#convertReading(each, path)));
  }

  #convertReading(schema: Schema, path: string): Expression {
    if (typeof schema === "boolean") return schema ? this.json.value : never();
    return this.#convertFlat(schema, path);
  }

  #convertFlat(schema: SchemaObject, path: string): Expression {
    checkWords(schema, path);
    const types = typesOf(schema, path);
    const values = valuesOf(schema, path);
    if (values !== null) return this.#values(schema, values, { types, path });
    const meant = types ?? typesByWords(schema);
    const parts = [...new Set(meant)].map((type) => this.#convertType(type, schema, path));
    return choice(...parts);
  }

  #convertType(type: TypeName, schema: SchemaObject, path: string): Expression {
    const { json } = this;
    if (type === "object") return json.shared(path, convertObject(this, schema, path));
    if (type === "array") return json.shared(path, convertArray(this, schema, path));
    if (type === "string") return json.shared(path, convertString(this, schema, path));
    if (type === "boolean") return json.boolean;
    if (type === "null") return json.null;
    return convertNumber(this, schema, { isInteger: type === "integer", path });
  }

  /** Values that are listed, each spelt in one way. */
  #values(
    schema: SchemaObject,
    values: readonly unknown[],
    { types, path }: { types: readonly TypeName[] | null; path: string },
  ): Expression {
    const other = Object.keys(schema).find((word) =>
      !isAnnotation(word) && !["type", "enum", "const"].includes(word)
    );
    if (other !== undefined) {
      throw schemaError(at(path, other), "it is not supported beside enum or const: leave it out");
    }
    const fitting = types === null ? values : values.filter((value) => isOfTypes(value, types));
    if (fitting.length === 0) throw schemaError(path, "no value of its list fits: correct it");
    return words(fitting.map((value) => JSON.stringify(value)));
  }

  #reference(target: unknown, path: string): Expression {
    const pointer = pointerOf(target, path);
    let rule = this.#references.get(pointer);
    if (rule === undefined) {
      rule = this.json.book.add(pointer);
      this.#references.set(pointer, rule);
      this.#find(pointer, path); // missing ones are reported where they are named
      this.#pending.push({ rule, pointer });
    }
    return ref(rule);
  }

  /** What a pointer such as "#/$defs/a" names. */
  #find(pointer: string, path: string): unknown {
    let found: unknown = this.#root;
    for (const part of pointer.split("/").slice(1)) {
      const name = unescaped(part);
      const isThere = typeof found === "object" && found !== null && Object.hasOwn(found, name);
      if (!isThere) throw schemaError(path, `nothing is at "${pointer.slice(0, 80)}": correct it`);
      found = (found as Record<string, unknown>)[name];
    }
    return found;
  }

  /** A schema with references, allOf, anyOf, oneOf as schemas without, one of which must hold. */
  #readings(schema: unknown, path: string, depth: number): Schema[] {
    this.#look(path);
    if (typeof schema === "boolean") return [schema];
    if (depth > this.#limits.depth) {
      throw schemaError(path, "its parts refer to each other without end: break the circle");
    }
    const object = asObject(schema, path);
    checkWords(object, path);
    const rest = Object.entries(object).filter(([word]) => !COMBINING.includes(word));
    let readings: Schema[] = [Object.fromEntries(rest)];
    const mustAll = (word: string, each: unknown) => {
      readings = this.#crossed(readings, this.#readings(each, at(path, word), depth + 1), path);
    };
    if (Object.hasOwn(object, "$ref")) {
      const here = at(path, "$ref");
      mustAll("$ref", this.#find(pointerOf(object.$ref, here), here));
    }
    if (Object.hasOwn(object, "allOf")) {
      for (const each of listOf(object, "allOf", path)) mustAll("allOf", each);
    }
    for (const word of ["anyOf", "oneOf"]) {
      if (!Object.hasOwn(object, word)) continue;
      const branches = listOf(object, word, path);
      if (word === "oneOf") this.#checkApart(branches, at(path, word));
      const all = branches.flatMap((each, i) => this.#readings(each, at(path, word, i), depth + 1));
      readings = this.#crossed(readings, all, path);
    }
    return readings;
  }

  #crossed(some: readonly Schema[], others: readonly Schema[], path: string): Schema[] {
    if (some.length * others.length > READINGS_MAX) throw tooLarge(`${READINGS_MAX} readings`);
    const merged = some.flatMap((a) => others.map((b) => mergeSchemas(a, b, path)));
    const possible = merged.filter((each) => each !== false);
    return possible.length === 0 ? [false] : possible;
  }

  #checkApart(branches: readonly unknown[], path: string): void {
    if (branches.length > 100) throw schemaError(path, "more than 100 schemas: use anyOf");
    const overlap = findOverlap(branches, (schema) => this.#resolved(schema, path));
    if (overlap === null) return;
    throw schemaError(
      path,
      `a value may fit both its schemas ${overlap[0]} and ${overlap[1]}: use anyOf, or a ` +
        "required member whose const tells them apart",
    );
  }

  /** A schema without the references it consists of; null where there are too many. */
  #resolved(schema: unknown, path: string): Schema | null {
    let found = schema;
    for (let i = 0; i < 16; i++) {
      if (typeof found === "boolean") return found;
      const object = asObject(found, path);
      if (!Object.hasOwn(object, "$ref")) return object;
      found = this.#find(pointerOf(object.$ref, path), path);
    }
    return null;
  }
}

function asObject(schema: unknown, path: string): SchemaObject {
  if (isJsonObject(schema)) return schema;
  throw schemaError(path, "it is no schema, which is an object, true or false: correct it");
}

function checkWords(schema: SchemaObject, path: string): void {
  const unknown = Object.keys(schema).find((word) => !KNOWN.has(word) && !isAnnotation(word));
  if (unknown === undefined) return;
  throw schemaError(at(path, unknown), "this word is not supported: leave it out");
}

function listOf(schema: SchemaObject, word: string, path: string): readonly unknown[] {
  const list = wordOf(schema, word);
  if (Array.isArray(list) && list.length > 0) return list;
  throw schemaError(at(path, word), "it is no list of schemas: correct it");
}

function valuesOf(schema: SchemaObject, path: string): readonly unknown[] | null {
  if (Object.hasOwn(schema, "const")) return [schema.const];
  const values = wordOf(schema, "enum");
  if (values === undefined || Array.isArray(values)) return values ?? null;
  throw schemaError(at(path, "enum"), "it is no list of values: correct it");
}

/** The types that a schema without a type speaks about; all when it speaks about none. */
function typesByWords(schema: SchemaObject): readonly TypeName[] {
  const meant = [...WORDS_OF_TYPE].filter(([, list]) =>
    list.some((word) => Object.hasOwn(schema, word))
  );
  return meant.length === 0
    ? TYPES.filter((type) => type !== "integer")
    : meant.map(([type]) => type);
}

function pointerOf(target: unknown, path: string): string {
  if (typeof target === "string" && /^#(\/|$)/.test(target)) return target.replace(/\/$/, "");
  throw schemaError(path, 'only references within the schema ("#", "#/…") are supported');
}

function unescaped(part: string): string {
  let text = part;
  try {
    text = decodeURIComponent(part);
  } catch {
    // No escape after all.
  }
  return text.replaceAll("~1", "/").replaceAll("~0", "~");
}
