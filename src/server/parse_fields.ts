/** Bodies by their schemas: what is wrong is a 400 that names the field. Knows no field itself. */
import { z } from "zod";
import { fieldError } from "./http_errors.ts";
import { type Body, othersOf, type UnsupportedFields, valueAt } from "./known_fields.ts";

/** Many clients send null for "not set". */
export function optional<T extends z.ZodType>(schema: T) {
  return schema.nullish().transform((value) => value ?? undefined);
}

/** Levels of nesting beyond which a value is refused: walks over it would overflow the stack. */
const DEPTH_MAX = 64;

/** A JSON object that anything may be in, but not too deep. */
export const anyObject = z.record(z.string(), z.unknown())
  .refine(isShallow, `nests deeper than ${DEPTH_MAX} levels`);

/** False for a value that nests deeper than any honest one. */
export function isShallow(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > DEPTH_MAX) return false;
    level = level.flatMap((each) =>
      typeof each === "object" && each !== null ? Object.values(each) : []
    );
  }
  return true;
}

/**
 * Reads `body` by `schema`, and by what is said of it (`withOthers`).
 * @throws {RequestError} 400 that names the first field at fault.
 */
export function parseFields<T extends z.ZodType>(schema: T, body: Body): z.output<T> {
  refuseUnsupported(body, othersOf(schema).unsupported ?? {});
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const { path, message } = deepest(parsed.error.issues[0]);
  const name = pathName(path);
  const reason = message.replace(/^Invalid input: /, "").replace(/^Invalid/, "invalid");
  throw fieldError(name, `Invalid value for "${name}": ${reason}`);
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
