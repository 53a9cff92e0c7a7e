/**
 * Errors as clients expect them: objects as OpenAI's or Anthropic's, texts as Ollama's. Knows
 * status codes; of requests it knows which API they are of.
 */
import type { Context, ErrorHandler } from "hono";
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

/** Anthropic's error object. */
export interface AnthropicErrorBody {
  readonly type: "error";
  readonly error: {
    readonly type: string;
    readonly message: string;
    /** Of this server, for who knows it. */
    readonly details: { readonly error_code: string | null; readonly param: string | null };
  };
  readonly request_id: string;
}

/** What Anthropic calls an error of a status; others of the client's are all of one type. */
const ANTHROPIC_TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  409: "conflict_error",
  413: "request_too_large",
  429: "rate_limit_error",
  // The status stays what it is to proxies and probes, which do not know Anthropic's 529: its
  // clients try again after either, and read the type.
  503: "overloaded_error",
  504: "timeout_error",
};

export function anthropicErrorBody(error: RequestError, requestId: string): AnthropicErrorBody {
  const { status, message, code, param, tokens } = error;
  const type = ANTHROPIC_TYPES[status] ?? (status < 500 ? "invalid_request_error" : "api_error");
  // Agents look for these words, and make their conversations shorter by as much; Anthropic's own
  // client looks for this code, and sends whole conversations from then on.
  const isThread = code === "unsupported_parameter" && param === "thread";
  const isTooLong = code === "context_length_exceeded";
  const excess = tokens === null ? "" : `${tokens.count} tokens > ${tokens.max} maximum: `;
  const text = isTooLong ? `prompt is too long: ${excess}${message}` : message;
  return {
    type: "error",
    error: {
      ...{ type, message: text.toWellFormed() },
      details: { error_code: isThread ? "thread_unsupported_request" : code, param },
    },
    request_id: requestId,
  };
}

type Asked = Pick<Context<ServerEnv>, "req" | "get">;

/** Whose form the errors of a path have. */
export function errorFormOf(path: string): "openai" | "anthropic" | "ollama" {
  if (/^\/api(\/|$)/.test(path)) return "ollama";
  return /^\/v1\/messages(\/|$)/.test(path) ? "anthropic" : "openai";
}

/** Whether a request is of Anthropic's API: its clients say so wherever they ask. */
export function isAnthropic({ req }: Pick<Asked, "req">): boolean {
  const form = errorFormOf(req.path);
  return form === "anthropic" ||
    form === "openai" && req.header("anthropic-version") !== undefined;
}

/** Statuses of requests whose bodies were not read to their ends. */
const UNREAD: ReadonlySet<number> = new Set([408, 413, 415]);

/** The HTTP answer to a request that failed. */
export function errorResponse(error: RequestError, c: Asked): Response {
  const response = Response.json(bodyOf(error, c), { status: error.status });
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

function bodyOf(error: RequestError, c: Asked) {
  if (errorFormOf(c.req.path) === "ollama") return textErrorBody(error);
  return isAnthropic(c) ? anthropicErrorBody(error, c.get("requestId")) : errorBody(error);
}

/** What Hono does with what a handler throws: the client gets an answer, the log the rest. */
export function onAppError(
  { onError }: { readonly onError: (error: unknown, requestId: string) => void },
): ErrorHandler<ServerEnv> {
  return (error, c) => {
    if (!(error instanceof RequestError)) onError(error, c.get("requestId"));
    return errorResponse(toRequestError(error), c);
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
  const { message, status, type, code, param: named, tokens } = error;
  if (named !== null || !PROMPT_CODES.has(code)) return error;
  return new RequestError(message, { status, type, code, param, tokens });
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
