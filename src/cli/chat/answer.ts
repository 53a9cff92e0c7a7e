/** Answers on the terminal: their text as it comes, and how fast they came. */
import type { GenerateResult, Generation, LanguageModel } from "../../llm/mod.ts";
import { addressedMarksOf, AddressedParser } from "../../server/tools/addressed_parser.ts";
import type { AnswerParser, Delta } from "../../server/tools/answer_parser.ts";
import { callFormatOf, controlsOf } from "../../server/tools/call_format.ts";
import { plainParser } from "../../server/tools/call_parser.ts";
import { harmonyMarksOf } from "../../server/tools/harmony_marks.ts";
import { HarmonyParser } from "../../server/tools/harmony_parser.ts";
import { thoughtMarksOf, ThoughtParser } from "../../server/tools/thought_parser.ts";
import { writeOut } from "../output.ts";

/** Reads answers whose parts are marked by tokens that have no text; undefined: all is text. */
export function answerParser(model: LanguageModel): AnswerParser | undefined {
  const harmony = harmonyMarksOf(model);
  if (harmony !== null) return new HarmonyParser({ marks: harmony, opening: "", isKnown: null });
  const addressed = addressedMarksOf(model);
  if (addressed !== null) return new AddressedParser({ marks: addressed });
  const format = callFormatOf(model);
  if (format.textLead !== undefined) return plainParser(format);
  const marks = thoughtMarksOf(model.details?.chatTemplate ?? "");
  if (marks === null) return undefined;
  const controls = controlsOf(model, [marks.open, marks.close]);
  return controls.size === 0 ? undefined : new ThoughtParser({ isOpened: false, marks, controls });
}

/** Writes an answer to stdout as it comes, and a line end behind it. */
export async function streamAnswer(
  generation: Generation,
  parser?: AnswerParser,
): Promise<GenerateResult> {
  const isTerminal = Deno.stdout.isTerminal();
  const result = await readAnswer(generation, parser, (text) => {
    writeOut(isTerminal ? harmless(text) : text);
  });
  writeOut("\n");
  return result;
}

/**
 * Reads an answer, with thoughts shown between tags as most models write them.
 * @returns its result, whose text is without thoughts where `parser` knows them.
 */
export async function readAnswer(
  generation: Generation,
  parser: AnswerParser | undefined,
  show: (text: string) => void,
): Promise<GenerateResult> {
  if (parser === undefined) {
    for await (const { text } of generation) show(text);
    return await generation.result;
  }
  let answer = "";
  let isThinking = false;
  const take = (deltas: readonly Delta[]) => {
    for (const delta of deltas) {
      if (delta.kind !== "text" && delta.kind !== "reasoning") continue;
      const thinks = delta.kind === "reasoning";
      if (thinks !== isThinking) show(thinks ? "<think>\n" : "\n</think>\n\n");
      isThinking = thinks;
      show(delta.text);
      if (!thinks) answer += delta.text;
    }
  };
  for await (const { text, ids } of generation) take(parser.push(text, ids));
  take(parser.end());
  return { ...await generation.result, text: answer };
}

/** Without what would steer the terminal: a model may write anything. */
export function harmless(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, "�");
}

/** "[prompt 12 tokens, 80.0 tok/s; answer …]". */
export function describeSpeed({ timings, finishReason }: GenerateResult): string {
  const { promptTokens, promptMs, predictedTokens, predictedMs, draftedTokens } = timings;
  const drafts = draftedTokens === undefined
    ? ""
    : `${draftedTokens} guessed, ${timings.acceptedTokens} of them right; `;
  return `[prompt ${promptTokens} tokens, ${perSecond(promptTokens, promptMs).toFixed(1)} tok/s; ` +
    `answer ${predictedTokens} tokens, ${perSecond(predictedTokens, predictedMs).toFixed(1)} ` +
    `tok/s; ${drafts}${finishReason}]`;
}

export function perSecond(count: number, ms: number): number {
  return ms > 0 ? count / ms * 1000 : 0;
}
