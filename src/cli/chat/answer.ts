/** Answers on the terminal: their text as it comes, and how fast they came. */
import type { GenerateResult, Generation } from "../../llm/mod.ts";
import { writeOut } from "../output.ts";

/** Writes an answer to stdout as it comes, and a line end behind it. */
export async function streamAnswer(generation: Generation): Promise<GenerateResult> {
  const isTerminal = Deno.stdout.isTerminal();
  for await (const { text } of generation) writeOut(isTerminal ? harmless(text) : text);
  writeOut("\n");
  return await generation.result;
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
