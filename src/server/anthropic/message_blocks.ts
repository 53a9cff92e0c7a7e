/**
 * Messages as Anthropic's clients write them, texts or lists of blocks, to what chat templates
 * read. Pure; knows no other field of a request.
 */
import { z } from "zod";
import type { ChatMessage } from "../../llm/types.ts";
import {
  type ContentFields,
  enclosed,
  MessageContent,
  readBase64,
  refusal,
} from "../message_images.ts";
import { anyObject, listOf, optional } from "../parse_fields.ts";

const textBlock = z.object({ type: z.literal("text"), text: z.string() });
const blockId = z.string().max(256);

const imageBlock = z.object({
  type: z.literal("image"),
  source: z.object({
    type: z.literal("base64", 'expected "base64": this server fetches nothing from other hosts'),
    media_type: optional(z.string().max(256)),
    data: z.unknown().meta({ type: "string" }).transform((text, context) =>
      readBase64(text, refusal(context, [])) ?? z.NEVER
    ),
  }),
});

/** What tools say; documents are blocks, too, but none that a model here could read. */
const resultContent = optional(z.union(
  [
    z.string(),
    listOf(z.discriminatedUnion("type", [textBlock, imageBlock], { error: unknownBlock })),
  ],
  "expected a string or a list of blocks",
));

const block = z.discriminatedUnion("type", [
  textBlock,
  imageBlock,
  z.object({ type: z.literal("thinking"), thinking: z.string() }),
  z.object({ type: z.literal("redacted_thinking") }),
  z.object({
    type: z.literal("tool_use"),
    id: blockId,
    name: z.string().max(256),
    input: optional(anyObject),
  }),
  z.object({
    type: z.literal("tool_result"),
    tool_use_id: blockId,
    content: resultContent,
    is_error: optional(z.boolean()),
  }),
], { error: unknownBlock });

type Block = z.output<typeof block>;
type Role = "user" | "assistant" | "system";

/** Which blocks a message of a role may have. */
const BLOCKS_OF: Readonly<Record<Role, readonly Block["type"][]>> = {
  user: ["text", "image", "tool_result"],
  assistant: ["text", "thinking", "redacted_thinking", "tool_use"],
  system: ["text"],
};

interface Turn {
  readonly role: Role;
  readonly blocks: readonly Block[];
}

const message = z.object({
  role: z.enum(["user", "assistant", "system"], `expected "user" or "assistant"`),
  content: z.union(
    [z.string().transform((text): Block[] => [{ type: "text", text }]), listOf(block)],
    "expected a string or a list of blocks",
  ),
}).transform(({ role, content: blocks }, context): Turn => {
  const at = blocks.findIndex(({ type }) => !BLOCKS_OF[role].includes(type));
  if (at >= 0) {
    const reason = `messages of "${role}" have no blocks of type "${blocks[at].type}"`;
    context.addIssue({ code: "custom", path: ["content", at], message: reason });
  }
  return { role, blocks };
});

/** The conversation of a request. */
export const messagesField = listOf(message, {
  min: 1,
  minMessage: "expected at least one message",
}).transform(toMessages);

/** What a model is told before a conversation: a text, or blocks of it. */
export const systemField = optional(z.union(
  [
    z.string().transform((text) => text.toWellFormed()),
    listOf(textBlock).transform((blocks) => apart(textsOf(blocks).filter(isForModels))),
  ],
  "expected a string or a list of text blocks",
));

/** Claude Code begins with words to a server that bills it, which change from time to time. */
function isForModels(text: string): boolean {
  return !text.startsWith("x-anthropic-billing-header:");
}

/** Messages of one side that follow one another are one turn, as templates want it. */
function toMessages(turns: readonly Turn[]): ChatMessage[] {
  const first = turns.findIndex(({ role }) => role !== "system");
  const opening = turns.slice(0, first < 0 ? turns.length : first);
  const messages: ChatMessage[] = [];
  if (opening.length > 0) messages.push({ role: "system", content: apart(opening.map(textOf)) });
  for (let at = opening.length; at < turns.length;) {
    const before = at;
    const isAnswer = turns[at].role === "assistant";
    while (at < turns.length && (turns[at].role === "assistant") === isAnswer) at++;
    const all = turns.slice(before, at);
    messages.push(...isAnswer ? [assistantMessage(all)] : userMessages(all));
  }
  return messages;
}

