/** The handlers of `/v1/chat/completions` and `/v1/completions`: body to prompts to answer. */
import type { Context } from "hono";
import type { LanguageModel } from "../llm/types.ts";
import { answer, type Prompt } from "./answer.ts";
import { parseChatRequest } from "./chat_request.ts";
import { type CompletionPrompt, parseCompletionRequest } from "./completion_request.ts";
import type { ServerEnv } from "./guards.ts";
import { loadingError, shutdownError } from "./http_errors.ts";
import { acquireModel } from "./model_source.ts";
import type { AppSettings } from "./options.ts";
import { readJsonObject } from "./request_body.ts";
import type { AnswerOptions } from "./request_fields.ts";
import { answerHead, type AnswerKind } from "./wire.ts";

/** Answers the last message of a conversation. */
export async function chatCompletions(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  refuseWhenUnavailable(settings);
  const options = parseChatRequest(await readJsonObject(c.req.raw, settings));
  return await reply(c, settings, {
    kind: "chat",
    options,
    encode: (model) => [{ ids: model.encodeChat(options.messages), echo: "" }],
  });
}

/** Continues prompts. */
export async function completions(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  refuseWhenUnavailable(settings);
  const options = parseCompletionRequest(await readJsonObject(c.req.raw, settings));
  return await reply(c, settings, {
    kind: "text",
    options,
    encode: (model) => options.prompts.map((prompt) => encodePrompt(model, prompt, options.echo)),
  });
}

function refuseWhenUnavailable(settings: AppSettings): void {
  if (settings.lifecycle.isDraining) throw shutdownError();
  if (settings.models.state === "loading") throw loadingError();
}

function encodePrompt(model: LanguageModel, prompt: CompletionPrompt, echo: boolean): Prompt {
  if ("text" in prompt) {
    return { ids: model.encodePrompt(prompt.text), echo: echo ? prompt.text : "" };
  }
  return { ids: prompt.ids, echo: echo ? model.decode(prompt.ids) : "" };
}

interface Reply {
  readonly kind: AnswerKind;
  readonly options: AnswerOptions;
  readonly encode: (model: LanguageModel) => readonly Prompt[];
}

async function reply(
  c: Context<ServerEnv>,
  settings: AppSettings,
  { kind, options, encode }: Reply,
): Promise<Response> {
  const request = c.req.raw;
  const lease = await acquireModel(settings.models, options.model, { signal: request.signal });
  const { model } = lease;
  try {
    const prompts = encode(model);
    const head = answerHead(kind, model.id);
    const requestId = c.get("requestId");
    return await answer({ settings, lease, prompts, options, head, request, requestId });
  } catch (error) {
    lease.release();
    throw error;
  }
}
