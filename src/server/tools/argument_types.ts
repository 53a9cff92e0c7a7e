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

/** What an argument between tags may be. */
export type ArgumentValues =
  /** isSure: it is a text; else it may be one. */
  | { readonly kind: "text"; readonly isSure: boolean }
  /** JSON, by a schema that stands alone. */
  | { readonly kind: "json"; readonly schema: unknown }
  | { readonly kind: "listed"; readonly values: readonly unknown[] };

/** What the function's schema says of an argument whose own schema is `schema`. */
export function argumentValues(parameters: unknown, schema: unknown): ArgumentValues {
  const types = typesOf(schema, { root: parameters, written: undefined, depth: 0 });
  const own = followed(schema, parameters);
  if (isObject(schema) && isObject(own) && types !== undefined) {
    const values = listOf(own);
    if (values !== null) return { kind: "listed", values };
    if (!types.includes("string")) {
      const root = isObject(parameters) ? parameters : {};
      const definitions = ["$defs", "definitions"].filter((key) => Object.hasOwn(root, key));
      return {
        kind: "json",
        schema: { ...schema, ...Object.fromEntries(definitions.map((key) => [key, root[key]])) },
      };
    }
  }
  return { kind: "text", isSure: types?.every((each) => each === "string") ?? false };
}

interface Context {
  readonly root: unknown;
  /** Undefined: nobody knows. */
  readonly written: string | undefined;
  readonly depth: number;
}

function typesOf(given: unknown, context: Context): readonly unknown[] | undefined {
  const schema = followed(given, context.root);
  if (!isObject(schema) || context.depth > DEPTH_MAX) return undefined;
  const inner = { ...context, depth: context.depth + 1 };
  const values = listOf(schema);
  if (values !== null) return values.includes(context.written) ? LISTED : kindsOf(values);
  if (schema.type !== undefined) return [schema.type].flat();
  const parts = [schema.anyOf, schema.oneOf, schema.allOf].find(Array.isArray);
  const types = parts?.map((each) => typesOf(each, inner) ?? []) ?? [];
  const all = types.includes(LISTED) ? LISTED : types.flat();
  return all.length === 0 ? undefined : all;
}

function listOf(schema: Readonly<Record<string, unknown>>): readonly unknown[] | null {
  if (Object.hasOwn(schema, "const")) return [schema.const];
  return Array.isArray(schema.enum) ? schema.enum : null;
}

function kindsOf(values: readonly unknown[]): readonly string[] {
  return values.map((value) =>
    value === null ? "null" : Array.isArray(value) ? "array" : typeof value
  );
}

/** The schema that a reference means; undefined: none. */
function followed(schema: unknown, root: unknown): unknown {
  let found = schema;
  for (let depth = 0; depth <= DEPTH_MAX; depth++) {
    if (!isObject(found) || typeof found.$ref !== "string") return found;
    found = target(root, found.$ref);
  }
  return undefined;
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
