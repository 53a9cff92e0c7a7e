/** `/v1/responses` and its `input_tokens`. No memory: every request brings all that was said. */
import type { Context } from "hono";
import { answerStream, readWork, whileWanted, withModel, type Work } from "../answers/answer.ts";
import { type Ask, type ChoiceEvent, startChoices } from "../answers/choices.ts";
import { namedEvent, type StreamFormat } from "../answers/event_stream.ts";
import type { ServerEnv } from "../guards.ts";
import { errorBody, toRequestError } from "../http_errors.ts";
import type { AppSettings } from "../options.ts";
import { withPrefixKey } from "../prefix_key.ts";
import { chatAsk, countAsked } from "./handlers.ts";
import { chatLogprobs } from "./logprobs.ts";
import { responseSchema, toResponseRequest } from "./response_request.ts";
import { type ResponseEvent, ResponseWriter } from "./response_writer.ts";
import { EVENT_STREAM, inputTokens } from "./wire.ts";

/** Answers a conversation with items of output. */
export async function responses(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  const request = toResponseRequest(await readWork(c, settings, responseSchema));
  return await withModel(c, settings, { id: request.model }, async (work) => {
    const ask = { ...await chatAsk(work, request), count: 1 };
    const [{ ids }] = ask.prompts;
    const response = await answer(work, request, ask);
    return withPrefixKey(response, work.request, { cacheKey: request.cacheKey, ids });
  });
}

/** How many tokens the same request would have read. */
export async function countResponseTokens(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  const request = toResponseRequest(await readWork(c, settings, responseSchema));
  return await withModel(
    c,
    settings,
    { id: request.model },
    async (work) => Response.json(inputTokens(await countAsked(work, request))),
  );
}

type Asked = ReturnType<typeof toResponseRequest>;

function answer(work: Work, request: Asked, ask: Ask): Response | Promise<Response> {
  const { model } = work.lease;
  const writer = new ResponseWriter({
    model: model.id,
    repeated: request.repeated,
    ownNames: request.ownNames,
    promptTokens: ask.prompts[0].ids.length,
    logprobs: request.request.logprobs === undefined
      ? null
      : (tokens) => chatLogprobs(model, tokens),
  });
  const start = (signal: AbortSignal) => startChoices(work, ask, signal);
  if (request.stream) {
    const counter = { next: 0 };
    return answerStream(
      work,
      numbered(counter),
      (signal) => lines(events(start(signal), writer), counter),
    );
  }
  return whileWanted(work, async (signal) => {
    let last: ResponseEvent | undefined;
    for await (const event of events(start(signal), writer)) last = event;
    return Response.json(last!.response);
  });
}

async function* events(
  choice: AsyncIterable<ChoiceEvent>,
  writer: ResponseWriter,
): AsyncGenerator<ResponseEvent> {
  yield* writer.opening();
  try {
    for await (const event of choice) {
      yield* event.kind === "piece"
        ? writer.piece(event.deltas, event.logprobs)
        : writer.end(event.finish, event.result, event.reasoningTokens);
    }
  } catch (error) {
    yield writer.failure(error);
    throw error;
  }
}

interface Counter {
  next: number;
}

async function* lines(
  all: AsyncIterable<ResponseEvent>,
  counter: Counter,
): AsyncGenerator<string> {
  for await (const event of all) yield line(event, counter);
}

function line(event: ResponseEvent, counter: Counter): string {
  const { type, ...rest } = event;
  return namedEvent(type, { type, sequence_number: counter.next++, ...rest });
}

/** Clients look for a failure's `error`, or for the fields of the event: both are there. */
function numbered(counter: Counter): StreamFormat {
  return {
    ...EVENT_STREAM,
    errorEvent: (cause) => {
      const { error } = errorBody(toRequestError(cause));
      const { code, message, param } = error;
      return line({ type: "error", code, message, param, error }, counter);
    },
  };
}
