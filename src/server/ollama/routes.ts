/** Ollama's paths. */
import type { Route } from "../route.ts";
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

const NDJSON = "application/x-ndjson";

const UNSUPPORTED: readonly Route[] = ["create", "copy", "push"].map((verb) => ({
  method: "POST",
  path: `/api/${verb}`,
  handle: unsupported,
  summary: "Not supported",
}));

/** Ollama's routes. */
export const OLLAMA_ROUTES: readonly Route[] = [
  {
    method: "POST",
    path: "/api/chat",
    handle: chat,
    summary: "Answers the last message of a conversation",
    body: chatSchema,
    promptField: "messages",
    stream: NDJSON,
  },
  {
    method: "POST",
    path: "/api/generate",
    handle: generate,
    summary: "Answers a prompt, continues it or fills a gap",
    body: generateSchema,
    promptField: "prompt",
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
    promptField: "input",
  },
  {
    method: "POST",
    path: "/api/embeddings",
    handle: embeddings,
    summary: "A text's vector",
    body: embeddingsSchema,
    promptField: "prompt",
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
