/** The body of `POST /v1/completions`: parsed into what a model is asked. */
import { z } from "zod";
import {
  answerFields,
  type AnswerOptions,
  optional,
  parseFields,
  toAnswerOptions,
} from "./request_fields.ts";

export interface CompletionRequest extends AnswerOptions {
  readonly prompts: readonly CompletionPrompt[];
  /** The answer begins with the prompt. */
  readonly echo: boolean;
}

/** Well-formed text to be encoded, or ids to be taken as they are. */
export type CompletionPrompt = { readonly text: string } | { readonly ids: readonly number[] };

/** OpenAI's own default. */
const MAX_TOKENS_DEFAULT = 16;
const PROMPT_COUNT_MAX = 64;
const TOKEN_ID_MAX = 2 ** 31 - 1;

/** @throws {RequestError} 400 that names the field at fault. */
export function parseCompletionRequest(body: Readonly<Record<string, unknown>>): CompletionRequest {
  const { prompt, echo = false, ...fields } = parseFields(completionSchema, body);
  const options = toAnswerOptions(fields);
  return {
    ...options,
    maxTokens: options.maxTokens ?? MAX_TOKENS_DEFAULT,
    prompts: prompt,
    echo,
  };
}

const completionSchema = z.object({
  ...answerFields,
  echo: optional(z.boolean()),
  prompt: z.unknown().optional().transform((prompt, context): readonly CompletionPrompt[] => {
    const prompts = readPrompts(prompt);
    if (typeof prompts !== "string") return prompts;
    context.addIssue({ code: "custom", message: prompts });
    return z.NEVER;
  }),
});

/** The prompts, or what is wrong with them. */
function readPrompts(prompt: unknown): readonly CompletionPrompt[] | string {
  if (typeof prompt === "string") return [{ text: prompt.toWellFormed() }];
  if (isIds(prompt)) return [{ ids: prompt }];
  if (!Array.isArray(prompt) || prompt.length === 0) return EXPECTED;
  if (prompt.length > PROMPT_COUNT_MAX) return `at most ${PROMPT_COUNT_MAX} prompts`;
  if (prompt.every((item) => typeof item === "string")) {
    return prompt.map((text) => ({ text: text.toWellFormed() }));
  }
  return prompt.every(isIds) ? prompt.map((ids) => ({ ids })) : EXPECTED;
}

const EXPECTED = "expected a string, a list of token ids, or a list of either";

function isIds(value: unknown): value is number[] {
  return Array.isArray(value) && value.length > 0 &&
    value.every((id) => Number.isInteger(id) && id >= 0 && id <= TOKEN_ID_MAX);
}
