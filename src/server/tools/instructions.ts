/**
 * How functions and earlier calls are put to a template: as it knows them, or in messages where it
 * does not. Pure.
 */
import type { ChatMessage } from "../../llm/types.ts";
import { enclosed } from "../message_images.ts";
import type { CallFormat } from "./call_format.ts";
import { withCallIds } from "./call_ids.ts";
import { onWire, type ToolFunction } from "./tool_plan.ts";

/** What a template is given; `tools` left out: it is told in a message, or of none. */
export interface ShownFunctions {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly unknown[];
}

/** A conversation and functions for the template of a model that writes calls in `format`. */
export function shownFunctions(
  format: CallFormat,
  conversation: readonly ChatMessage[],
  functions: readonly ToolFunction[],
): ShownFunctions {
  const messages = withCallIds(conversation, format);
  const { name, isInTemplate, hidesCalls, asksForNoText, hasTextArguments, isToldBySystem } =
    format;
  const told = name === "instructed"
    ? messages.map(inWords)
    : hidesCalls
    ? messages.map((message) => withCallsAsText(message, format))
    : asksForNoText
    ? messages.map(withoutEmptyText)
    : hasTextArguments
    ? messages.map(withTextArguments)
    : messages;
  if (functions.length === 0) return { messages: told };
  if (!isInTemplate) return { messages: withSystemText(told, instructions(functions, format)) };
  const tools = functions.map(onWire);
  if (!isToldBySystem) return { messages: told, tools };
  const list = JSON.stringify(tools.map((each) => each.function));
  const [first, ...rest] = withSystemText(told, "");
  return { messages: [{ ...first, tools: list }, ...rest] };
}

/** `text` behind what the system's message says. */
function withSystemText(messages: readonly ChatMessage[], text: string): ChatMessage[] {
  const [first, ...rest] = messages;
  if (first?.role !== "system") return [{ role: "system", content: text }, ...messages];
  const content = text === "" ? first.content : `${first.content}\n\n${text}`;
  return [{ ...first, content }, ...rest];
}

function instructions(functions: readonly ToolFunction[], format: CallFormat): string {
  const list = functions.map((each) => JSON.stringify(onWire(each).function)).join("\n");
  return "You may call these functions, given as JSON with a schema of their arguments:\n" +
    `${list}\n` +
    `To call one, answer with its name and arguments as JSON between tags, and nothing else:\n` +
    example(format);
}

/** A call as the model writes it. */
function example({ open, close, named }: CallFormat): string {
  if (named === undefined) {
    return `<tool_call>\n{"name": "the name", "arguments": {}}\n</tool_call>`;
  }
  const { begin, before, behind, after, end, hasNumbers } = named;
  const name = `the_name${hasNumbers ? ":0" : ""}`;
  return `${open}${begin}${before}${name}${behind}{}${after}${end}${close}`;
}

function inWords({ tool_calls: calls, tool_call_id: _id, ...message }: ChatMessage): ChatMessage {
  if (message.role === "tool") {
    return { role: "user", ...enclosed("<tool_response>\n", message, "\n</tool_response>") };
  }
  if (!Array.isArray(calls)) return message;
  const written = calls.map(({ function: { name, arguments: args } }) =>
    `<tool_call>\n${JSON.stringify({ name, arguments: args })}\n</tool_call>`
  );
  const texts = message.content === "" ? written : [message.content, ...written];
  return { ...message, content: texts.join("\n") };
}

/** Earlier calls as the model writes them, but for their tags, which users' texts cannot hold. */
function withCallsAsText(
  { tool_calls: calls, ...message }: ChatMessage,
  { hasPythonCalls }: CallFormat,
): ChatMessage {
  if (!Array.isArray(calls)) return message;
  const written = calls.map(({ function: { name, arguments: args } }) =>
    hasPythonCalls ? pythonCall(name, args) : JSON.stringify({ name, arguments: args })
  );
  const texts = [...message.content === "" ? [] : [message.content], `[${written.join(", ")}]`];
  return { ...message, content: texts.join("\n") };
}

/** What templates compare with `none` is no text to them; types say that every message has one. */
function withoutEmptyText(message: ChatMessage): ChatMessage {
  const isCall = Array.isArray(message.tool_calls) && message.content === "";
  return isCall ? { ...message, content: null as unknown as string } : message;
}

function withTextArguments({ tool_calls: calls, ...message }: ChatMessage): ChatMessage {
  if (!Array.isArray(calls)) return message;
  return {
    ...message,
    tool_calls: calls.map(({ function: { name, arguments: args }, ...call }) => ({
      ...call,
      function: { name, arguments: typeof args === "string" ? args : JSON.stringify(args) },
    })),
  };
}

function pythonCall(name: string, args: object): string {
  const list = Object.entries(args).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return `${name}(${list.join(", ")})`;
}
