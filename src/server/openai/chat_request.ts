/** The body of `POST /v1/chat/completions`: parsed into what a model is asked. */
import { z } from "zod";
import type { ChatMessage } from "../../llm/types.ts";
import { fieldError } from "../http_errors.ts";
import { type Body, type OtherFields, othersOf, withOthers } from "../known_fields.ts";
import { anyObject, optional } from "../parse_fields.ts";
import type { ToolRequest } from "../tools/tool_plan.ts";
import {
  ANSWER_HINTS,
  answerFields,
  type AnswerOptions,
  answerTokens,
  COUNT_MAX,
  onlyDefined,
  toAnswerOptions,
  TOP_LOGPROBS_MAX,
  UNSUPPORTED_ANSWER_FIELDS,
} from "./answer_fields.ts";
import { type AnswerFormat, formatFields, toAnswerFormat } from "./format_fields.ts";
import { messagesSchema } from "./messages.ts";
import { toolFields, toToolRequest } from "./tool_fields.ts";

/** A conversation and what is wanted of it. */
export interface ChatRequest extends AnswerOptions {
  readonly conversation: Conversation;
  readonly format: AnswerFormat;
}

/** What is put to the model's template. */
export interface Conversation {
  /** Well-formed text; roles "system", "user", "assistant" and "tool". */
  readonly messages: readonly ChatMessage[];
  /** Functions that may be called; null: none. */
  readonly tools: ToolRequest | null;
  /** Variables of the template. */
  readonly variables?: Body;
  /** False: the prompt ends with the last message. */
  readonly addGenerationPrompt?: boolean;
  /** What the model thinks is text like the answer. */
  readonly rawThoughts?: boolean;
  /** Tokens that the model may think, Infinity where it may as it likes; left out: the server's. */
  readonly thoughtTokensMax?: number;
  /** What the answer's text begins with: the model goes on behind it. Not where it is bound. */
  readonly prefill?: string;
}

const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh"] as const;
export const reasoningEffort = optional(z.enum(EFFORTS));

/** llama.cpp's: tokens of thoughts; -1: as many as the model likes. */
export const thinkingBudget = optional(
  z.int().min(-1).max(COUNT_MAX).transform((count) => count < 0 ? Infinity : count),
);

/** What a conversation is made of; enough for counting its tokens. */
export const conversationFields = {
  messages: messagesSchema,
  ...toolFields,
  reasoning_effort: reasoningEffort,
  chat_template_kwargs: optional(anyObject),
  add_generation_prompt: optional(z.boolean()),
  thinking_budget_tokens: thinkingBudget,
  reasoning_format: optional(z.enum(["none", "auto", "deepseek"])),
};

export const chatSchema = withOthers(
  z.object({
    ...answerFields,
    ...conversationFields,
    ...formatFields,
    max_completion_tokens: answerTokens(),
    logprobs: optional(z.boolean()),
    top_logprobs: optional(z.int().min(0).max(TOP_LOGPROBS_MAX)),
  }),
  {
    unsupported: {
      ...UNSUPPORTED_ANSWER_FIELDS,
      suffix: (value) => value === "",
      best_of: (value) => value === 1,
    },
    hints: ANSWER_HINTS,
  },
);

/** Of requests that are about a conversation, and answer nothing. */
export const CHAT_FIELDS_AS_HINTS: OtherFields = {
  hints: [
    ...Object.keys(chatSchema.shape),
    ...Object.keys(othersOf(chatSchema).unsupported ?? {}),
    ...ANSWER_HINTS,
  ],
};

/** @throws {RequestError} 400 that names the field at fault. */
export function toChatRequest(fields: z.output<typeof chatSchema>): ChatRequest {
  const { max_completion_tokens: maxTokens, logprobs, top_logprobs: top } = fields;
  if (top && !logprobs) throw fieldError("top_logprobs", `"top_logprobs" needs "logprobs": true`);
  const format = toAnswerFormat(fields);
  const conversation = toConversation(fields);
  if (conversation.tools !== null && format.grammar?.kind === "gbnf") {
    throw fieldError("grammar", `"grammar" and "tools" both bind the answer: leave out one`);
  }
  const options = toAnswerOptions(fields, {
    logprobs: logprobs ? top ?? 0 : undefined,
    ...(maxTokens !== undefined && { maxTokens }),
  });
  return { ...options, conversation, format };
}

/** The conversation of parsed fields. */
export function toConversation(
  fields: z.infer<z.ZodObject<typeof conversationFields>>,
): Conversation {
  const { messages, reasoning_effort: effort, chat_template_kwargs: variables } = fields;
  return {
    messages,
    tools: toToolRequest(fields),
    ...onlyDefined({
      variables: withEffort(variables, effort),
      addGenerationPrompt: fields.add_generation_prompt,
      thoughtTokensMax: fields.thinking_budget_tokens,
      rawThoughts: fields.reasoning_format === "none" || undefined,
    }),
  };
}

/** Templates of models that think read one of these. */
export function withEffort(
  variables: Body | undefined,
  effort: (typeof EFFORTS)[number] | undefined,
): Body | undefined {
  if (effort === undefined) return variables;
  return { reasoning_effort: effort, enable_thinking: effort !== "none", ...variables };
}
