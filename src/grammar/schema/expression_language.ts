/** An expression of ASCII as a language: what numbers look like. */
import { codePoints } from "../code_points.ts";
import { check } from "../../base/check.ts";
import type { Expression, RuleBook } from "../expression.ts";
import { REPEAT_MAX } from "../limits.ts";
import type { Language, Languages } from "./languages.ts";

/** The texts of an expression whose rules do not call themselves. */
export function expressionLanguage(
  book: RuleBook,
  expression: Expression,
  languages: Languages,
): Language {
  const languageOf = (each: Expression) => expressionLanguage(book, each, languages);
  switch (expression.kind) {
    case "class":
      return languages.set(expression.set);
    case "words":
      return languages.or(...expression.words.map((bytes) => word(bytes, languages)));
    case "sequence":
      return expression.parts.map(languageOf).reduceRight(
        (rest, part) => languages.sequence(part, rest),
        languages.emptyText,
      );
    case "choice":
      return languages.or(...expression.parts.map(languageOf));
    case "repeat": {
      const { body, min, max } = expression;
      return languages.repeat(languageOf(body), min, max >= REPEAT_MAX ? Infinity : max);
    }
    case "rule":
      return languageOf(book.bodyOf(expression.rule));
    default:
      check(false, "numbers have no free text");
  }
}

function word(bytes: Uint8Array, languages: Languages): Language {
  return bytes.reduceRight<Language>(
    (rest, byte) => languages.sequence(languages.set(codePoints([byte, byte])), rest),
    languages.emptyText,
  );
}
