/** The body of `POST /v1/completions`: parsed into what a model is asked. */
import { z } from "zod";
import { fieldError } from "../http_errors.ts";
import { withOthers } from "../known_fields.ts";
import { optional } from "../parse_fields.ts";
import {
  ANSWER_HINTS,
  answerFields,
  type AnswerOptions,
  answerTokens,
  CHOICES_MAX,
  onlyDefined,
  toAnswerOptions,
  TOP_LOGPROBS_MAX,
  UNSUPPORTED_ANSWER_FIELDS,
} from "./answer_fields.ts";
import { formatFields, toAnswerFormat } from "./format_fields.ts";

export interface CompletionRequest extends AnswerOptions {
  readonly prompts: readonly TextOrIds[];
  /** The answer begins with the prompt. */
  readonly echo: boolean;
  /** Generations of each prompt, of which the best `count` are shown. */
  readonly bestOf: number;
  /** What follows the gap that is to be filled. */
  readonly suffix?: string;
  /** The field that a grammar came from. */
  readonly grammarParam?: string;
  /** Log probabilities are shown: with `bestOf` they may be needed without. */
  readonly showsLogprobs: boolean;
}

/** Well-formed text to be encoded, or ids to be taken as they are. */
export type TextOrIds = { readonly text: string } | { readonly ids: readonly number[] };

/** OpenAI's own default. */
const MAX_TOKENS_DEFAULT = 16;
const PROMPT_COUNT_MAX = 64;
/** Choices of all prompts together. */
const ALL_CHOICES_MAX = 128;
const TOKEN_ID_MAX = 2 ** 31 - 1;

/** @throws {RequestError} 400 that names the field at fault. */
export function toCompletionRequest(
  fields: z.output<typeof completionSchema>,
): CompletionRequest {
  const { prompt: prompts, echo = false, suffix, n = 1, best_of: bestOf = n, logprobs } = fields;
  if (bestOf < n) throw fieldError("best_of", `"best_of" is at least "n", which is ${n}`);
  if (bestOf > n && fields.stream) {
    throw fieldError("best_of", `"best_of" cannot be streamed: the best is known in the end`);
  }
  if (prompts.length * bestOf > ALL_CHOICES_MAX) {
    const name = fields.best_of === undefined ? "n" : "best_of";
    throw fieldError(name, `Prompts times "${name}" are at most ${ALL_CHOICES_MAX}`);
  }
  if (echo && logprobs !== undefined && suffix) {
    throw fieldError("echo", `"echo" with "logprobs" and "suffix" has no one order: leave one out`);
  }
  const { grammar, param: grammarParam } = toAnswerFormat(fields);
  const options = toAnswerOptions(fields, {
    maxTokens: fields.max_tokens ?? MAX_TOKENS_DEFAULT,
    // The best one is found by its log probability.
    logprobs: logprobs ?? (bestOf > n ? 0 : undefined),
    grammar,
  });
  const more = onlyDefined({ suffix: suffix || undefined, grammarParam });
  const showsLogprobs = logprobs !== undefined;
  return { ...options, prompts, echo, bestOf, showsLogprobs, ...more };
}

/** A text, ids, or a list of either. */
export function textsOrIds(countMax: number) {
  return z.unknown().optional().transform((value, context): readonly TextOrIds[] => {
    const found = readTextsOrIds(value, countMax);
    if (typeof found !== "string") return found;
    context.addIssue({ code: "custom", message: found });
    return z.NEVER;
  }).meta({ anyOf: TEXTS_OR_IDS });
}

const TEXTS_OR_IDS = [
  { type: "string" },
  { type: "array", items: { type: "string" } },
  { type: "array", items: { type: "integer" } },
  { type: "array", items: { type: "array", items: { type: "integer" } } },
];

export const completionSchema = withOthers(
  z.object({
    ...answerFields,
    ...formatFields,
    /** 0: nothing but the prompt, which "echo" and "logprobs" show. */
    max_tokens: answerTokens(0),
    prompt: textsOrIds(PROMPT_COUNT_MAX),
    echo: optional(z.boolean()),
    suffix: optional(z.string()),
    best_of: optional(z.int().min(1).max(CHOICES_MAX)),
    logprobs: optional(z.int().min(0).max(TOP_LOGPROBS_MAX)),
  }),
  { unsupported: UNSUPPORTED_ANSWER_FIELDS, hints: ANSWER_HINTS },
);

/** What there is, or what is wrong with it. */
function readTextsOrIds(value: unknown, countMax: number): readonly TextOrIds[] | string {
  if (typeof value === "string") return [{ text: value.toWellFormed() }];
  if (isIds(value)) return [{ ids: value }];
  if (!Array.isArray(value) || value.length === 0) return EXPECTED;
  if (value.length > countMax) return `expected at most ${countMax} texts`;
  if (value.every((item) => typeof item === "string")) {
    return value.map((text) => ({ text: text.toWellFormed() }));
  }
  return value.every(isIds) ? value.map((ids) => ({ ids })) : EXPECTED;
}

const EXPECTED = "expected a string, a list of token ids, or a list of either";

function isIds(value: unknown): value is number[] {
  return Array.isArray(value) && value.length > 0 &&
    value.every((id) => Number.isInteger(id) && id >= 0 && id <= TOKEN_ID_MAX);
}
