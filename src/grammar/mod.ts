/** The door to grammars: what an answer must be, and which tokens may come next for it to be so. */
export { compileGrammar } from "./compile_grammar.ts";
export { GRAMMAR_LIMITS, type GrammarLimits } from "./limits.ts";
export { GrammarKnowledge, GrammarMatcher } from "./matcher.ts";
export type { Grammar } from "./network.ts";
export {
  buildTokenTrie,
  MARKER_BYTE,
  markerBytes,
  type TokenTrie,
  type VocabularyBytes,
} from "./token_trie.ts";
