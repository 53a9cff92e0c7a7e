/** Items of a response's input, to the messages that chat templates read. */
import { z } from "zod";
import type { ChatMessage } from "../../llm/types.ts";
import { optional } from "../parse_fields.ts";
import { CONTENT_SCHEMA, contentText, objectOf } from "./messages.ts";

const callId = z.string().max(256);

const messageItem = z.object({
  type: optional(z.literal("message")),
  role: z.enum(["user", "assistant", "system", "developer"]),
  content: z.unknown().meta(CONTENT_SCHEMA),
}).transform(({ role, content }, context): ChatMessage => ({
  role: role === "developer" ? "system" : role,
  content: contentText(content, context).toWellFormed(),
}));

const callItem = z.object({
  type: z.literal("function_call"),
  call_id: callId,
  name: z.string().max(256),
  arguments: z.string(),
}).transform((item): ChatMessage => ({
  role: "assistant",
  content: "",
  tool_calls: [{
    id: item.call_id,
    type: "function",
    function: { name: item.name, arguments: objectOf(item.arguments) },
  }],
}));

const outputItem = z.object({
  type: z.literal("function_call_output"),
  call_id: callId,
  output: z.unknown().meta(CONTENT_SCHEMA),
}).transform(({ call_id, output }, context): ChatMessage => ({
  role: "tool",
  content: contentText(output, context, "output").toWellFormed(),
  tool_call_id: call_id,
}));

/** What a model thought before is not shown to it again, as its template would not. */
const reasoningItem = z.object({ type: z.literal("reasoning") }).transform(() => null);

const item = z.union(
  [messageItem, callItem, outputItem, reasoningItem],
  "expected a message, function_call, function_call_output or reasoning",
);

/** A text, or items; at least one message comes of it. */
export const inputSchema = z.union([
  z.string().transform((text): ChatMessage[] => [{ role: "user", content: text.toWellFormed() }]),
  z.array(item).min(1, "expected at least one item").transform(toMessages),
], "expected a string or a list of items");

/** Calls that follow one another are one message, with the text before them. */
function toMessages(items: readonly (ChatMessage | null)[]): ChatMessage[] {
  const messages: ChatMessage[] = [];
  for (const message of items) {
    if (message === null) continue;
    const last = messages.at(-1);
    if (message.tool_calls && last?.role === "assistant") {
      const calls = [...(last.tool_calls as unknown[] ?? []), ...message.tool_calls as unknown[]];
      messages[messages.length - 1] = { ...last, tool_calls: calls };
    } else messages.push(message);
  }
  return messages;
}
