/**
 * How large a grammar may be, and how it is refused. What comes from outside is bounded here before
 * anything is built of it; what is built is bounded again while it runs.
 */
import { RequestError } from "../base/errors.ts";

/** Bounds of what is compiled. */
export interface GrammarLimits {
  /** Characters of a GBNF text, and of a schema written as JSON. */
  readonly textLength: number;
  /** Groups within groups, schemas within schemas. */
  readonly depth: number;
  readonly rules: number;
  /** States of the automaton, of all rules together. */
  readonly states: number;
  /** Schemas that are looked at, each as often as it is. */
  readonly schemas: number;
}

export const GRAMMAR_LIMITS: GrammarLimits = {
  textLength: 1 << 20,
  depth: 128,
  rules: 20_000,
  states: 200_000,
  schemas: 20_000,
};

/** Larger numbers of repetitions are not told apart from this one: no answer is as long. */
export const REPEAT_MAX = 1 << 30;
/** A text that must be longer than this cannot be asked for. */
export const REPEAT_MIN_MAX = 1 << 20;

/** A grammar that is refused. `param` is filled in by `compileGrammar`. */
export function grammarError(message: string): RequestError {
  return new RequestError(message, { status: 400, code: "invalid_grammar" });
}
