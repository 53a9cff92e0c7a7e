/** The handlers of `/v1/chat/completions` and `/v1/completions`: body to prompts to answer. */
import type { Context } from "hono";
import { RequestError } from "../base/errors.ts";
import type { LanguageModel } from "../llm/types.ts";
import { answer, type Prompt } from "./answer.ts";
import { parseChatRequest } from "./chat_request.ts";
import { type CompletionPrompt, parseCompletionRequest } from "./completion_request.ts";
import type { ServerEnv } from "./guards.ts";
import { loadingError, shutdownError } from "./http_errors.ts";
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
  const model = findModel(settings, options.model);
  const ids = model.encodeChat(options.messages);
  return await reply(c, settings, { kind: "chat", model, options, prompts: [{ ids, echo: "" }] });
}

/** Continues prompts. */
export async function completions(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  refuseWhenUnavailable(settings);
  const options = parseCompletionRequest(await readJsonObject(c.req.raw, settings));
  const model = findModel(settings, options.model);
  const prompts = options.prompts.map((prompt) => encodePrompt(model, prompt, options.echo));
  return await reply(c, settings, { kind: "text", model, options, prompts });
}

/**
 * The model of that name, or the default one.
 * @throws {RequestError} 404 when there is none; 503 while loading.
 */
export function findModel(settings: AppSettings, id: string | undefined): LanguageModel {
  // Clients that do not care send an empty name.
  const model = settings.models.get(id || undefined);
  if (model) return model;
  if (settings.models.state === "loading") throw loadingError();
  throw modelNotFound(settings, id);
}

/** 404, with the names that there are. */
export function modelNotFound(settings: AppSettings, id: string | undefined): RequestError {
  const names = settings.models.list().map((card) => card.id);
  return new RequestError(
    `The model ${JSON.stringify(id ?? "")} does not exist here: ` +
      `choose one of ${JSON.stringify(names.slice(0, 20))}`,
    { status: 404, code: "model_not_found", param: "model" },
  );
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
  readonly model: LanguageModel;
  readonly options: AnswerOptions;
  readonly prompts: readonly Prompt[];
}

function reply(c: Context<ServerEnv>, settings: AppSettings, parts: Reply): Promise<Response> {
  const { kind, model, options, prompts } = parts;
  return answer({
    settings,
    model,
    prompts,
    options,
    head: answerHead(kind, model.id),
    request: c.req.raw,
    requestId: c.get("requestId"),
  });
}
