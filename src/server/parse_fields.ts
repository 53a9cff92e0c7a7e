/** Bodies by their schemas: what is wrong is a 400 that names the field. Knows no field itself. */
import { z } from "zod";
import { isJsonObject } from "../base/json_object.ts";
import { fieldError } from "./http_errors.ts";
import { type Body, othersOf, type UnsupportedFields, valueAt } from "./known_fields.ts";

/** Many clients send null for "not set". */
export function optional<T extends z.ZodType>(schema: T) {
  return schema.nullish().transform((value) => value ?? undefined);
}

/** Levels of nesting beyond which a value is refused: walks over it would overflow the stack. */
const DEPTH_MAX = 64;

/** A JSON object that anything may be in, but not too deep. Its keys are nobody's to look at. */
export const anyObject = z.custom<Record<string, unknown>>(
  isJsonObject,
  "expected an object",
).refine(isShallow, `nests deeper than ${DEPTH_MAX} levels`)
  .meta({ type: "object", additionalProperties: {} });

/** False for a value that nests deeper than any honest one. */
export function isShallow(value: unknown): boolean {
  const open: [value: unknown, depth: number][] = [[value, 0]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [each, depth] = next;
    if (depth > DEPTH_MAX) return false;
    if (typeof each !== "object" || each === null) continue;
    for (const inner of Array.isArray(each) ? each : Object.values(each)) {
      if (typeof inner === "object" && inner !== null) open.push([inner, depth + 1]);
    }
  }
  return true;
}

export interface ListLimits {
  readonly min?: number;
  readonly minMessage?: string;
  readonly max?: number;
}

/**
 * A list whose items are looked at only up to the first one at fault: what is wrong with each of a
 * million others would take the server seconds, and nobody is told of them.
 */
export function listOf<T extends z.ZodType>(item: T, limits: ListLimits = {}) {
  const { min = 0, minMessage, max = Infinity } = limits;
  const { $schema: _version, ...items } = z.toJSONSchema(item, {
    io: "input",
    unrepresentable: "any",
  });
  const some = z.array(z.unknown());
  const enough = min > 0 ? some.min(min, minMessage) : some;
  const list = max < Infinity ? enough.max(max) : enough;
  return list.meta({ items }).transform((values, context): z.output<T>[] => {
    const outputs: z.output<T>[] = [];
    for (const [index, value] of values.entries()) {
      const parsed = item.safeParse(value);
      if (!parsed.success) {
        const { path, message } = deepest(parsed.error.issues[0]);
        context.addIssue({ code: "custom", path: [index, ...path], message });
        return z.NEVER;
      }
      outputs.push(parsed.data);
    }
    return outputs;
  });
}

/**
 * Counts the values of a body: members and items, but for numbers of the lists of ids that a field
 * may be. Stops when there are more than `most`.
 */
export function countValues(body: Body | readonly unknown[], most: number): number {
  let count = 0;
  const open: [value: object, depth: number][] = [[body, 0]];
  for (let next = open.pop(); next !== undefined && count <= most; next = open.pop()) {
    const [value, depth] = next;
    const mayBeIds = Array.isArray(value) && depth <= 2;
    for (const each of Array.isArray(value) ? value : Object.values(value)) {
      if (mayBeIds && typeof each === "number") continue;
      if (++count > most) break;
      if (typeof each === "object" && each !== null) open.push([each, depth + 1]);
    }
  }
  return count;
}

/**
 * Reads `body` by `schema`, and by what is said of it (`withOthers`).
 * @throws {RequestError} 400 that names the first field at fault.
 */
export function parseFields<T extends z.ZodType>(
  schema: T,
  body: Body | readonly unknown[],
): z.output<T> {
  if (!isList(body)) refuseUnsupported(body, othersOf(schema).unsupported ?? {});
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const { path, message } = deepest(parsed.error.issues[0]);
  const name = pathName(path);
  const reason = message.replace(/^Invalid input: /, "").replace(/^Invalid/, "invalid");
  // The body itself is a list at fault.
  if (name === "") throw fieldError(null, `Invalid body: ${reason}`);
  throw fieldError(name, `Invalid value for "${name}": ${reason}`);
}

function isList(body: Body | readonly unknown[]): body is readonly unknown[] {
  return Array.isArray(body);
}

/** `messages[0].content`, as OpenAI writes it. */
export function pathName(path: readonly PropertyKey[]): string {
  return path.reduce<string>((name, key) => {
    if (typeof key === "number") return `${name}[${key}]`;
    return name === "" ? String(key).slice(0, 100) : `${name}.${String(key).slice(0, 100)}`;
  }, "");
}

/** @throws {RequestError} 400 when a field asks for what this server cannot do. */
function refuseUnsupported(body: Body, unsupported: UnsupportedFields): void {
  for (const [path, harmless] of Object.entries(unsupported)) {
    const value = valueAt(body, path);
    if (value === null || value === undefined || harmless(value)) continue;
    throw fieldError(
      path,
      `"${path}" is not supported by this server: leave it out`,
      "unsupported_parameter",
    );
  }
}

/** Values that ask for nothing. */
export const harmless = {
  never: () => false,
  isEmptyList: (value: unknown) => Array.isArray(value) && value.length === 0,
  isOneOf: (...values: readonly unknown[]) => (value: unknown) => values.includes(value),
};

interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** Of a union's branches, the one that fits best fails deepest. */
function deepest(issue: z.core.$ZodIssue): Issue {
  if (issue.code !== "invalid_union") return issue;
  let best: Issue = issue;
  for (const branch of issue.errors) {
    if (branch.length === 0) continue;
    const { path, message } = deepest(branch[0]);
    const whole = { path: [...issue.path, ...path], message };
    if (whole.path.length > best.path.length) best = whole;
  }
  return best;
}
