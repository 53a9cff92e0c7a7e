/**
 * Changes all strings inside what a client sent, so that none turns into control tokens
 * (src/tokenizer/special_breaker.ts). Knows nothing of templates or ids.
 */
import { RequestError } from "../base/errors.ts";

/** Nesting of a client's values beyond which they are refused. */
export const VALUE_DEPTH_MAX = 64;

/**
 * Applies `change` to every string inside plain JSON data, keys included.
 * @throws {RequestError} 400 when `value` nests deeper than any honest request.
 */
export function mapStrings(value: unknown, change: (text: string) => string, depth = 0): unknown {
  if (typeof value === "string") return change(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth === VALUE_DEPTH_MAX) {
    throw new RequestError(
      `Cannot read the messages: a value nests deeper than ${VALUE_DEPTH_MAX} levels: flatten it`,
      { status: 400, code: "invalid_value", param: "messages" },
    );
  }
  if (Array.isArray(value)) return value.map((item) => mapStrings(item, change, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [change(key), mapStrings(item, change, depth + 1)]),
  );
}

/** Whether a template may be given these variables: `mapStrings` would take them, at any size. */
export function areShallow(variables: Readonly<Record<string, unknown>>): boolean {
  let level: unknown[] = [variables];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth === VALUE_DEPTH_MAX) return false;
    level = level.flatMap((each) => Object.values(each as object).filter(isContainer));
  }
  return true;
}

function isContainer(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}
