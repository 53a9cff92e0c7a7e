/** The body of `POST /v1/chat/completions`: parsed into what a model is asked. */
import { z } from "zod";
import type { ChatMessage } from "../llm/types.ts";
import {
  answerFields,
  type AnswerOptions,
  optional,
  parseFields,
  toAnswerOptions,
} from "./request_fields.ts";

export interface ChatRequest extends AnswerOptions {
  /** Well-formed text; roles "system", "user" and "assistant". */
  readonly messages: readonly ChatMessage[];
}

/** @throws {RequestError} 400 that names the field at fault. */
export function parseChatRequest(body: Readonly<Record<string, unknown>>): ChatRequest {
  const { messages, max_completion_tokens, ...fields } = parseFields(chatSchema, body);
  const options = toAnswerOptions(fields);
  return { ...options, maxTokens: max_completion_tokens ?? options.maxTokens, messages };
}

const messageSchema = z.object({
  role: z.enum(["system", "developer", "user", "assistant"], {
    error: ({ input }) =>
      input === "tool" || input === "function"
        ? "tool messages are not supported by this server"
        : `expected "system", "developer", "user" or "assistant"`,
  }),
  content: z.unknown().optional(),
  name: optional(z.string().max(256)),
  reasoning_content: optional(z.string()),
  tool_calls: optional(z.array(z.unknown()).max(0, "not supported by this server")),
  function_call: optional(z.never("not supported by this server")),
}).transform((message, context): ChatMessage => {
  const { role, name, reasoning_content: reasoning } = message;
  const isAnswer = role === "assistant";
  const content = contentText(message.content ?? (isAnswer ? "" : undefined), context);
  return {
    // "developer" is a newer name for the same thing, which templates do not know.
    role: role === "developer" ? "system" : role,
    content: content.toWellFormed(),
    ...(name !== undefined && { name: name.toWellFormed() }),
    ...(reasoning !== undefined && { reasoning_content: reasoning.toWellFormed() }),
  };
});

const chatSchema = z.object({
  ...answerFields,
  max_completion_tokens: answerFields.max_tokens,
  messages: z.array(messageSchema).min(1, "expected at least one message"),
});

/** A message's content is a text, or parts of which this server takes texts only. */
function contentText(content: unknown, context: z.RefinementCtx): string {
  if (typeof content === "string") return content;
  const refuse = (path: PropertyKey[], message: string) => {
    context.addIssue({ code: "custom", path: ["content", ...path], message });
    return "";
  };
  if (!Array.isArray(content)) return refuse([], "expected a string or a list of parts");
  const texts = content.map((part: unknown, index): string => {
    const { type, text, refusal } = Object(part) as Record<string, unknown>;
    if (type === "text" && typeof text === "string") return text;
    if (type === "refusal" && typeof refusal === "string") return refusal;
    if (type === "text") return refuse([index, "text"], "expected a string");
    const isPart = typeof type === "string";
    return refuse(
      [index],
      isPart
        ? `parts of type ${JSON.stringify(type.slice(0, 40))} are not supported by this server`
        : "expected a part with a type",
    );
  });
  return texts.join("");
}
