/** Every path that the server answers, with what answers it and what its document says. */
import * as anthropicModels from "./anthropic/models.ts";
import { ANTHROPIC_ROUTES } from "./anthropic/routes.ts";
import { BATCH_ROUTES } from "./batches/routes.ts";
import { completionSchema as nativeSchema, infillSchema } from "./native/completion_fields.ts";
import { completion, infill } from "./native/completions.ts";
import {
  deleteConversation,
  listConversations,
  restoreConversation,
  restoreSchema,
  saveConversation,
  saveSchema,
} from "./native/conversations.ts";
import {
  applyTemplate,
  conversationSchema,
  countChatTokens,
  detokenize,
  detokenizeSchema,
  tokenize,
  tokenizeSchema,
} from "./native/tokens.ts";
import { isAnthropic } from "./http_errors.ts";
import { OLLAMA_ROUTES } from "./ollama/routes.ts";
import { chatSchema } from "./openai/chat_request.ts";
import { completionSchema } from "./openai/completion_request.ts";
import {
  embeddings,
  embeddingsSchema,
  rootEmbeddings,
  rootEmbeddingsSchema,
} from "./openai/embeddings.ts";
import { chatCompletions, completions } from "./openai/handlers.ts";
import { listModels, showModel } from "./openai/models.ts";
import { RERANK_ROUTES } from "./openai/rerank.ts";
import { TEI_ROUTES } from "./openai/tei_embed.ts";
import { responseSchema } from "./openai/response_request.ts";
import { countResponseTokens, responses } from "./openai/responses.ts";
import { TRANSCRIPTION_ROUTES } from "./openai/transcriptions.ts";
import type { Handler, Route } from "./route.ts";

/** One path of two APIs: Anthropic's clients say which version of theirs they speak. */
function byClient(handlers: { readonly anthropic: Handler; readonly openai: Handler }): Handler {
  return (c, settings) => handlers[isAnthropic(c) ? "anthropic" : "openai"](c, settings);
}

/** As llama.cpp's server has them, for clients whose base URL has no "/v1". */
const ROOT_ALIASES: readonly Route[] = [
  {
    method: "POST",
    path: "/chat/completions",
    handle: chatCompletions,
    summary: "The same as /v1/chat/completions",
    body: chatSchema,
    promptField: "messages",
    stream: "text/event-stream",
  },
  {
    method: "POST",
    path: "/chat/completions/input_tokens",
    handle: countChatTokens,
    summary: "The same as /v1/chat/completions/input_tokens",
    body: conversationSchema,
    promptField: "messages",
  },
  {
    method: "POST",
    path: "/responses",
    handle: responses,
    summary: "The same as /v1/responses",
    body: responseSchema,
    promptField: "input",
    stream: "text/event-stream",
  },
  {
    method: "POST",
    path: "/responses/input_tokens",
    handle: countResponseTokens,
    summary: "The same as /v1/responses/input_tokens",
    body: responseSchema,
    promptField: "input",
  },
  ...["/embeddings", "/embedding"].map((path): Route => ({
    method: "POST",
    path,
    handle: rootEmbeddings,
    summary: "The same as /v1/embeddings; of `content`, as llama.cpp's server answers",
    body: rootEmbeddingsSchema,
    promptField: "content",
  })),
];

/** Routes of the APIs; the page and those of operations are in app.ts. */
export const API_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/v1/models",
    handle: byClient({ anthropic: anthropicModels.listModels, openai: listModels }),
    summary: "The models that can be asked for",
  },
  {
    method: "GET",
    // Names of models have slashes in them.
    path: "/v1/models/:id{.+}",
    handle: byClient({ anthropic: anthropicModels.showModel, openai: showModel }),
    summary: "One model",
  },
  ...ROOT_ALIASES,
  {
    method: "POST",
    path: "/v1/chat/completions",
    handle: chatCompletions,
    summary: "Answers the last message of a conversation",
    body: chatSchema,
    promptField: "messages",
    stream: "text/event-stream",
  },
  {
    method: "POST",
    path: "/v1/completions",
    handle: completions,
    summary: "Continues prompts",
    body: completionSchema,
    promptField: "prompt",
    stream: "text/event-stream",
  },
  {
    method: "POST",
    path: "/v1/embeddings",
    handle: embeddings,
    summary: "Vectors of texts",
    body: embeddingsSchema,
    promptField: "input",
  },
  ...TRANSCRIPTION_ROUTES,
  ...RERANK_ROUTES,
  ...TEI_ROUTES,
  {
    method: "POST",
    path: "/v1/responses",
    handle: responses,
    summary: "Answers a conversation with items of output; nothing is stored",
    body: responseSchema,
    promptField: "input",
    stream: "text/event-stream",
  },
  {
    method: "POST",
    path: "/v1/responses/input_tokens",
    handle: countResponseTokens,
    summary: "Counts the tokens of what the model would read",
    body: responseSchema,
    promptField: "input",
  },
  {
    method: "POST",
    path: "/v1/chat/completions/input_tokens",
    handle: countChatTokens,
    summary: "Counts the tokens of a conversation",
    body: conversationSchema,
    promptField: "messages",
  },
  {
    method: "GET",
    path: "/conversations",
    handle: listConversations,
    summary: "Conversations that are kept",
  },
  {
    method: "POST",
    path: "/conversations/save",
    handle: saveConversation,
    summary: "Keeps what was computed of a conversation",
    body: saveSchema,
  },
  {
    method: "POST",
    path: "/conversations/restore",
    handle: restoreConversation,
    summary: "Brings a conversation back that was kept",
    body: restoreSchema,
  },
  {
    method: "DELETE",
    path: "/conversations/:name",
    handle: deleteConversation,
    summary: "Forgets a conversation that was kept",
  },
  ...["/completion", "/completions"].map((path): Route => ({
    method: "POST",
    path,
    handle: completion,
    summary: "Continues prompts, as llama.cpp's server does",
    body: nativeSchema,
    promptField: "prompt",
    stream: "text/event-stream",
  })),
  {
    method: "POST",
    path: "/infill",
    handle: infill,
    summary: "Fills the gap at an editor's cursor, as llama.cpp's server does",
    body: infillSchema,
    promptField: "input_prefix",
    stream: "text/event-stream",
  },
  {
    method: "POST",
    path: "/tokenize",
    handle: tokenize,
    summary: "Ids of a text",
    body: tokenizeSchema,
  },
  {
    method: "POST",
    path: "/detokenize",
    handle: detokenize,
    summary: "Text of ids",
    body: detokenizeSchema,
  },
  {
    method: "POST",
    path: "/apply-template",
    handle: applyTemplate,
    summary: "A conversation as the model reads it",
    body: conversationSchema,
    promptField: "messages",
  },
  ...ANTHROPIC_ROUTES,
  ...BATCH_ROUTES,
  ...OLLAMA_ROUTES,
];
