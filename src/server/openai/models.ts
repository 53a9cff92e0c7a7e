/** The handlers of `/v1/models`. */
import type { Context } from "hono";
import type { ServerEnv } from "../guards.ts";
import { loadingError } from "../http_errors.ts";
import { idOf, type ModelCard, modelNotFound, type ModelSource } from "../model_source.ts";
import type { AppSettings } from "../options.ts";

/** All models that can be asked for. */
export function listModels(_c: Context<ServerEnv>, { models }: AppSettings): Response {
  return Response.json({
    object: "list",
    data: models.list().map((card) => modelOnWire(card, models)),
  });
}

/** One of them, as it is named: requests may be answered under other names, this one is not. */
export function showModel(c: Context<ServerEnv>, { models }: AppSettings): Response {
  return Response.json(modelOnWire(cardOf(c, { models }), models));
}

/**
 * What is known of the model that a path ends with.
 * @throws {RequestError} 404 when there is none of that name; 503 while loading.
 */
export function cardOf(
  c: Context<ServerEnv>,
  { models }: Pick<AppSettings, "models">,
): ModelCard {
  const name = c.req.param("id") ?? "";
  const id = idOf(models, name);
  const card = models.list().find((each) => each.id === id);
  if (card !== undefined) return card;
  if (models.state === "loading") throw loadingError();
  throw modelNotFound(models, name);
}

/** Unix seconds; one that was never loaded is as old as its file. */
export function createdOf({ id, created }: ModelCard, models: ModelSource): number {
  return created || Math.floor((models.fileOf?.(id)?.modifiedMs ?? 0) / 1e3);
}

/** What goes in and what comes out, as OpenRouter's lists have it; nothing where it is unknown. */
export function modalitiesOf({ details }: ModelCard) {
  if (details === undefined) return {};
  const { uses } = details;
  return {
    architecture: {
      input_modalities: [
        "text",
        ...uses.includes("images") ? ["image"] : [],
        ...uses.includes("sounds") ? ["audio"] : [],
      ],
      output_modalities: uses.includes("writing")
        ? ["text"]
        : [uses.includes("ranking") ? "rerank" : "embeddings"],
    },
  };
}

function modelOnWire(card: ModelCard, models: ModelSource) {
  const { id, contextLength } = card;
  return {
    id,
    object: "model",
    created: createdOf(card, models),
    owned_by: "ganglion",
    ...(contextLength !== undefined && { context_length: contextLength }),
    ...modalitiesOf(card),
  };
}