function textOf({ blocks }: Turn): string {
  return apart(textsOf(blocks));
}

/** What tools answered stands behind their calls, whatever else was said. */
function userMessages(turns: readonly Turn[]): ChatMessage[] {
  const results = turns.flatMap(({ blocks }) =>
    blocks.flatMap((each) => each.type === "tool_result" ? [resultMessage(each)] : [])
  );
  const said = turns.filter(({ blocks }) => blocks.some(isSaid));
  if (said.length === 0 && results.length > 0) return results;
  const blocks = said.flatMap((turn): readonly Said[] =>
    turn.role === "system"
      ? [{ type: "text", text: reminder(textOf(turn)) }]
      : turn.blocks.filter(isSaid)
  );
  return [...results, { role: "user", ...contentOf(blocks) }];
}

type Said = Extract<Block, { type: "text" | "image" }>;

function isSaid(block: Block): block is Said {
  return block.type === "text" || block.type === "image";
}

/** Texts apart from one another, images between them. */
function contentOf(blocks: readonly Said[]): ContentFields {
  const message = new MessageContent();
  let isBehindText = false;
  for (const block of blocks) {
    if (block.type === "image") message.addImage(block.source.data);
    else if (block.text === "") continue;
    else message.addText(isBehindText ? `\n\n${block.text}` : block.text);
    isBehindText = block.type === "text";
  }
  return message.fields;
}

/**
 * What a system says amid a conversation. Templates refuse such messages, or put them first, so
 * that all that was read before is read anew. Claude Code tells models what these tags are.
 */
function reminder(text: string): string {
  return `<system-reminder>\n${text}\n</system-reminder>`;
}

/** Templates know no failed results: words say it. */
function resultMessage(
  { tool_use_id: id, content = "", is_error: isError }: Extract<Block, { type: "tool_result" }>,
): ChatMessage {
  const said = contentOf(typeof content === "string" ? [{ type: "text", text: content }] : content);
  const told = isError ? enclosed("Error: ", said, "") : said;
  return { role: "tool", ...told, tool_call_id: id.toWellFormed() };
}

/** Whether a model is shown what it thought before is for its template to say. */
function assistantMessage(turns: readonly Turn[]): ChatMessage {
  const blocks = turns.flatMap((turn) => turn.blocks);
  const thoughts = blocks.flatMap((each) =>
    each.type === "thinking" ? [each.thinking.toWellFormed()] : []
  );
  const calls = blocks.flatMap((each) => each.type === "tool_use" ? [callForTemplate(each)] : []);
  const reasoning = apart(thoughts);
  return {
    role: "assistant",
    // A server may cut one text into blocks anywhere, and did where it cited.
    content: apart(turns.map(({ blocks }) => textsOf(blocks).join(""))),
    ...(reasoning !== "" && { reasoning_content: reasoning }),
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}

function callForTemplate({ id, name, input = {} }: Extract<Block, { type: "tool_use" }>) {
  return {
    id: id.toWellFormed(),
    type: "function",
    function: { name: name.toWellFormed(), arguments: input },
  };
}

function textsOf(blocks: readonly Block[]): string[] {
  return blocks.flatMap((each) => each.type === "text" ? [each.text.toWellFormed()] : []);
}

/** Texts that were put beside one another. */
export function apart(texts: readonly string[]): string {
  return texts.filter((text) => text !== "").join("\n\n");
}

function unknownBlock({ input }: { readonly input?: unknown }): string {
  const { type } = Object(input) as { type?: unknown };
  if (typeof type !== "string") return "expected a block with a type";
  return `blocks of type ${JSON.stringify(type.slice(0, 40))} are not supported here`;
}
