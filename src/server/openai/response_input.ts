/** Items of a response's input, to the messages that chat templates read. */
import { z } from "zod";
import type { ChatMessage } from "../../llm/types.ts";
import { listOf, optional } from "../parse_fields.ts";
import { CONTENT_SCHEMA, contentOf, objectOf } from "./messages.ts";
import { nameWithin } from "./namespaces.ts";

const callId = z.string().max(256);

const messageItem = z.object({
  type: optional(z.literal("message")),
  role: z.enum(["user", "assistant", "system", "developer"]),
  content: z.unknown().meta(CONTENT_SCHEMA),
}).transform(({ role, content }, context): ChatMessage => ({
  role: role === "developer" ? "system" : role,
  ...contentOf(content, context, { hasImages: role === "user" }),
}));

const callItem = z.object({
  type: z.literal("function_call"),
  call_id: callId,
  namespace: optional(z.string().max(128)),
  name: z.string().max(256),
  arguments: z.string(),
}).transform((item): ChatMessage => ({
  role: "assistant",
  content: "",
  tool_calls: [{
    id: item.call_id,
    type: "function",
    function: {
      name: nameWithin(item.namespace, item.name),
      arguments: objectOf(item.arguments),
    },
  }],
}));

const outputItem = z.object({
  type: z.literal("function_call_output"),
  call_id: callId,
  output: z.unknown().meta(CONTENT_SCHEMA),
}).transform(({ call_id, output }, context): ChatMessage => ({
  role: "tool",
  ...contentOf(output, context, { field: "output", hasImages: true }),
  tool_call_id: call_id,
}));

/** Stands for a role until they are a part of the message that they led to. */
const THOUGHTS = "thoughts";

const thoughtTexts = optional(listOf(z.object({ text: optional(z.string()) })));

/** Whether a model is shown what it thought before is for its template to say. */
const reasoningItem = z.object({
  type: z.literal("reasoning"),
  content: thoughtTexts.nullable(),
  summary: thoughtTexts,
}).transform(({ content, summary }): ChatMessage => {
  const parts = content?.length ? content : summary ?? [];
  return { role: THOUGHTS, content: joined(parts.map(({ text = "" }) => text.toWellFormed())) };
});

const item = z.union(
  [messageItem, callItem, outputItem, reasoningItem],
  "expected a message, function_call, function_call_output or reasoning",
);

/** A text, or items; at least one message comes of it. */
export const inputSchema = z.union([
  z.string().transform((text): ChatMessage[] => [{ role: "user", content: text.toWellFormed() }]),
  listOf(item, { min: 1, minMessage: "expected at least one item" }).transform(toMessages),
], "expected a string or a list of items");

/** Calls that follow one another are one message, with the text and the thoughts before them. */
function toMessages(items: readonly ChatMessage[]): ChatMessage[] {
  const messages: ChatMessage[] = [];
  let thoughts: string[] = [];
  for (const item of items) {
    if (item.role === THOUGHTS) {
      thoughts.push(item.content as string);
      continue;
    }
    const last = messages.at(-1);
    const isOfLast = item.tool_calls !== undefined && last?.role === "assistant";
    const message: ChatMessage = isOfLast ? { ...last, tool_calls: callsOf(last) } : item;
    if (isOfLast) callsOf(message).push(...callsOf(item));
    const before = joined([message.reasoning_content as string ?? "", ...thoughts]);
    thoughts = [];
    if (isOfLast) messages.pop();
    const isThoughtUp = message.role === "assistant" && before !== "";
    messages.push(isThoughtUp ? { ...message, reasoning_content: before } : message);
  }
  return messages;
}

/** The list itself: messages are made here, and a thousand calls are one of them. */
function callsOf({ tool_calls: calls }: ChatMessage): unknown[] {
  return Array.isArray(calls) ? calls : [];
}

function joined(texts: readonly string[]): string {
  return texts.filter((text) => text !== "").join("\n\n");
}
