/**
 * Messages as some templates want them, and ends of prompts that they forget: Gemma 4's. Works on
 * messages and text; knows nothing of Jinja.
 */
import type { ChatMessage } from "../llm/types.ts";

/** What a template is told of a conversation, and what becomes of its prompt. */
export interface TemplateHabits {
  toMessages(messages: readonly ChatMessage[]): readonly ChatMessage[];
  /** The prompt with the beginning of the assistant's turn, where it was asked for. */
  toPrompt(rendered: string): string;
}

const GEMMA_TURN_END = "<turn|>\n";
const GEMMA_TURN = "<|turn>model\n";

export function habitsOf(template: string): TemplateHabits {
  const isGemma = template.includes("'<|turn>model");
  // Those of 2026-04 know answers of tools within the message that called them only.
  const wantsResponses = /\btool_responses\b/.test(template) && isGemma &&
    !template.includes("tool_call_id");
  return {
    toMessages: (messages) => wantsResponses ? withResponses(messages) : messages,
    // Behind answers to calls that came with text they close the turn and begin none.
    toPrompt: (rendered) =>
      isGemma && rendered.endsWith(GEMMA_TURN_END) ? rendered + GEMMA_TURN : rendered,
  };
}

interface Call {
  readonly id?: unknown;
  readonly function?: { readonly name?: unknown };
}

/** Answers of tools in the message that called them, and what was said of them behind it. */
function withResponses(messages: readonly ChatMessage[]): ChatMessage[] {
  const out: ChatMessage[] = [];
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i];
    const calls = callsOf(message);
    let end = i + 1;
    while (messages[end]?.role === "tool") end++;
    if (calls.length === 0 || end === i + 1) {
      out.push(message);
      continue;
    }
    const responses = messages.slice(i + 1, end).map((answer, at) => ({
      name: nameOf(answer, calls, at),
      response: answer.content,
    }));
    const next = messages[end];
    const goesOn = message.content === "" && next?.role === "assistant" &&
      callsOf(next).length === 0;
    const content = goesOn ? next.content : message.content;
    out.push({ ...message, tool_responses: responses, content });
    i = goesOn ? end : end - 1;
  }
  return out;
}

function callsOf({ role, tool_calls: calls }: ChatMessage): readonly Call[] {
  return role === "assistant" && Array.isArray(calls) ? calls : [];
}

/** The function that answered: the call's with that id, or the one at the same place. */
function nameOf({ name, tool_call_id: id }: ChatMessage, calls: readonly Call[], at: number) {
  const call = calls.find((each) => id !== undefined && each.id === id);
  return call?.function?.name ?? name ?? calls[at]?.function?.name ?? "unknown";
}
