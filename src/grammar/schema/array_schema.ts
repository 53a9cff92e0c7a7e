/** Arrays: the items that the schema lists, then more of one kind, counted. */
import { type Expression, nothing, optional, repeat, sequence, text } from "../expression.ts";
import { REPEAT_MIN_MAX } from "../limits.ts";
import {
  at,
  countOf,
  type SchemaContext,
  schemaError,
  type SchemaObject,
  wordOf,
} from "./schema_types.ts";

/** What an array of the schema looks like. */
export function convertArray(
  context: SchemaContext,
  schema: SchemaObject,
  path: string,
): Expression {
  const { json } = context;
  const min = countOf(schema, "minItems", { path, otherwise: 0 });
  const max = countOf(schema, "maxItems", { path, otherwise: Infinity });
  if (min > max) throw schemaError(at(path, "minItems"), "it is above maxItems: correct it");
  if (min > REPEAT_MIN_MAX) {
    throw schemaError(at(path, "minItems"), `more than ${REPEAT_MIN_MAX}: no answer is as long`);
  }
  if (wordOf(schema, "uniqueItems") === true && max > 1) {
    throw schemaError(at(path, "uniqueItems"), "it is not supported: leave it out");
  }
  const listed = readListed(schema, path).slice(0, max).map((item, index) =>
    sequence(context.convert(item, at(path, "prefixItems", index)), json.space)
  );
  const others = wordOf(schema, "items") ?? true;
  if (Array.isArray(others)) {
    throw schemaError(at(path, "items"), "a list of items is written prefixItems: rename it");
  }
  if (listed.length === 0 && others === true && min === 0 && max === Infinity) return json.array;
  const othersMax = others === false ? 0 : max - listed.length;
  const othersMin = Math.max(0, min - listed.length);
  if (othersMin > othersMax) {
    throw schemaError(at(path, "minItems"), "no more items are allowed: correct it");
  }
  const comma = sequence(text(","), json.space);
  const other = othersMax === 0 ? nothing() : json.shared(
    at(path, "items"),
    sequence(context.convert(others, at(path, "items")), json.space),
  );
  if (listed.length === 0) {
    if (othersMax === 0) return sequence(text("["), json.space, text("]"));
    const more = repeat(sequence(comma, other), Math.max(0, othersMin - 1), othersMax - 1);
    const all = sequence(other, more);
    return sequence(text("["), json.space, min === 0 ? optional(all) : all, text("]"));
  }
  let behind = repeat(sequence(comma, other), othersMin, othersMax);
  for (let index = listed.length - 1; index >= 0; index--) {
    const rest = json.shared(at(path, "prefixItems", index), behind);
    const all = index === 0 ? sequence(listed[index], rest) : sequence(comma, listed[index], rest);
    behind = index < min ? all : optional(all);
  }
  return sequence(text("["), json.space, behind, text("]"));
}

function readListed(schema: SchemaObject, path: string): readonly unknown[] {
  const listed = wordOf(schema, "prefixItems") ?? [];
  if (Array.isArray(listed)) return listed;
  throw schemaError(at(path, "prefixItems"), "it is no list: correct it");
}
