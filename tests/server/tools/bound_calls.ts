/** Whether grammars of calls let a text pass, control tokens spelt out in it. */
import { buildTokenTrie, compileGrammar } from "../../../src/grammar/mod.ts";
import { GrammarKnowledge, GrammarMatcher } from "../../../src/grammar/mod.ts";
import type { GrammarSource } from "../../../src/llm/types.ts";
import { vocabularyOf } from "../../grammar/tiny.ts";

/**
 * "yes": it is a sentence of the grammar; "begun": the beginning of one; else what of it did not
 * fit, from there on. Names in `controls` are tokens of their own, all else is characters.
 */
export function judgeCall(
  source: GrammarSource | undefined,
  written: string,
  controls: readonly string[] = [],
): string {
  const cut = new RegExp(`(${controls.map(RegExp.escape).join("|") || "(?!)"})`);
  const pieces = written.split(cut).flatMap((part) => controls.includes(part) ? part : [...part]);
  const tokens = [...new Set([...controls, ...pieces])];
  const trie = buildTokenTrie(
    vocabularyOf([...tokens, "</s>"], {
      hidden: controls.map((name) => tokens.indexOf(name)),
      ends: [tokens.length],
    }),
  );
  const matcher = new GrammarMatcher(new GrammarKnowledge(compileGrammar(source!), trie));
  for (const [at, piece] of pieces.entries()) {
    const id = tokens.indexOf(piece);
    if (!matcher.allows(id)) return pieces.slice(at).join("");
    matcher.accept(id);
  }
  return matcher.isComplete ? "yes" : "begun";
}
