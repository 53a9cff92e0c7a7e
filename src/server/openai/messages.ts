/** Messages of a chat as OpenAI's clients write them, to what chat templates read. */
import { z } from "zod";
import type { ChatMessage } from "../../llm/types.ts";
import { anyObject, isShallow, listOf, optional } from "../parse_fields.ts";

const ROLES = ["system", "developer", "user", "assistant", "tool", "function"] as const;

const toolCall = z.object({
  id: optional(z.string().max(256)),
  type: optional(z.literal("function", "this server knows calls of functions only")),
  function: z.object({
    name: z.string().max(256),
    arguments: z.union([z.string(), anyObject], "expected JSON"),
  }),
});

export const CONTENT_SCHEMA = {
  anyOf: [
    { type: "string" },
    {
      type: "array",
      items: {
        type: "object",
        properties: { type: { enum: ["text", "refusal"] }, text: { type: "string" } },
        required: ["type"],
      },
    },
    { type: "null" },
  ],
};

/** One message; its output is well-formed text. */
const messageSchema = z.object({
  role: z.enum(ROLES, `expected ${ROLES.map((role) => `"${role}"`).join(", ")}`),
  content: z.unknown().optional().meta(CONTENT_SCHEMA),
  name: optional(z.string().max(256)),
  reasoning_content: optional(z.string()),
  refusal: optional(z.string()),
  tool_calls: optional(listOf(toolCall)),
  tool_call_id: optional(z.string().max(256)),
  function_call: optional(toolCall.shape.function),
}).transform((message, context): ChatMessage => {
  const { role, name, tool_call_id: callId } = message;
  const calls = message.tool_calls ??
    (message.function_call && [{ function: message.function_call }]);
  const mayBeEmpty = role === "assistant";
  const written = message.content ?? (mayBeEmpty ? message.refusal ?? "" : undefined);
  const content = contentText(written, context);
  if (calls !== undefined && role !== "assistant") {
    context.addIssue({ code: "custom", path: ["tool_calls"], message: "only assistants call" });
  }
  return {
    // "developer" is a newer name for the same thing, and "function" an older one, which templates
    // do not know.
    role: role === "developer" ? "system" : role === "function" ? "tool" : role,
    content: content.toWellFormed(),
    ...wellFormed({ name, reasoning_content: message.reasoning_content, tool_call_id: callId }),
    ...(calls !== undefined && calls.length > 0 && { tool_calls: calls.map(callForTemplate) }),
  };
});

/** The conversation of a request. */
export const messagesSchema = listOf(messageSchema, {
  min: 1,
  minMessage: "expected at least one message",
});

function wellFormed(fields: Readonly<Record<string, string | undefined>>) {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, text]) =>
      text === undefined ? [] : [[name, text.toWellFormed()]]
    ),
  );
}

/** Templates want the arguments as an object, the wire has them as text. */
function callForTemplate(
  { id, function: { name, arguments: args } }: {
    readonly id?: string;
    readonly function: z.infer<typeof toolCall>["function"];
  },
) {
  return {
    ...(id !== undefined && { id }),
    type: "function",
    function: { name, arguments: typeof args === "string" ? objectOf(args) : args },
  };
}

/**
 * Arguments as an object, which templates go through. A model wrote them: where they are cut off,
 * or no object, they are shown as one that has them.
 */
export function objectOf(text: string): object {
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    if (isObject && isShallow(value)) return value;
  } catch {
    // No JSON.
  }
  return { arguments: text };
}

/** A message's content is a text, or parts of which this server takes texts only. */
export function contentText(
  content: unknown,
  context: z.RefinementCtx,
  field = "content",
): string {
  if (typeof content === "string") return content;
  const refuse = (path: PropertyKey[], message: string) => {
    context.addIssue({ code: "custom", path: [field, ...path], message });
    return "";
  };
  if (!Array.isArray(content)) return refuse([], "expected a string or a list of parts");
  const texts: string[] = [];
  for (const [index, part] of content.entries()) {
    const { type, text, refusal } = Object(part) as Record<string, unknown>;
    const isText = TEXT_TYPES.has(type);
    if (isText && typeof text === "string") texts.push(text);
    else if (type === "refusal" && typeof refusal === "string") texts.push(refusal);
    else if (isText) return refuse([index, "text"], "expected a string");
    else {
      const isPart = typeof type === "string";
      return refuse(
        [index],
        isPart
          ? `parts of type ${JSON.stringify(type.slice(0, 40))} are not supported by this server`
          : "expected a part with a type",
      );
    }
  }
  return texts.join("");
}

/** The first in chats, the others in responses. */
const TEXT_TYPES: ReadonlySet<unknown> = new Set(["text", "input_text", "output_text"]);
