/** The handlers of `/v1/models` for Anthropic's clients. */
import type { Context } from "hono";
import type { ServerEnv } from "../guards.ts";
import type { ModelCard } from "../model_source.ts";
import { cardOf, createdOf } from "../openai/models.ts";
import type { AppSettings } from "../options.ts";
import { capabilitiesOf } from "./capabilities.ts";

/** All models that can be asked for, on one page. */
export function listModels(_c: Context<ServerEnv>, settings: AppSettings): Response {
  const data = settings.models.list().map((card) => modelOnWire(card, settings));
  return Response.json({
    data,
    has_more: false,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
  });
}

/** One of them. */
export function showModel(c: Context<ServerEnv>, settings: AppSettings): Response {
  return Response.json(modelOnWire(cardOf(c, settings), settings));
}

function modelOnWire(card: ModelCard, { models }: AppSettings) {
  const { id, contextLength = null, details } = card;
  return {
    type: "model",
    id,
    display_name: id,
    created_at: new Date(createdOf(card, models) * 1e3).toISOString(),
    max_input_tokens: contextLength,
    max_tokens: contextLength,
    capabilities: capabilitiesOf(details),
  };
}
