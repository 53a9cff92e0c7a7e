/**
 * Prompts to an HTTP answer: starts the generations, ties them to the client's presence, and sends
 * what they make. The same for chats and plain completions, which differ in prompts and wire form.
 */
import { RequestError } from "../base/errors.ts";
import type { GenerateResult, Generation } from "../llm/types.ts";
import { eventStreamResponse } from "./event_stream.ts";
import type { ModelLease } from "./model_source.ts";
import type { AppSettings } from "./options.ts";
import type { AnswerOptions } from "./request_fields.ts";
import { watchGeneration } from "./telemetry/generations.ts";
import {
  type AnswerHead,
  cachedOf,
  type Choice,
  createChunkWriter,
  DONE_EVENT,
  wholeAnswer,
} from "./wire.ts";
import { cutShortError, linkedStop, type WorkStop } from "./work_stop.ts";

/** A prompt in ids, and in text where the answer should repeat it. */
export interface Prompt {
  readonly ids: readonly number[];
  readonly echo: string;
}

export interface AnswerRequest {
  readonly settings: AppSettings;
  /** Released when the answer is out. */
  readonly lease: ModelLease;
  /** One generation, and one choice, each; in order. */
  readonly prompts: readonly Prompt[];
  readonly options: AnswerOptions;
  readonly head: AnswerHead;
  /** The HTTP request, whose signal tells that the client has gone. */
  readonly request: Request;
  readonly requestId: string;
}

/**
 * Answers, at once with a stream or later in one piece.
 * @throws {RequestError} when the model refuses the first prompt, or fails before the answer began.
 */
export async function answer(request: AnswerRequest): Promise<Response> {
  const stop = linkedStop(request.settings);
  const end = () => {
    stop.unlink();
    request.lease.release();
  };
  let first: Generation;
  try {
    first = start(request, 0, stop.signal);
  } catch (error) {
    end();
    throw error;
  }
  if (!request.options.stream) {
    try {
      return await answerWhole(request, first, stop);
    } finally {
      end();
    }
  }
  const { settings, requestId } = request;
  return eventStreamResponse(answerEvents(request, first, stop.signal), {
    ...settings,
    onGone: stop.abort,
    onError: (error) => {
      if (!(error instanceof RequestError)) settings.onError(error, requestId);
    },
    onEnd: end,
  });
}

function start(request: AnswerRequest, index: number, signal: AbortSignal): Generation {
  const { settings, lease: { model }, prompts, options, requestId } = request;
  const { maxTokens, sampling, stop, ignoreEnd } = options;
  const { ids } = prompts[index];
  const generation = watchGeneration(
    { settings, model, requestId, ids },
    () => model.generate({ ids, maxTokens, sampling, stop, ignoreEnd, signal }),
  );
  // Whoever iterates learns of a failure; nobody may be waiting for the result at that time.
  generation.result.catch(() => {});
  return generation;
}

async function* answerEvents(
  request: AnswerRequest,
  first: Generation,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const { prompts, options, head } = request;
  const writer = createChunkWriter(head, options.includeUsage);
  const usage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };
  yield writer.opening();
  for (const [index, { ids, echo }] of prompts.entries()) {
    const generation = index === 0 ? first : start(request, index, signal);
    if (echo !== "") yield writer.piece(index, echo);
    for await (const { text } of generation) {
      if (text !== "") yield writer.piece(index, text);
    }
    const result = await generation.result;
    if (result.finishReason === "cancelled") throw cutShortError(request.settings);
    usage.promptTokens += ids.length;
    usage.cachedTokens += cachedOf(result.timings);
    usage.completionTokens += result.ids.length;
    yield writer.finish(index, result);
  }
  if (options.includeUsage) yield writer.usage(usage);
  yield DONE_EVENT;
}

async function answerWhole(
  request: AnswerRequest,
  first: Generation,
  stop: WorkStop,
): Promise<Response> {
  const clientSignal = request.request.signal;
  if (clientSignal.aborted) stop.abort();
  clientSignal.addEventListener("abort", stop.abort);
  const choices: Choice[] = [];
  try {
    for (const [index, { ids, echo }] of request.prompts.entries()) {
      const result = await finish(index === 0 ? first : start(request, index, stop.signal));
      // If it was the client who left, nobody reads this.
      if (result.finishReason === "cancelled") throw cutShortError(request.settings);
      choices.push({ promptTokens: ids.length, echo, result });
    }
    return Response.json(wholeAnswer(request.head, choices));
  } finally {
    // Deno aborts the signal after a success, too.
    clientSignal.removeEventListener("abort", stop.abort);
  }
}

async function finish(generation: Generation): Promise<GenerateResult> {
  for await (const _piece of generation); // The result has them all.
  return await generation.result;
}
