/**
 * Errors as clients expect them: objects as OpenAI's, texts as Ollama's under /api. Knows status
 * codes; of paths it knows which API they are.
 */
import type { ErrorHandler } from "hono";
import { RequestError } from "../base/errors.ts";
import type { ServerEnv } from "./guards.ts";

/** OpenAI's error object. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** The error as a client may see it: what is not a RequestError is the server's own business. */
export function toRequestError(error: unknown): RequestError {
  if (error instanceof RequestError) return error;
  return new RequestError("The server failed to answer: its log says why, under the request's id", {
    status: 500,
    code: "internal_error",
  });
}

export function errorBody({ message, type, param, code }: RequestError): ErrorBody {
  return { error: { message: message.toWellFormed(), type, param, code } };
}

/** Ollama's errors are texts; the code is for those who know this server. */
export function textErrorBody({ message, code }: RequestError) {
  return { error: message.toWellFormed(), code };
}

/** Statuses of requests whose bodies were not read to their ends. */
const UNREAD: ReadonlySet<number> = new Set([408, 413, 415]);

/** The HTTP answer to a request for `path` that failed. */
export function errorResponse(error: RequestError, path: string): Response {
  const body = /^\/api(\/|$)/.test(path) ? textErrorBody(error) : errorBody(error);
  const response = Response.json(body, { status: error.status });
  if (error.retryAfterSeconds !== null) {
    response.headers.set("retry-after", String(Math.ceil(error.retryAfterSeconds)));
  }
  // OpenAI's clients try again after 504, which would take as long once more, and after 429, where
  // a moment later nothing is different.
  const isLasting = error.status === 504 || error.code === "too_many_batches";
  if (isLasting) response.headers.set("x-should-retry", "false");
  // A body that was refused, or not read to its end, cannot be followed by another request.
  if (UNREAD.has(error.status)) response.headers.set("connection", "close");
  return response;
}

/** What Hono does with what a handler throws: the client gets an answer, the log the rest. */
export function onAppError(
  { onError }: { readonly onError: (error: unknown, requestId: string) => void },
): ErrorHandler<ServerEnv> {
  return (error, c) => {
    if (!(error instanceof RequestError)) onError(error, c.get("requestId"));
    return errorResponse(toRequestError(error), c.req.path);
  };
}

/** A 400 that names the field at fault. */
export function fieldError(param: string | null, message: string, code = "invalid_value") {
  return new RequestError(message, { status: 400, code, param });
}

/** What models refuse of prompts, whatever field they came from. */
const PROMPT_CODES: ReadonlySet<string | null> = new Set([
  "empty_prompt",
  "context_length_exceeded",
  "invalid_token_id",
  "no_vocabulary",
]);

/** An error as it was thrown; where it is about a prompt, with the field that this came from. */
export function namingPrompt(error: unknown, param: string): unknown {
  if (!(error instanceof RequestError)) return error;
  const { message, status, type, code, param: named } = error;
  if (named !== null || !PROMPT_CODES.has(code)) return error;
  return new RequestError(message, { status, type, code, param });
}

/** The 503 while the first model is being loaded. */
export function loadingError(): RequestError {
  return new RequestError("Loading model", {
    status: 503,
    type: "unavailable_error",
    code: "model_loading",
    retryAfterSeconds: 1,
  });
}

/** The 503 while the server is on its way out. */
export function shutdownError(): RequestError {
  return new RequestError("The server is shutting down: try again when it is back", {
    status: 503,
    type: "unavailable_error",
    code: "shutting_down",
    retryAfterSeconds: 5,
  });
}
