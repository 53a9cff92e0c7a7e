/** Strings and numbers: lengths, patterns, formats, bounds. */
import type { Expression } from "../expression.ts";
import { sequence, text } from "../expression.ts";
import { REPEAT_MIN_MAX } from "../limits.ts";
import { type Bound, numbersBetween, RANGE_END } from "./decimal_range.ts";
import { FORMATS, OTHER_FORMATS } from "./formats.ts";
import { PatternError, readPattern } from "./regular_expression.ts";
import {
  at,
  countOf,
  type SchemaContext,
  schemaError,
  type SchemaObject,
  wordOf,
} from "./schema_types.ts";

/** What a string of the schema looks like, with its quotes. */
export function convertString(
  { json }: SchemaContext,
  schema: SchemaObject,
  path: string,
): Expression {
  const min = countOf(schema, "minLength", { path, otherwise: 0 });
  const max = countOf(schema, "maxLength", { path, otherwise: Infinity });
  if (min > max) throw schemaError(at(path, "minLength"), "it is above maxLength: correct it");
  if (min > REPEAT_MIN_MAX) {
    throw schemaError(at(path, "minLength"), `more than ${REPEAT_MIN_MAX}: no answer is as long`);
  }
  const found = patternOf(schema, path);
  if (found === null) return min === 0 && max === Infinity ? json.string : json.stringOf(min, max);
  const [word, pattern] = found;
  try {
    const read = readPattern(pattern, (set) => {
      const part = json.characterOf(set);
      return part.size <= 40 ? part : json.once(`characters ${set.join()}`, () => part);
    });
    if (read.min < min || read.max > max) {
      throw new PatternError("its matches are not sure to keep to minLength and maxLength");
    }
    return sequence(text('"'), json.shared(at(path, word), read.expression), text('"'));
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    throw schemaError(at(path, word), `${error.message}: change it or leave it out`);
  }
}

/**
 * The pattern that strings must match, and the word that says so; null: there is none. A pattern
 * of the whole text (zod writes one beside every format) says all that a format would; a format
 * that JSON Schema does not define asks for nothing.
 */
function patternOf(schema: SchemaObject, path: string): readonly [string, string] | null {
  const pattern = wordOf(schema, "pattern");
  const format = wordOf(schema, "format");
  if (format !== undefined && typeof format !== "string") {
    throw schemaError(at(path, "format"), "it is no text: correct it");
  }
  if (pattern !== undefined) {
    if (typeof pattern !== "string") {
      throw schemaError(at(path, "pattern"), "it is no text: correct it");
    }
    const isWhole = pattern.startsWith("^") && pattern.endsWith("$");
    if (isWhole || format === undefined || !isDefined(format)) return ["pattern", pattern];
    throw schemaError(
      at(path, "format"),
      "it is not supported beside a pattern that does not say the whole text, from ^ to $: " +
        "leave out one",
    );
  }
  if (format === undefined || !isDefined(format)) return null;
  const known = FORMATS.get(format);
  if (known !== undefined) return ["format", known];
  throw schemaError(
    at(path, "format"),
    `${JSON.stringify(format)} is none of ${[...FORMATS.keys()].join(", ")}: leave it out`,
  );
}

/** Whether a checker may hold an answer to it. */
function isDefined(format: string): boolean {
  return FORMATS.has(format) || OTHER_FORMATS.has(format);
}

/** What a number of the schema looks like. */
export function convertNumber(
  { json }: SchemaContext,
  schema: SchemaObject,
  of: { isInteger: boolean; path: string },
): Expression {
  const { isInteger, path } = of;
  const multiple = wordOf(schema, "multipleOf");
  if (multiple !== undefined && !(multiple === 1 && isInteger)) {
    throw schemaError(at(path, "multipleOf"), "only 1, of integers, is supported: leave it out");
  }
  const low = tighter(schema, path, { words: ["minimum", "exclusiveMinimum"], sign: 1 });
  const high = tighter(schema, path, { words: ["maximum", "exclusiveMaximum"], sign: -1 });
  if (low === null && high === null) return isInteger ? json.integer : json.number;
  const from = isInteger ? inward(low, 1) : low;
  const to = isInteger ? inward(high, -1) : high;
  if (from !== null && from.value >= RANGE_END || to !== null && to.value <= -RANGE_END) {
    throw schemaError(path, `numbers beyond ${RANGE_END} are not supported: move the bound`);
  }
  const isEmpty = from !== null && to !== null &&
    (from.value > to.value || from.value === to.value && (from.isOpen || to.isOpen));
  if (isEmpty) throw schemaError(path, "no number is within its bounds: correct them");
  const range = numbersBetween({ low: from, high: to, isInteger });
  if (range !== null) return json.shared(path, range);
  throw schemaError(path, "a bound has more than 15 digits before or behind its point: round it");
}

/** The bound that says more; sign: 1 of a lower bound, -1 of an upper one. */
function tighter(
  schema: SchemaObject,
  path: string,
  { words, sign }: { words: readonly [string, string]; sign: 1 | -1 },
): Bound | null {
  const bounds = words.flatMap((word, index) => {
    const value = wordOf(schema, word);
    if (value === undefined) return [];
    if (typeof value === "number" && Number.isFinite(value)) {
      return [{ value, isOpen: index === 1 }];
    }
    throw schemaError(at(path, word), "it is no number: correct it");
  });
  if (bounds.length < 2) return bounds[0] ?? null;
  const [closed, open] = bounds;
  return sign * open.value >= sign * closed.value ? open : closed;
}

/** The integer that is the first within a bound. */
function inward(bound: Bound | null, sign: 1 | -1): Bound | null {
  if (bound === null) return null;
  const { value, isOpen } = bound;
  const whole = sign * Math.ceil(sign * value);
  return { value: whole === value && isOpen ? value + sign : whole, isOpen: false };
}
