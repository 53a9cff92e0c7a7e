/**
 * What a function's schema says of an argument that a model wrote as plain text: which types of
 * JSON it may be. Pure; judges nothing.
 */
import type { Body } from "../known_fields.ts";

/** References within references. */
const DEPTH_MAX = 8;

/**
 * The types of argument `key` where it was written so: "string", "integer", …; undefined: the
 * schema says nothing.
 */
export function argumentTypes(
  parameters: Body | undefined,
  key: string,
  written: string,
): readonly unknown[] | undefined {
  const schema = ownMember(parameters?.properties, key);
  return typesOf(schema, { root: parameters, written, depth: 0 });
}

/** It is a text of a list, even where it looks like a number of the same list. */
const LISTED: readonly unknown[] = ["string"];

interface Context {
  readonly root: unknown;
  readonly written: string;
  readonly depth: number;
}

function typesOf(schema: unknown, context: Context): readonly unknown[] | undefined {
  if (!isObject(schema) || context.depth > DEPTH_MAX) return undefined;
  const inner = { ...context, depth: context.depth + 1 };
  if (typeof schema.$ref === "string") return typesOf(target(context.root, schema.$ref), inner);
  const values = Object.hasOwn(schema, "const") ? [schema.const] : schema.enum;
  if (Array.isArray(values)) return values.includes(context.written) ? LISTED : kindsOf(values);
  if (schema.type !== undefined) return [schema.type].flat();
  const parts = [schema.anyOf, schema.oneOf, schema.allOf].find(Array.isArray);
  const types = parts?.map((each) => typesOf(each, inner) ?? []) ?? [];
  const all = types.includes(LISTED) ? LISTED : types.flat();
  return all.length === 0 ? undefined : all;
}

function kindsOf(values: readonly unknown[]): readonly string[] {
  return values.map((value) =>
    value === null ? "null" : Array.isArray(value) ? "array" : typeof value
  );
}

/** What "#/$defs/Color" names; undefined: nothing. */
function target(root: unknown, pointer: string): unknown {
  if (!pointer.startsWith("#/")) return undefined;
  const names = pointer.slice(2).split("/");
  return names.reduce(
    (found, name) => ownMember(found, name.replaceAll("~1", "/").replaceAll("~0", "~")),
    root,
  );
}

function ownMember(value: unknown, key: string): unknown {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
