/** Every path that the server answers, with what answers it and what its document says. */
import type { Context } from "hono";
import type { z } from "zod";
import type { ServerEnv } from "./guards.ts";
import { chatSchema } from "./openai/chat_request.ts";
import { completionSchema } from "./openai/completion_request.ts";
import { embeddings, embeddingsSchema } from "./openai/embeddings.ts";
import { chatCompletions, completions } from "./openai/handlers.ts";
import { listModels, showModel } from "./openai/models.ts";
import type { AppSettings } from "./options.ts";

export type Handler = (
  c: Context<ServerEnv>,
  settings: AppSettings,
) => Response | Promise<Response>;

/** A method of a path. HEAD goes where GET goes. */
export interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  /** Hono's way of writing it. */
  readonly path: string;
  readonly handle: Handler;
  readonly summary: string;
  /** Of its body. */
  readonly body?: z.ZodType;
}

/** Routes of the APIs; the page and those of operations are in app.ts. */
export const API_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/v1/models",
    handle: listModels,
    summary: "The models that can be asked for",
  },
  {
    method: "GET",
    // Names of models have slashes in them.
    path: "/v1/models/:id{.+}",
    handle: showModel,
    summary: "One model",
  },
  {
    method: "POST",
    path: "/v1/chat/completions",
    handle: chatCompletions,
    summary: "Answers the last message of a conversation",
    body: chatSchema,
  },
  {
    method: "POST",
    path: "/v1/completions",
    handle: completions,
    summary: "Continues prompts",
    body: completionSchema,
  },
  {
    method: "POST",
    path: "/v1/embeddings",
    handle: embeddings,
    summary: "Vectors of texts",
    body: embeddingsSchema,
  },
];
