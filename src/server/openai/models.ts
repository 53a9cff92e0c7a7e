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
  const name = c.req.param("id") ?? "";
  const id = idOf(models, name);
  const card = models.list().find((each) => each.id === id);
  if (card !== undefined) return Response.json(modelOnWire(card, models));
  if (models.state === "loading") throw loadingError();
  throw modelNotFound(models, name);
}

function modelOnWire({ id, created, contextLength }: ModelCard, models: ModelSource) {
  return {
    id,
    object: "model",
    // One that was never loaded is as old as its file.
    created: created || Math.floor((models.fileOf?.(id)?.modifiedMs ?? 0) / 1e3),
    owned_by: "ganglion",
    ...(contextLength !== undefined && { context_length: contextLength }),
  };
}
