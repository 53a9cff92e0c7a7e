/**
 * Functions for models whose template knows none: a message says which there are and how to call
 * them, earlier calls and their results are text. Pure.
 */
import type { ChatMessage } from "../../llm/types.ts";
import { onWire, type ToolFunction } from "./tool_plan.ts";

/** `messages` in words that every template knows, `functions` told at their beginning. */
export function withInstructions(
  messages: readonly ChatMessage[],
  functions: readonly ToolFunction[],
): ChatMessage[] {
  const told = messages.map(inWords);
  if (functions.length === 0) return told;
  const text = instructions(functions);
  const [first, ...rest] = told;
  if (first?.role !== "system") return [{ role: "system", content: text }, ...told];
  return [{ ...first, content: `${first.content}\n\n${text}` }, ...rest];
}

function instructions(functions: readonly ToolFunction[]): string {
  const list = functions.map((each) => JSON.stringify(onWire(each).function)).join("\n");
  return "You may call these functions, given as JSON with a schema of their arguments:\n" +
    `${list}\n` +
    `To call one, answer with its name and arguments as JSON between tags, and nothing else:\n` +
    `<tool_call>\n{"name": "the name", "arguments": {}}\n</tool_call>`;
}

function inWords({ tool_calls: calls, tool_call_id: _id, ...message }: ChatMessage): ChatMessage {
  if (message.role === "tool") {
    return { role: "user", content: `<tool_response>\n${message.content}\n</tool_response>` };
  }
  if (!Array.isArray(calls)) return message;
  const written = calls.map(({ function: { name, arguments: args } }) =>
    `<tool_call>\n${JSON.stringify({ name, arguments: args })}\n</tool_call>`
  );
  const texts = message.content === "" ? written : [message.content, ...written];
  return { ...message, content: texts.join("\n") };
}

/** Earlier calls as the model writes them, but for their tags, which users' texts cannot hold. */
export function withPythonCalls(
  { tool_calls: calls, ...message }: ChatMessage,
): ChatMessage {
  if (!Array.isArray(calls)) return message;
  const written = calls.map(({ function: { name, arguments: args } }) =>
    `${name}(${
      Object.entries(args).map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(", ")
    })`
  );
  const texts = [...message.content === "" ? [] : [message.content], `[${written.join(", ")}]`];
  return { ...message, content: texts.join("\n") };
}
