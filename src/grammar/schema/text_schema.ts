/** Strings: lengths, patterns, formats. */
import { ANY_CODE_POINT, type CodePoints } from "../code_points.ts";
import { type Expression, sequence, text } from "../expression.ts";
import { REPEAT_MIN_MAX } from "../limits.ts";
import { FORMATS, OTHER_FORMATS } from "./formats.ts";
import { automatonText } from "./automaton_text.ts";
import { LanguageError, Languages } from "./languages.ts";
import { patternLanguage, patternText } from "./pattern_text.ts";
import { PatternError, readPattern } from "./regular_expression.ts";
import {
  AllPatterns,
  at,
  countOf,
  type SchemaContext,
  schemaError,
  type SchemaObject,
  wordOf,
} from "./schema_types.ts";

/** What a string of the schema looks like, with its quotes. */
export function convertString(
  context: SchemaContext,
  schema: SchemaObject,
  path: string,
): Expression {
  const min = countOf(schema, "minLength", { path, otherwise: 0 });
  const max = countOf(schema, "maxLength", { path, otherwise: Infinity });
  if (min > max) throw schemaError(at(path, "minLength"), "it is above maxLength: correct it");
  if (min > REPEAT_MIN_MAX) {
    throw schemaError(at(path, "minLength"), `more than ${REPEAT_MIN_MAX}: no answer is as long`);
  }
  const { json } = context;
  const found = patternsOf(schema, path);
  if (found === null) return min === 0 && max === Infinity ? json.string : json.stringOf(min, max);
  const { word, patterns } = found;
  try {
    const body = matching(context, patterns, { min, max });
    return sequence(text('"'), json.shared(at(path, word), body), text('"'));
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    throw schemaError(at(path, word), `${error.message}: change it or leave it out`);
  }
}

/**
 * What stands between the quotes of strings that match all patterns.
 * @throws {PatternError} where there are none, or that would be too large.
 */
function matching(
  { json }: SchemaContext,
  sources: readonly string[],
  { min, max }: { readonly min: number; readonly max: number },
): Expression {
  const characterOf = (set: CodePoints) => {
    const part = json.characterOf(set);
    return part.size <= 40 ? part : json.once(`characters ${set.join()}`, () => part);
  };
  const patterns = sources.map(readPattern);
  const only = patterns.length === 1 ? patternText(patterns[0], characterOf) : null;
  if (only !== null && only.min >= min && only.max <= max) return only.expression;
  const name = `texts ${JSON.stringify([sources, min, `${max}`])}`;
  return json.once(name, () => {
    const languages = new Languages(json.automata);
    try {
      const length = languages.repeat(languages.set(ANY_CODE_POINT), min, max);
      const all = patterns.map((each) => patternLanguage(each, languages));
      const automaton = languages.automatonOf(languages.and(length, ...all));
      if (automaton.states.length === 0) throw new PatternError("no text is all that is asked for");
      return automatonText(json, automaton, characterOf);
    } catch (error) {
      if (!(error instanceof LanguageError)) throw error;
      const what = only === null
        ? "it looks ahead, or there are several"
        : "its matches are not sure to keep to minLength and maxLength";
      throw new PatternError(`${what}, which takes ${error.message}`);
    }
  });
}

/**
 * The patterns that strings must match, and the word that says so; null: there is none. A pattern
 * of the whole text (zod writes one beside every format) says all that a format would; a format
 * that JSON Schema does not define asks for nothing.
 */
function patternsOf(
  schema: SchemaObject,
  path: string,
): { readonly word: string; readonly patterns: readonly string[] } | null {
  const pattern = wordOf(schema, "pattern");
  const format = wordOf(schema, "format");
  if (format !== undefined && typeof format !== "string") {
    throw schemaError(at(path, "format"), "it is no text: correct it");
  }
  const own = pattern === undefined ? [] : [pattern];
  const patterns = pattern instanceof AllPatterns ? pattern.sources : own;
  if (!patterns.every((each) => typeof each === "string")) {
    throw schemaError(at(path, "pattern"), "it is no text: correct it");
  }
  const isWhole = patterns.some((each) => each.startsWith("^") && each.endsWith("$"));
  if (isWhole || format === undefined || !isDefined(format)) {
    return patterns.length === 0 ? null : { word: "pattern", patterns };
  }
  const known = FORMATS.get(format);
  if (known !== undefined) {
    return { word: patterns.length === 0 ? "format" : "pattern", patterns: [...patterns, known] };
  }
  throw schemaError(
    at(path, "format"),
    `${JSON.stringify(format)} is none of ${[...FORMATS.keys()].join(", ")}: leave it out`,
  );
}

/** Whether a checker may hold an answer to it. */
function isDefined(format: string): boolean {
  return FORMATS.has(format) || OTHER_FORMATS.has(format);
}
