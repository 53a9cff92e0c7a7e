/**
 * Schemas that must all hold, as one: what `allOf`, and what stands beside `$ref` or `anyOf`, comes
 * to. Words that cannot be put together are refused. Knows nothing of references.
 */
import { isJsonObject } from "../../base/json_object.ts";
import {
  AllPatterns,
  at,
  canonical,
  isAnnotation,
  type Schema,
  schemaError,
  type SchemaObject,
  textsOf,
  type TypeName,
  typesOf,
  wordOf,
} from "./schema_types.ts";

/** A schema that holds where both hold. @throws {RequestError} where it cannot be written. */
export function mergeSchemas(a: Schema, b: Schema, path: string): Schema {
  if (a === false || b === false) return false;
  if (a === true) return b;
  if (b === true) return a;
  const merged: Record<string, unknown> = {};
  for (const word of new Set([...Object.keys(a), ...Object.keys(b)])) {
    if (OBJECT_WORDS.has(word)) continue;
    const left = wordOf(a, word);
    const right = wordOf(b, word);
    if (left === undefined || right === undefined) merged[word] = left ?? right;
    else merged[word] = mergeWord(word, [left, right], { a, b, path });
  }
  mergeObjects(a, b, merged, path);
  mergeValues(a, b, merged);
  return Object.hasOwn(merged, "type") && (merged.type as unknown[]).length === 0 ? false : merged;
}

/** Words that only make sense together. */
const OBJECT_WORDS: ReadonlySet<string> = new Set([
  "properties",
  "additionalProperties",
  "const",
  "enum",
]);
const LARGER: ReadonlySet<string> = new Set([
  "minLength",
  "minItems",
  "minProperties",
  "minimum",
  "exclusiveMinimum",
]);
const SMALLER: ReadonlySet<string> = new Set([
  "maxLength",
  "maxItems",
  "maxProperties",
  "maximum",
  "exclusiveMaximum",
]);

/** Patterns of one text. */
const PATTERNS_MAX = 64;

function mergeWord(
  word: string,
  [left, right]: readonly [unknown, unknown],
  { a, b, path }: { a: SchemaObject; b: SchemaObject; path: string },
): unknown {
  if (isAnnotation(word)) return left;
  if (word === "type") return commonTypes(typesOf(a, path)!, typesOf(b, path)!);
  if (word === "required") {
    const here = at(path, word);
    return [...new Set([...textsOf(left, here), ...textsOf(right, here)])];
  }
  if (LARGER.has(word) && isNumber(left) && isNumber(right)) return Math.max(left, right);
  if (SMALLER.has(word) && isNumber(left) && isNumber(right)) return Math.min(left, right);
  if (word === "items" && !wordOf(a, "prefixItems") && !wordOf(b, "prefixItems")) {
    return { allOf: [left, right] };
  }
  if (word === "pattern") {
    const patterns = new AllPatterns([left, right].flatMap(patternsIn));
    if (patterns.sources.length <= PATTERNS_MAX) return patterns;
    throw schemaError(at(path, word), `more than ${PATTERNS_MAX} must hold: leave some out`);
  }
  if (canonical(left) === canonical(right)) return left;
  throw schemaError(at(path, word), "two different ones must both hold: make them one");
}

function patternsIn(pattern: unknown): readonly unknown[] {
  return pattern instanceof AllPatterns ? pattern.sources : [pattern];
}

function commonTypes(a: readonly TypeName[], b: readonly TypeName[]): TypeName[] {
  const covers = (types: readonly TypeName[], type: TypeName) =>
    types.includes(type) || type === "integer" && types.includes("number");
  return [
    ...new Set([...a.filter((type) => covers(b, type)), ...b.filter((type) => covers(a, type))]),
  ];
}

/** Members: what only one schema names must also be what the other allows beside its own. */
function mergeObjects(
  a: SchemaObject,
  b: SchemaObject,
  merged: Record<string, unknown>,
  path: string,
): void {
  const membersA = membersOf(a, path);
  const membersB = membersOf(b, path);
  const othersA = wordOf(a, "additionalProperties");
  const othersB = wordOf(b, "additionalProperties");
  const names = new Set([...Object.keys(membersA), ...Object.keys(membersB)]);
  if (names.size > 0) {
    merged.properties = Object.fromEntries(
      [...names].map((name) => [
        name,
        both(wordOf(membersA, name) ?? othersA, wordOf(membersB, name) ?? othersB),
      ]),
    );
  }
  const others = both(othersA, othersB);
  if (othersA !== undefined || othersB !== undefined) merged.additionalProperties = others;
}

function both(a: unknown, b: unknown): unknown {
  if (a === undefined || a === true) return b ?? true;
  if (b === undefined || b === true) return a;
  return a === false || b === false ? false : { allOf: [a, b] };
}

function membersOf(schema: SchemaObject, path: string): SchemaObject {
  const members = wordOf(schema, "properties") ?? {};
  if (isJsonObject(members)) return members;
  throw schemaError(at(path, "properties"), "it is no object: correct it");
}

/** The values that both lists have. */
function mergeValues(a: SchemaObject, b: SchemaObject, merged: Record<string, unknown>): void {
  const lists = [a, b].flatMap((schema) => {
    const lists: unknown[][] = [];
    if (Object.hasOwn(schema, "const")) lists.push([schema.const]);
    if (Array.isArray(wordOf(schema, "enum"))) lists.push(schema.enum as unknown[]);
    return lists;
  });
  if (lists.length === 0) return;
  const known = lists.map((list) => new Set(list.map(canonical)));
  merged.enum = lists[0].filter((value) => known.every((set) => set.has(canonical(value))));
}

function isNumber(value: unknown): value is number {
  return typeof value === "number";
}
