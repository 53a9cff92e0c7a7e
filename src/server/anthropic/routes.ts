/** Anthropic's paths, but for those of `/v1/models`, which are OpenAI's, too. */
import type { Route } from "../route.ts";
import { countTokens, messages } from "./messages.ts";
import { countSchema, messagesSchema } from "./messages_request.ts";

/** Anthropic's routes. */
export const ANTHROPIC_ROUTES: readonly Route[] = [
  {
    method: "POST",
    path: "/v1/messages",
    handle: messages,
    summary: "Answers a conversation with a message, as Anthropic's API does",
    body: messagesSchema,
    promptField: "messages",
    stream: "text/event-stream",
  },
  {
    method: "POST",
    path: "/v1/messages/count_tokens",
    handle: countTokens,
    summary: "Counts the tokens of such a conversation",
    body: countSchema,
    promptField: "messages",
  },
];
