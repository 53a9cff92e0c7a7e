/** Ollama's paths. Their errors are texts, as its clients expect. */
import { RequestError } from "../../base/errors.ts";
import { errorResponse, toRequestError } from "../http_errors.ts";
import type { Handler, Route } from "../route.ts";
import { chat, chatSchema, generate, generateSchema } from "./answers.ts";
import { deleteSchema, pull, pullSchema, remove } from "./library.ts";
import {
  embed,
  embeddings,
  embeddingsSchema,
  embedSchema,
  running,
  show,
  showSchema,
  tags,
  unsupported,
  version,
} from "./models.ts";
import { errorOnWire } from "./wire.ts";

const NDJSON = "application/x-ndjson";

const UNSUPPORTED: readonly Route[] = ["create", "copy", "push"].map((verb) => ({
  method: "POST",
  path: `/api/${verb}`,
  handle: unsupported,
  summary: "Not supported",
}));

const ROUTES: readonly Route[] = [
  {
    method: "POST",
    path: "/api/chat",
    handle: chat,
    summary: "Answers the last message of a conversation",
    body: chatSchema,
    stream: NDJSON,
  },
  {
    method: "POST",
    path: "/api/generate",
    handle: generate,
    summary: "Answers a prompt, continues it or fills a gap",
    body: generateSchema,
    stream: NDJSON,
  },
  { method: "GET", path: "/api/tags", handle: tags, summary: "The models that can be asked for" },
  { method: "GET", path: "/api/ps", handle: running, summary: "The models that are loaded" },
  { method: "GET", path: "/api/version", handle: version, summary: "This server's version" },
  {
    method: "POST",
    path: "/api/show",
    handle: show,
    summary: "What is known of a model",
    body: showSchema,
  },
  {
    method: "POST",
    path: "/api/embed",
    handle: embed,
    summary: "Vectors of texts",
    body: embedSchema,
  },
  {
    method: "POST",
    path: "/api/embeddings",
    handle: embeddings,
    summary: "A text's vector",
    body: embeddingsSchema,
  },
  {
    method: "POST",
    path: "/api/pull",
    handle: pull,
    summary: "Downloads a model into the server's folder, where it has one",
    body: pullSchema,
    stream: NDJSON,
  },
  {
    method: "DELETE",
    path: "/api/delete",
    handle: remove,
    summary: "Deletes a model of the server's folder, where it has one",
    body: deleteSchema,
  },
  ...UNSUPPORTED,
];

/** Ollama's routes. */
export const OLLAMA_ROUTES: readonly Route[] = ROUTES.map((route) => ({
  ...route,
  handle: withTextErrors(route.handle),
}));

/** What `handle` throws becomes an answer whose error is a text. */
function withTextErrors(handle: Handler): Handler {
  return async (c, settings) => {
    try {
      return await handle(c, settings);
    } catch (error) {
      if (!(error instanceof RequestError)) settings.onError(error, c.get("requestId"));
      const failure = toRequestError(error);
      const { headers, status } = errorResponse(failure);
      const response = Response.json(errorOnWire(failure), { status });
      for (const name of ["retry-after", "connection", "x-should-retry"]) {
        const value = headers.get(name);
        if (value !== null) response.headers.set(name, value);
      }
      return response;
    }
  };
}
