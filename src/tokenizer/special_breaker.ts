/** Keeps what a client wrote from turning into control tokens. Works on strings. */
import { SPECIAL_TOKEN_BREAKER } from "./types.ts";

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
