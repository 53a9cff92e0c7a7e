/**
 * A tree of a pattern as an expression, part by part, where it looks nowhere and ends nowhere but
 * at its end: what most do. The others, and several at once, are a language first.
 */
import type { CodePoints } from "../code_points.ts";
import { choice, type Expression, repeat, sequence } from "../expression.ts";
import type { Language, Languages } from "./languages.ts";
import { PatternError, type PatternNode } from "./regular_expression.ts";

/** What strings that match look like. */
export interface PatternText {
  /** What stands between the quotes. */
  readonly expression: Expression;
  /** Characters that a match has, at least and at most. */
  readonly min: number;
  readonly max: number;
}

/**
 * The expression of a pattern; null where it has to be a language first.
 * @param characterOf how a string holds one character of a set.
 */
export function patternText(
  node: PatternNode,
  characterOf: (set: CodePoints) => Expression,
): PatternText | null {
  if (node.kind === "set") return { expression: characterOf(node.set), min: 1, max: 1 };
  if (node.kind === "repeat") {
    const body = patternText(node.body, characterOf);
    if (body === null) return null;
    const { min, max } = node;
    const longest = body.max === 0 || max === 0 ? 0 : body.max * max;
    return { expression: repeat(body.expression, min, max), min: body.min * min, max: longest };
  }
  if (node.kind === "ahead" || node.kind === "end") return null;
  const texts: PatternText[] = [];
  for (const part of node.parts) {
    const each = patternText(part, characterOf);
    if (each === null) return null;
    texts.push(each);
  }
  const expressions = texts.map(({ expression }) => expression);
  if (node.kind === "choice") {
    return {
      expression: choice(...expressions),
      min: texts.reduce((least, { min }) => Math.min(least, min), Infinity),
      max: texts.reduce((most, { max }) => Math.max(most, max), 0),
    };
  }
  return {
    expression: sequence(...expressions),
    min: texts.reduce((sum, { min }) => sum + min, 0),
    max: texts.reduce((sum, { max }) => sum + max, 0),
  };
}

/**
 * The texts that match. What looks ahead looks at all that follows it, so that a pattern is put
 * together from its end.
 * @throws {PatternError} where it looks ahead from within a repetition.
 */
export function patternLanguage(node: PatternNode, languages: Languages): Language {
  return followed(node, languages.emptyText, languages);
}

/** What a part and what follows it are together. */
function followed(node: PatternNode, next: Language, languages: Languages): Language {
  switch (node.kind) {
    case "set":
      return languages.sequence(languages.set(node.set), next);
    case "sequence":
      return node.parts.reduceRight((rest, part) => followed(part, rest, languages), next);
    case "choice":
      return languages.or(...node.parts.map((part) => followed(part, next, languages)));
    case "end":
      return languages.and(languages.emptyText, next);
    case "ahead": {
      const begun = followed(node.body, languages.anyText, languages);
      return languages.and(node.isNot ? languages.not(begun) : begun, next);
    }
    case "repeat": {
      const { body, min, max } = node;
      if (!looksAround(body)) {
        const once = followed(body, languages.emptyText, languages);
        return languages.sequence(languages.repeat(once, min, max), next);
      }
      if (max === 0) return next;
      if (max > 1) throw new PatternError("it looks ahead, or ends, within a repetition");
      const taken = followed(body, next, languages);
      return min === 1 ? taken : languages.or(taken, next);
    }
  }
}

function looksAround(node: PatternNode): boolean {
  if (node.kind === "ahead" || node.kind === "end") return true;
  if (node.kind === "set") return false;
  return node.kind === "repeat" ? looksAround(node.body) : node.parts.some(looksAround);
}
