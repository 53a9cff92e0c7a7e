/** The handlers of `/v1/messages` and `/v1/messages/count_tokens`. */
import type { Context } from "hono";
import { answerStream, readWork, whileWanted, withModel, type Work } from "../answers/answer.ts";
import { type Ask, type ChoiceEvent, startChoices } from "../answers/choices.ts";
import { namedEvent, type StreamFormat } from "../answers/event_stream.ts";
import type { ServerEnv } from "../guards.ts";
import { anthropicErrorBody, toRequestError } from "../http_errors.ts";
import { chatAsk, countAsked } from "../openai/handlers.ts";
import type { AppSettings } from "../options.ts";
import { withPrefixKey } from "../prefix_key.ts";
import { type MessageEvent, MessageWriter } from "./message_writer.ts";
import {
  countSchema,
  type MessagesRequest,
  messagesSchema,
  toCounted,
  toMessagesRequest,
} from "./messages_request.ts";

/** Answers a conversation with a message. */
export async function messages(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const request = toMessagesRequest(await readWork(c, settings, messagesSchema));
  return await withModel(c, settings, { id: request.model }, async (work) => {
    const ask = { ...await chatAsk(work, request), count: 1 };
    const [{ ids }] = ask.prompts;
    const response = await answer(work, request, ask);
    return withPrefixKey(response, work.request, { cacheKey: request.cacheKey, ids });
  });
}

function answer(work: Work, request: MessagesRequest, ask: Ask): Response | Promise<Response> {
  const writer = new MessageWriter({
    model: work.lease.model.id,
    promptTokens: ask.prompts[0].ids.length,
  });
  const start = (signal: AbortSignal) => startChoices(work, ask, signal);
  if (request.stream) {
    return answerStream(work, streamFormat(work), (signal) => lines(events(start(signal), writer)));
  }
  return whileWanted(work, async (signal) => {
    for await (const _event of events(start(signal), writer));
    return Response.json(writer.message());
  });
}

async function* events(
  choice: AsyncIterable<ChoiceEvent>,
  writer: MessageWriter,
): AsyncGenerator<MessageEvent> {
  yield* writer.opening();
  for await (const event of choice) {
    yield* event.kind === "piece"
      ? writer.piece(event.deltas)
      : writer.end(event.finish, event.result, event.reasoningTokens);
  }
}

async function* lines(all: AsyncIterable<MessageEvent>): AsyncGenerator<string> {
  for await (const event of all) yield namedEvent(event.type, event);
}

function streamFormat({ requestId }: Work): StreamFormat {
  return {
    contentType: "text/event-stream",
    keepAlive: namedEvent("ping", { type: "ping" }),
    errorEvent: (error) =>
      namedEvent("error", anthropicErrorBody(toRequestError(error), requestId)),
  };
}

/** How many tokens a conversation takes. */
export async function countTokens(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const request = toCounted(await readWork(c, settings, countSchema));
  return await withModel(
    c,
    settings,
    { id: request.model },
    async (work) => Response.json({ input_tokens: await countAsked(work, request) }),
  );
}
