/**
 * Which models are in memory, and letting them go: `GET /models`, `POST /models/load` and
 * `POST /models/unload`, as llama.cpp's router has them. What `ganglion ps` and `stop` ask.
 */
import type { Context } from "hono";
import { z } from "zod";
import { RequestError, withoutFolders } from "../base/errors.ts";
import type { ModelStatus } from "../models/types.ts";
import type { ServerEnv } from "./guards.ts";
import { acquireModel, type ModelCard, modelNotFound, type ModelSource } from "./model_source.ts";
import { modalitiesOf } from "./openai/models.ts";
import type { AppSettings } from "./options.ts";
import { readFields } from "./read_fields.ts";

/** A source that loads and unloads: src/models. */
export interface ManagedModels extends ModelSource {
  list(): readonly (ModelCard & ModelStatus)[];
  /** Lets a model go when its requests have ended; false: there is none of that name. */
  unload(id: string): boolean;
}

/** The body of both: a model's name. */
export const nameSchema = z.object({ model: z.string().min(1).max(512) });

/** Every model and its state. */
export function listStates(_c: Context<ServerEnv>, { models }: AppSettings): Response {
  const data = isManaged(models) ? models.list().map(stateOnWire) : models.list().map((card) => ({
    ...{ id: card.id, object: "model", status: { value: "loaded" } },
    ...modalitiesOf(card),
  }));
  return Response.json({ object: "list", data });
}

/** Loads a model, waiting until it is there. */
export async function load(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const id = await readName(c, settings);
  const lease = await acquireModel(settings.models, id, { signal: c.req.raw.signal });
  lease.release();
  return Response.json({ success: true, model: lease.model.id });
}

/** Lets a model go as soon as its requests have ended. */
export async function unload(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const { models } = settings;
  const id = await readName(c, settings);
  if (!isManaged(models)) {
    throw new RequestError("This server's models stay loaded: it was not started with a registry", {
      status: 400,
      code: "not_supported",
    });
  }
  if (!models.unload(id)) throw modelNotFound(models, id);
  return Response.json({ success: true, model: id });
}

/** True of a source that loads and unloads. */
export function isManaged(models: ModelSource): models is ManagedModels {
  return "unload" in models;
}

/** llama.cpp's words for the states. */
const STATES = {
  unloaded: "unloaded",
  loading: "loading",
  ready: "loaded",
  unloading: "unloading",
};

function stateOnWire(status: ModelCard & ModelStatus) {
  const { id, state, bytes, leases, waiting, contextLength, expiresAt, loadFailure } = status;
  const { loadedShare } = status;
  return {
    ...{ id, object: "model" },
    status: {
      value: STATES[state],
      ...loadedShare === null ? {} : { progress: loadedShare },
      ...loadFailure === null
        ? {}
        : { failed: true, error: withoutFolders(loadFailure.message).toWellFormed() },
    },
    ...{ bytes, requests: leases, waiting, context_length: contextLength ?? null },
    expires_at: expiresAt?.toISOString() ?? null,
    ...modalitiesOf(status),
  };
}

async function readName(c: Context<ServerEnv>, settings: AppSettings): Promise<string> {
  return (await readFields(c, settings, nameSchema)).model;
}
