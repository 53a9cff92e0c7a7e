/**
 * A conversation as templates of Harmony's form read it: one call a message, its result behind it,
 * thoughts by another name, and all of a system's words at the beginning. Pure.
 */
import type { ChatMessage } from "../../llm/types.ts";

/** `messages` for such a template, which leaves out or refuses what is not in that form. */
export function harmonyMessages(messages: readonly ChatMessage[]): ChatMessage[] {
  const isSystem = ({ role }: ChatMessage) => role === "system";
  const told = messages.filter(isSystem).map(({ content }) => content).join("\n\n");
  const out: ChatMessage[] = told === "" ? [] : [{ role: "system", content: told }];
  const rest = messages.filter((message) => !isSystem(message));
  for (let i = 0; i < rest.length;) {
    const calls = callsOf(rest[i]);
    if (calls.length === 0) {
      out.push(withThinking(rest[i++]));
      continue;
    }
    const caller = rest[i++];
    const results: ChatMessage[] = [];
    while (rest[i]?.role === "tool") results.push(rest[i++]);
    out.push(...oneByOne(caller, calls, results));
  }
  return out;
}

interface Call {
  readonly id?: unknown;
}

function callsOf({ tool_calls: calls }: ChatMessage): readonly Call[] {
  return Array.isArray(calls) ? calls : [];
}

/** Each call and what came of it: by id, or in order where results have none. */
function oneByOne(
  caller: ChatMessage,
  calls: readonly Call[],
  results: readonly ChatMessage[],
): ChatMessage[] {
  const left = [...results];
  const resultOf = ({ id }: Call): ChatMessage[] => {
    const at = left.findIndex(({ tool_call_id: of }) => of === undefined || of === id);
    return at < 0 ? [] : left.splice(at, 1);
  };
  const messages = calls.flatMap((call, index) => {
    const { reasoning_content: _thoughts, ...bare } = caller;
    const message = index === 0 ? withThinking(caller) : { ...bare, content: "" };
    return [{ ...message, tool_calls: [call] }, ...resultOf(call)];
  });
  return [...messages, ...left];
}

/** Beside a call there may be either thoughts or text. */
function withThinking({ reasoning_content: thinking, ...message }: ChatMessage): ChatMessage {
  if (typeof thinking !== "string" || thinking === "") return message;
  const content = callsOf(message).length > 0 ? "" : message.content;
  return { ...message, content, thinking };
}
