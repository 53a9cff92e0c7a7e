/** Questions with what a right answer must contain, and grading by it. Knows no model. */

export interface Question {
  readonly text: string;
  /** Of each group, one must occur in the answer. */
  readonly needed: readonly (readonly string[])[];
  /** None of these may. */
  readonly forbidden: readonly string[];
}

/**
 * Reads lines "question => part; part": a part is "a|b", of which one is needed, or "!a".
 * @throws {SyntaxError} for a line that needs nothing: whatever is said would be right.
 */
export function readQuestions(text: string): Question[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
  return lines.map((line) => {
    const [question, facts = ""] = line.split(" => ");
    const parts = facts.toLowerCase().split(";").map((part) => part.trim());
    const needed = parts.filter((part) => part !== "" && !part.startsWith("!"))
      .map((part) => part.split("|"));
    if (needed.length === 0) throw new SyntaxError(`Cannot grade "${line}": it needs no fact`);
    const forbidden = parts.filter((part) => part.startsWith("!")).map((part) => part.slice(1));
    return { text: question.trim(), needed, forbidden };
  });
}

/** True when the answer has every needed fact, as whole words, and no forbidden one. */
export function isRight(answer: string, { needed, forbidden }: Question): boolean {
  const has = (fact: string) => containsWords(answer.toLowerCase(), fact);
  return needed.every((group) => group.some(has)) && !forbidden.some(has);
}

/** "no" is in "no, never" and not in "now". */
function containsWords(text: string, words: string): boolean {
  for (let at = text.indexOf(words); at >= 0; at = text.indexOf(words, at + 1)) {
    const around = [text.charAt(at - 1), text.charAt(at + words.length)];
    const edges = [words.charAt(0), words.charAt(words.length - 1)];
    if (edges.every((edge, i) => !isLetter(edge) || !isLetter(around[i]))) return true;
  }
  return false;
}

function isLetter(character: string): boolean {
  return /^[a-z0-9]$/.test(character);
}

/** A question without case and punctuation: what counts as the same question. */
export function normalize(question: string): string {
  return question.toLowerCase().replace(/[^a-z0-9 ]+/g, " ").replace(/ +/g, " ").trim();
}
