/**
 * Which fields a request's body may have: those of its schema, and those that are said of the
 * schema here. Knows no field itself, and nothing of HTTP.
 */
import { z } from "zod";
import { isJsonObject } from "../base/json_object.ts";
import { nearest } from "../base/nearest.ts";

/** A JSON object as a client sent it. */
export type Body = Readonly<Record<string, unknown>>;

/** Fields that cannot be honoured, by their paths, each with the values that ask for nothing. */
export type UnsupportedFields = Readonly<Record<string, (value: unknown) => boolean>>;

/** What is known of fields that nothing reads. */
export interface OtherFields {
  /** Refused, unless their value asks for nothing. */
  readonly unsupported?: UnsupportedFields;
  /** Paths of fields that an answer is the same without: not needed, and not worth a word. */
  readonly hints?: readonly string[];
}

/** Kept beside the schemas: what they are documented by (`/openapi.json`) is what is read. */
const OTHERS = z.registry<OtherFields>();

/** Says which fields `schema` may have beside its own. */
export function withOthers<T extends z.ZodType>(schema: T, others: OtherFields): T {
  OTHERS.add(schema, others);
  return schema;
}

/** What was said of `schema`. */
export function othersOf(schema: z.ZodType): OtherFields {
  return OTHERS.get(schema) ?? {};
}

/** The value at a path such as "options.mirostat"; undefined where there is none. */
export function valueAt(body: Body, path: string): unknown {
  let value: unknown = body;
  for (const name of path.split(".")) {
    if (!isJsonObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

/**
 * Paths of fields of `body` that `schema` does not know, in the body's order, at most `countMax`.
 * Of objects within it those are looked at whose fields the schema names, but no lists: messages
 * and tools have fields that belong to clients. A field that is null asks for nothing.
 */
export function unknownFields(schema: z.ZodType, body: Body, countMax: number): string[] {
  const { read, others, objects } = knownOf(schema);
  const found: string[] = [];
  const visit = (object: Body, prefix: string) => {
    for (const name of Object.keys(object)) {
      if (found.length === countMax) return;
      const path = prefix + name;
      const value = object[name];
      if (value === null) continue;
      if (objects.has(path)) {
        if (isJsonObject(value)) visit(value, `${path}.`);
      } else if (!read.has(path) && !others.has(path)) found.push(path);
    }
  };
  visit(body, "");
  return found;
}

/** The field that somebody may have meant who wrote `path`; null: none is near. */
export function meantField(schema: z.ZodType, path: string): string | null {
  const paths = [...knownOf(schema).read];
  // At the wrong place, or misspelled.
  return paths.find((each) => lastName(each) === lastName(path)) ?? nearest(path, paths);
}

interface Known {
  /** Paths of what is read. */
  readonly read: ReadonlySet<string>;
  readonly others: ReadonlySet<string>;
  /** Those of `read` that are objects whose fields are named. */
  readonly objects: ReadonlySet<string>;
}

const KNOWN = new WeakMap<z.ZodType, Known>();

function knownOf(schema: z.ZodType): Known {
  const known = KNOWN.get(schema);
  if (known !== undefined) return known;
  const read = new Set<string>();
  const objects = new Set<string>();
  const visit = (object: z.ZodObject, prefix: string) => {
    for (const [name, field] of Object.entries(object.shape)) {
      const path = prefix + name;
      read.add(path);
      const inner = objectWithin(field as z.ZodType);
      if (inner === null) continue;
      objects.add(path);
      visit(inner, `${path}.`);
    }
  };
  const whole = objectWithin(schema);
  if (whole !== null) visit(whole, "");
  const { unsupported = {}, hints = [] } = othersOf(schema);
  const others = new Set([...Object.keys(unsupported), ...hints]);
  const made = { read, others, objects };
  KNOWN.set(schema, made);
  return made;
}

/** The object that a schema is, but for what makes it optional or changes it afterwards. */
function objectWithin(schema: z.ZodType): z.ZodObject | null {
  if (schema instanceof z.ZodObject) return schema;
  if (schema instanceof z.ZodPipe) return objectWithin(schema.in as z.ZodType);
  const isWrapped = schema instanceof z.ZodOptional || schema instanceof z.ZodNullable;
  return isWrapped ? objectWithin(schema.unwrap() as z.ZodType) : null;
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}
