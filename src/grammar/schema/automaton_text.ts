/** An automaton of characters as rules, one for each of its states. */
import type { CodePoints } from "../code_points.ts";
import { choice, type Expression, nothing, ref, sequence } from "../expression.ts";
import type { JsonRules } from "../json_rules.ts";
import type { Automaton } from "./languages.ts";

/**
 * The texts that an automaton of one state or more accepts.
 * @param characterOf how one character of a set is written.
 */
export function automatonText(
  { book }: JsonRules,
  { states }: Automaton,
  characterOf: (set: CodePoints) => Expression,
): Expression {
  const rules = states.map((_, state) => book.add(`state ${state}`));
  for (const [state, { accepts, edges }] of states.entries()) {
    const parts = edges.map(({ set, to }) =>
      // Nothing follows a state without edges: no rule is called for that.
      states[to].edges.length === 0 ? characterOf(set) : sequence(characterOf(set), ref(rules[to]))
    );
    book.define(rules[state], choice(...accepts ? [nothing()] : [], ...parts));
  }
  return ref(rules[0]);
}
