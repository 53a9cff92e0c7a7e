/** The handlers that turn text into ids and back, as llama.cpp's server has them. */
import type { Context } from "hono";
import { z } from "zod";
import type { LanguageModel } from "../../llm/types.ts";
import { readWork, withModel } from "../answers/answer.ts";
import type { ServerEnv } from "../guards.ts";
import { chatAsk } from "../openai/handlers.ts";
import { CHAT_FIELDS_AS_HINTS, conversationFields } from "../openai/chat_request.ts";
import { toConversation } from "../openai/chat_request.ts";
import { withOthers } from "../known_fields.ts";
import type { AppSettings } from "../options.ts";
import { listOf, optional } from "../parse_fields.ts";
import { planTools } from "../tools/tool_plan.ts";

const model = optional(z.string().max(512));
const IDS_MAX = 2 ** 20;

export const tokenizeSchema = z.object({
  model,
  content: z.string(),
  add_special: optional(z.boolean()),
  parse_special: optional(z.boolean()),
  with_pieces: optional(z.boolean()),
});

/** Ids of a text. */
export async function tokenize(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const fields = await readWork(c, settings, tokenizeSchema);
  return await withModel(c, settings, { id: fields.model }, ({ lease }) => {
    const { add_special: bos = false, parse_special: special = true } = fields;
    const ids = lease.model.encodeText(fields.content.toWellFormed(), { bos, special });
    const tokens = fields.with_pieces
      ? ids.map((id) => ({ id, piece: pieceOf(lease.model, id) }))
      : ids;
    return Response.json({ tokens });
  });
}

/** A token's text, or its bytes where they are no text of their own. */
function pieceOf(model: LanguageModel, id: number): string | number[] {
  const bytes = model.tokenBytes(id);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return [...bytes];
  }
}

export const detokenizeSchema = z.object({
  model,
  tokens: listOf(z.int().min(0).max(2 ** 31 - 1), { max: IDS_MAX }),
});

/** Text of ids; control tokens have none. */
export async function detokenize(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const fields = await readWork(c, settings, detokenizeSchema);
  return await withModel(
    c,
    settings,
    { id: fields.model },
    ({ lease }) => Response.json({ content: lease.model.decode(fields.tokens) }),
  );
}

/** Whole requests for answers are welcome: it is only their conversation that counts. */
export const conversationSchema = withOthers(
  z.object({ model, ...conversationFields }),
  CHAT_FIELDS_AS_HINTS,
);

/** A conversation as the model reads it. */
export async function applyTemplate(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  const fields = await readWork(c, settings, conversationSchema);
  return await withModel(c, settings, { id: fields.model }, ({ lease }) => {
    const { messages, tools, variables, addGenerationPrompt } = toConversation(fields);
    const plan = planTools(lease.model, messages, tools);
    const text = lease.model.renderChat(plan.messages, {
      ...(plan.tools !== undefined && { tools: plan.tools }),
      ...(variables !== undefined && { variables }),
      ...(addGenerationPrompt !== undefined && { addGenerationPrompt }),
    });
    return Response.json({ prompt: text + plan.opening });
  });
}

/** How many tokens a conversation takes. */
export async function countChatTokens(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  const fields = await readWork(c, settings, conversationSchema);
  return await withModel(c, settings, { id: fields.model }, async (work) => {
    const conversation = toConversation(fields);
    const { prompts: [{ ids }] } = await chatAsk(work, {
      ...{ conversation, format: {}, request: {} },
      isCounted: true,
    });
    return Response.json({ object: "response.input_tokens", input_tokens: ids.length });
  });
}
