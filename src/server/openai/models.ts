/** The handlers of `/v1/models`. */
import type { Context } from "hono";
import type { ServerEnv } from "../guards.ts";
import { loadingError } from "../http_errors.ts";
import { type ModelCard, modelNotFound } from "../model_source.ts";
import type { AppSettings } from "../options.ts";

/** All models that can be asked for. */
export function listModels(_c: Context<ServerEnv>, { models }: AppSettings): Response {
  return Response.json({ object: "list", data: models.list().map(modelOnWire) });
}

/** One of them, as it is named: requests may be answered under other names, this one is not. */
export function showModel(c: Context<ServerEnv>, { models }: AppSettings): Response {
  const id = c.req.param("id");
  const card = models.list().find((each) => each.id === id);
  if (card !== undefined) return Response.json(modelOnWire(card));
  if (models.state === "loading") throw loadingError();
  throw modelNotFound(models, id);
}

function modelOnWire({ id, created, contextLength }: ModelCard) {
  return {
    id,
    object: "model",
    created,
    owned_by: "ganglion",
    ...(contextLength !== undefined && { context_length: contextLength }),
  };
}
