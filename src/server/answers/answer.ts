/**
 * A model's work as an HTTP answer, whole or as a stream: tied to the client's presence, to the
 * server's way out and to the model's lease. The same for every API; what is sent is theirs.
 */
import type { Context } from "hono";
import type { z } from "zod";
import { RequestError, shutdownError } from "../../base/errors.ts";
import { inTurns, type Steps } from "../../base/steps.ts";
import type { LanguageModel } from "../../llm/types.ts";
import type { ServerEnv } from "../guards.ts";
import { loadingError } from "../http_errors.ts";
import { acquireModel, type AcquireOptions, type ModelLease } from "../model_source.ts";
import type { AppSettings } from "../options.ts";
import { cutShortError, linkedStop } from "../work_stop.ts";
import { readFields } from "../read_fields.ts";
import { eventStreamResponse, type StreamFormat } from "./event_stream.ts";

/** A request whose model is held for it. */
export interface Work {
  readonly settings: AppSettings;
  readonly lease: ModelLease;
  /** The HTTP request, whose signal tells that the client has gone. */
  readonly request: Request;
  readonly requestId: string;
}

/**
 * The body of a request that work is to be done for, as `readFields`.
 * @throws {RequestError} 503 while no request can be answered, before the body is read.
 */
export async function readWork<T extends z.ZodType>(
  c: Context<ServerEnv>,
  settings: AppSettings,
  schema: T,
): Promise<z.output<T>> {
  requireReady(settings);
  return await readFields(c, settings, schema);
}

/** @throws {RequestError} 503 while no request can be answered. */
export function requireReady({ lifecycle, models }: AppSettings): void {
  if (lifecycle.isDraining) throw shutdownError();
  if (models.state === "loading") throw loadingError();
}

/**
 * Holds a model while `use` makes an answer of it; `whileWanted` and `answerStream` let go of it.
 * @throws {RequestError} 404 when there is none of that name, and whatever `use` throws.
 */
export async function withModel(
  c: Context<ServerEnv>,
  settings: AppSettings,
  { id, ...options }: AcquireOptions & { readonly id: string | undefined },
  use: (work: Work) => Response | Promise<Response>,
): Promise<Response> {
  const request = c.req.raw;
  const lease = await acquireModel(settings.models, id, { signal: request.signal, ...options });
  let isHeld = true;
  const held: ModelLease = {
    model: lease.model,
    release: () => {
      if (isHeld) lease.release();
      isHeld = false;
    },
  };
  let response: Response;
  try {
    response = await use({ settings, lease: held, request, requestId: c.get("requestId") });
  } catch (error) {
    held.release();
    throw error;
  }
  // A stream goes on, and lets go of the model when it ends.
  if (!STREAMS.has(response)) held.release();
  return response;
}

/** Answers that are still being made when their handler returns. */
const STREAMS = new WeakSet<Response>();

/**
 * An answer in one piece, or what has to be known before it begins, made by `make`, whose signal
 * aborts when nobody wants it any more.
 * @throws {RequestError} when the model refuses or fails.
 */
export async function whileWanted<T>(
  work: Pick<Work, "settings" | "request">,
  make: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = linkedStop(work.settings);
  const clientSignal = work.request.signal;
  if (clientSignal.aborted) stop.abort();
  clientSignal.addEventListener("abort", stop.abort);
  try {
    return await make(stop.signal);
  } catch (error) {
    if (error instanceof RequestError || !stop.signal.aborted) throw error;
    throw cutShortError(work.settings);
  } finally {
    clientSignal.removeEventListener("abort", stop.abort);
    stop.unlink();
  }
}

/** An answer in one piece, made by a model that is held as long as somebody waits for it. */
export function answerOnce(
  c: Context<ServerEnv>,
  settings: AppSettings,
  by: Parameters<typeof withModel>[2],
  make: (model: LanguageModel, signal: AbortSignal, work: Work) => Promise<Response>,
): Promise<Response> {
  return withModel(c, settings, by, (work) => {
    return whileWanted(work, (signal) => make(work.lease.model, signal, work));
  });
}

/** What `steps` make, while others have their turns, as long as somebody waits for it. */
export function madeInTurns<T>(
  work: Pick<Work, "settings" | "request">,
  steps: Steps<T>,
): Promise<T> {
  return whileWanted(work, (signal) => inTurns(steps, signal));
}

/**
 * Answers with what `makeEvents` makes, while it is made. It is called at once and may throw: then
 * there is no stream yet, and the error is the answer.
 */
export function answerStream(
  work: Work,
  format: StreamFormat,
  makeEvents: (signal: AbortSignal) => AsyncIterable<string>,
): Response {
  const { settings, requestId, lease } = work;
  const stop = linkedStop(work.settings);
  let events: AsyncIterable<string>;
  try {
    events = makeEvents(stop.signal);
  } catch (error) {
    stop.unlink();
    throw error;
  }
  const response = eventStreamResponse(events, {
    ...settings,
    format,
    onGone: stop.abort,
    onError: (error) => {
      if (!(error instanceof RequestError)) settings.onError(error, requestId);
    },
    onEnd: () => {
      stop.unlink();
      lease.release();
    },
  });
  STREAMS.add(response);
  return response;
}
