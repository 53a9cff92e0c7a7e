/**
 * Thoughts of so many tokens at most: they are closed as the model would close them, and its answer
 * follows. Knows marks; how tokens are held to them is the grammar's.
 */
import type { GrammarPart, LanguageModel, Prelude } from "../../llm/types.ts";
import { writesAddressed } from "./addressed_parser.ts";
import { controlsOf } from "./call_format.ts";
import { writesHarmony } from "./harmony_marks.ts";
import { marksIn } from "./spelt_marks.ts";
import { type CallMark, type ThoughtMarks, thoughtMarksOf } from "./thought_parser.ts";

interface Marks extends Pick<ThoughtMarks, "open" | "close"> {
  /** They are marks wherever they stand, not at the beginning alone. */
  readonly isAnywhere?: boolean;
}

/** Messages of thoughts in the forms that have messages: their heads end with the first mark. */
const HARMONY: Marks = {
  open: "<|channel|>analysis<|message|>",
  close: "<|end|>",
  isAnywhere: true,
};
const ADDRESSED: Marks = { open: "to=self<|message|>", close: "<|eom|>", isAnywhere: true };

/** Any text to the end. */
const FREE: GrammarPart = { leads: [] };
const ONE_CHARACTER: GrammarPart = { grammar: { kind: "gbnf", text: "root ::= ." } };

/**
 * What an answer begins with where its thoughts may have so many tokens, marks not counted; null:
 * the model's template knows none.
 * @param isOpened the prompt has opened the thoughts.
 * @param callMark begins calls that end thoughts, too.
 */
export function thoughtPrelude(
  model: LanguageModel,
  tokensMax: number,
  { isOpened, callMark }: { readonly isOpened: boolean; readonly callMark?: CallMark },
): Prelude | null {
  const marks = marksOf(model.details?.chatTemplate ?? "");
  if (marks === null) return null;
  const { open, close, isAnywhere = false } = marks;
  const controls = controlsOf(model, [open, close]);
  const names = new Set(controls.values());
  const closed: GrammarPart = { all: [{ until: marksIn(close, names) }, FREE] };
  const thoughts = callMark ? { anyOf: [closed, behindCall(callMark)] } : closed;
  const lead = [{ isBlank: true } as const, ...marksIn(open, names)];
  const later = { leads: [{ lead, then: thoughts }], isAtStart: !isAnywhere };
  const parts = isOpened ? thoughts : later;
  const endTokens = model.encodeText(close, { special: true }).length;
  return { grammar: { kind: "parts", parts }, tokensMax, endTokens };
}

/** One more character is due, so that thoughts which have to end do not end with a call. */
function behindCall({ open, controls }: CallMark): GrammarPart {
  const names = new Set(controls?.values());
  return { all: [{ until: marksIn(open, names) }, ONE_CHARACTER, FREE] };
}

function marksOf(template: string): Marks | null {
  if (writesHarmony(template)) return HARMONY;
  return writesAddressed(template) ? ADDRESSED : thoughtMarksOf(template);
}
