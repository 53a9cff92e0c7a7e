/**
 * Thoughts of so many tokens at most: they are closed as the model would close them, and its answer
 * follows. Knows marks; how tokens are held to them is the grammar's.
 */
import type { GrammarPart, LanguageModel, Prelude, SamplingOptions } from "../../llm/types.ts";
import { fieldError } from "../http_errors.ts";
import { writesAddressed } from "./addressed_parser.ts";
import { controlsOf } from "./call_format.ts";
import { writesHarmony } from "./harmony_marks.ts";
import { marksIn } from "./spelt_marks.ts";
import { type CallMark, type ThoughtMarks, thoughtMarksOf } from "./thought_parser.ts";

interface Marks extends Pick<ThoughtMarks, "open" | "close"> {
  /** They are marks wherever they stand, not at the beginning alone. */
  readonly isAnywhere?: boolean;
}

export interface ThoughtOptions {
  /** The prompt has opened the thoughts. */
  readonly isOpened: boolean;
  /** Begins calls that end thoughts, too. */
  readonly callMark?: CallMark;
  readonly logitBias?: SamplingOptions["logitBias"];
  /** The request itself has the bound. Default false: it is the server's. */
  readonly isAsked?: boolean;
}

/** A bias that OpenAI's clients mean by "never". */
const FORBIDDEN = -100;

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
 * @throws {RequestError} 400 when the request asks for the bound and forbids the mark that closes:
 *   a bound that it did not ask for is left out.
 */
export function thoughtPrelude(
  model: LanguageModel,
  tokensMax: number,
  { isOpened, callMark, logitBias, isAsked = false }: ThoughtOptions,
): Prelude | null {
  const marks = marksOf(model.details?.chatTemplate ?? "");
  if (marks === null) return null;
  const { open, close, isAnywhere = false } = marks;
  const closing = model.encodeText(close, { special: true });
  const forbidden = closing.find((id) => (logitBias?.get(id) ?? 0) <= FORBIDDEN);
  if (forbidden !== undefined) {
    if (!isAsked) return null;
    throw fieldError(
      "logit_bias",
      `Cannot close thoughts after ${tokensMax} tokens: "logit_bias" forbids the token ` +
        `${forbidden} of "${close}": leave it out, or the budget of thoughts`,
    );
  }
  const controls = controlsOf(model, [open, close]);
  const names = new Set(controls.values());
  const closed: GrammarPart = { all: [{ until: marksIn(close, names) }, FREE] };
  const thoughts = callMark ? { anyOf: [closed, behindCall(callMark)] } : closed;
  const lead = [{ isBlank: true } as const, ...marksIn(open, names)];
  const later = { leads: [{ lead, then: thoughts }], isAtStart: !isAnywhere };
  const parts = isOpened ? thoughts : later;
  return { grammar: { kind: "parts", parts }, tokensMax, endTokens: closing.length };
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
