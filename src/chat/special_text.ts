/**
 * Keeps what a client wrote from turning into control tokens. Works on strings; knows nothing of
 * templates or ids. The tokenizer drops the breaker after it has looked for special tokens.
 */
import { RequestError } from "../base/errors.ts";
import { SPECIAL_TOKEN_BREAKER } from "../tokenizer/types.ts";

/** Nesting of a client's values beyond which they are refused. */
const VALUE_DEPTH_MAX = 64;

/**
 * Makes a function that returns `text` well-formed, with SPECIAL_TOKEN_BREAKER after the first
 * character of every place where one of `specialTexts` is spelled, overlapping ones included. A
 * one-character special text has no inside to break and is left alone.
 */
export function createSpecialTextBreaker(
  specialTexts: readonly string[],
): (text: string) => string {
  const breakable = specialTexts.filter((text) => [...text].length > 1);
  if (breakable.length === 0) return (text) => text.toWellFormed();
  // The look-ahead consumes one character only, so "ab" and "bc" are both found in "abc".
  const spelled = new RegExp(`(?=${breakable.map(RegExp.escape).join("|")}).`, "gsu");
  return (text) => text.toWellFormed().replace(spelled, `$&${SPECIAL_TOKEN_BREAKER}`);
}

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
