/** Answers that are bound and thought about first: thoughts are free, and what follows is not. */
import type { GrammarPart, GrammarSource, LanguageModel } from "../../llm/types.ts";
import { marksIn, speltBy } from "./spelt_marks.ts";
import type { ThoughtMarks } from "./thought_parser.ts";

/** Marks of thoughts, and which of their pieces are control tokens. */
export interface SpeltMarks {
  readonly marks: ThoughtMarks;
  readonly controls: ReadonlyMap<number, string>;
}

/** Models part an answer from thoughts so. */
const LINE_ENDS: GrammarPart = { repeat: "\n", max: 2 };

/**
 * `bound` behind thoughts that the prompt has opened.
 * @param options.isDue thoughts come to an end in time, so that there is an answer whatever room it
 * has; else the answer may end with them.
 */
export function behindThoughts(
  bound: GrammarSource,
  { marks: { close, answer = "" }, controls }: SpeltMarks,
  { isDue }: { readonly isDue: boolean },
): GrammarSource {
  if (bound.trigger !== undefined) return bound;
  const names = new Set(controls.values());
  const lead = marksIn(close, names);
  const part: GrammarPart = { grammar: bound };
  const between = answer === "" ? LINE_ENDS : speltBy(answer, names);
  const then: GrammarPart = { all: [between, part] };
  return {
    kind: "parts",
    parts: isDue ? { all: [{ until: lead }, then] } : { leads: [{ lead, then }] },
  };
}

/** What ids are as a text in which control tokens are spelt, too. */
export function spelledEnd(
  model: LanguageModel,
  ids: readonly number[],
  controls: ReadonlyMap<number, string>,
): string {
  let text = "";
  let from = 0;
  for (const [at, id] of ids.entries()) {
    const mark = controls.get(id);
    if (mark === undefined) continue;
    text += model.decode(ids.slice(from, at)) + mark;
    from = at + 1;
  }
  return text + model.decode(ids.slice(from));
}
