/** Messages of a chat as OpenAI's clients write them, to what chat templates read. */
import { z } from "zod";
import { isJsonObject } from "../../base/json_object.ts";
import type { ChatMessage } from "../../llm/types.ts";
import {
  type ContentFields,
  MessageContent,
  readBase64,
  readImageUrl,
  refusal,
} from "../message_images.ts";
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
        properties: {
          type: { enum: ["text", "refusal", "image_url", "input_audio"] },
          text: { type: "string" },
          image_url: {
            type: "object",
            properties: { url: { type: "string", description: "data:image/png;base64,…" } },
          },
          input_audio: {
            type: "object",
            properties: {
              data: {
                type: "string",
                description: "WAV, MP3, FLAC, M4A, AAC, Opus or WebM, in base64",
              },
              format: { type: "string", description: "the file itself says what it is" },
            },
          },
        },
        required: ["type"],
      },
    },
    { type: "null" },
  ],
};

/** One message; its output is well-formed text, images and sounds. */
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
  const hasImages = role === "user" || role === "tool";
  const content = contentOf(written, context, { hasImages });
  if (calls !== undefined && role !== "assistant") {
    context.addIssue({ code: "custom", path: ["tool_calls"], message: "only assistants call" });
  }
  return {
    // "developer" is a newer name for the same thing, and "function" an older one, which templates
    // do not know.
    role: role === "developer" ? "system" : role === "function" ? "tool" : role,
    ...content,
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
    if (isJsonObject(value) && isShallow(value)) return value;
  } catch {
    // No JSON.
  }
  return { arguments: text };
}

/** A message's content: a text, or parts of it with images and sounds between them. */
export function contentOf(
  content: unknown,
  context: z.RefinementCtx,
  { field = "content", hasImages = false }: { field?: string; hasImages?: boolean } = {},
): ContentFields {
  const at = (...path: PropertyKey[]) => refusal(context, [field, ...path]);
  const message = new MessageContent(at());
  if (typeof content === "string") message.addText(content);
  else if (!Array.isArray(content)) at()("expected a string or a list of parts");
  else {
    for (const [index, part] of content.entries()) {
      const { type, text, refusal: refused, image_url: url, input_audio: audio } = Object(part);
      if (TEXT_TYPES.has(type)) {
        if (typeof text !== "string") at(index, "text")("expected a string");
        else message.addText(text);
      } else if (type === "refusal" && typeof refused === "string") message.addText(refused);
      else if (hasImages && (type === "image_url" || type === "input_image")) {
        const isWrapped = typeof url === "object" && url !== null;
        message.addImage(readImageUrl(isWrapped ? url.url : url, at(index, "image_url")));
      } else if (hasImages && type === "input_audio") {
        const refuse = at(index, "input_audio", "data");
        message.addImage(readBase64(Object(audio).data, refuse, "a sound"), "sound");
      } else at(index)(unknownPart(type, hasImages));
    }
  }
  return message.fields;
}

function unknownPart(type: unknown, hasImages: boolean): string {
  if (typeof type !== "string") return "expected a part with a type";
  if (!hasImages && type.endsWith("image") || type === "image_url" || type === "input_audio") {
    return "only messages of users, and what tools answer, have images or sounds";
  }
  return `parts of type ${JSON.stringify(type.slice(0, 40))} are not supported by this server`;
}

/** The first in chats, the others in responses. */
const TEXT_TYPES: ReadonlySet<unknown> = new Set(["text", "input_text", "output_text"]);
