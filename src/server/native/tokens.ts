/** The handlers that turn text into ids and back, as llama.cpp's server has them. */
import type { Context } from "hono";
import { z } from "zod";
import { inTurns } from "../../base/steps.ts";
import type { LanguageModel } from "../../llm/types.ts";
import { answerOnce, readWork, withModel } from "../answers/answer.ts";
import { jsonInPieces, listPieces, memberPieces, numberPieces } from "../answers/json_pieces.ts";
import type { ServerEnv } from "../guards.ts";
import { fieldError } from "../http_errors.ts";
import { withOthers } from "../known_fields.ts";
import {
  CHAT_FIELDS_AS_HINTS,
  conversationFields,
  toConversation,
} from "../openai/chat_request.ts";
import { countAsked } from "../openai/handlers.ts";
import { inputTokens } from "../openai/wire.ts";
import type { AppSettings } from "../options.ts";
import { optional } from "../parse_fields.ts";
import { planTools } from "../tools/tool_plan.ts";

const model = optional(z.string().max(512));
const IDS_MAX = 2 ** 20;
const ID_MAX = 2 ** 31 - 1;

export const tokenizeSchema = z.object({
  model,
  content: z.string(),
  add_special: optional(z.boolean()),
  parse_special: optional(z.boolean()),
  with_pieces: optional(z.boolean()),
});

/** Ids of a text, which may be as long as a body: other requests have their turns meanwhile. */
export async function tokenize(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const fields = await readWork(c, settings, tokenizeSchema);
  return await answerOnce(c, settings, { id: fields.model }, async (model, signal) => {
    const { add_special: bos = false, parse_special: special = true } = fields;
    const steps = model.inSteps.text(fields.content.toWellFormed(), { bos, special });
    const ids = await inTurns(steps, signal);
    const tokens = fields.with_pieces ? listPieces(ids, pieceWriter(model)) : numberPieces(ids);
    return jsonInPieces(settings, memberPieces("tokens", tokens, {}));
  });
}

/** Ids with their pieces as JSON, each piece written once: a text has most of them often. */
function pieceWriter(model: LanguageModel): (id: number) => string {
  const written = new Map<number, string>();
  return (id) => {
    let token = written.get(id);
    if (token === undefined) {
      written.set(id, token = JSON.stringify({ id, piece: pieceOf(model, id) }));
    }
    return token;
  };
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
  tokens: z.unknown().transform((value, context): readonly number[] => {
    const fault = faultOfIds(value);
    if (fault === null) return value as number[];
    context.addIssue({ code: "custom", ...fault });
    return z.NEVER;
  }).meta({ type: "array", items: { type: "integer" } }),
});

/** By hand: a million ids, each by a schema of its own, would take a third of a second. */
function faultOfIds(value: unknown): { message: string; path: number[] } | null {
  if (!Array.isArray(value)) return { message: "expected a list of token ids", path: [] };
  if (value.length > IDS_MAX) return { message: `expected at most ${IDS_MAX} ids`, path: [] };
  const wrong = value.findIndex((id) => !Number.isInteger(id) || id < 0 || id > ID_MAX);
  return wrong < 0 ? null : { message: "expected a token id", path: [wrong] };
}

/** Text of ids; control tokens have none. */
export async function detokenize(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const fields = await readWork(c, settings, detokenizeSchema);
  return await withModel(
    c,
    settings,
    { id: fields.model },
    ({ lease: { model } }) => {
      const { vocabSize = Infinity } = model.details ?? {};
      const wrong = fields.tokens.findIndex((id) => id >= vocabSize);
      if (wrong < 0) return Response.json({ content: model.decode(fields.tokens) });
      throw fieldError(
        `tokens[${wrong}]`,
        `${fields.tokens[wrong]} is no token of this model: its ids are below ${vocabSize}`,
        "invalid_token_id",
      );
    },
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
    const asked = { conversation: toConversation(fields), format: {} };
    return Response.json(inputTokens(await countAsked(work, asked)));
  });
}
