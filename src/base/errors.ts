/**
 * The errors that somebody catches, or that carry data. Every message says what could not be
 * done, where, and what to do about it, joined by colons; anything else that goes wrong is a bug
 * and throws a plain `Error` from `check()`. Messages may quote what a file or client wrote, and
 * stay short all the same.
 */

/** Enough for every honest message, the longest names all architectures; and for any terminal. */
const MESSAGE_CHARS_MAX = 1500;
/** The end says what to do. */
const END_CHARS = 300;

/** A message without its middle, where it quotes too much. */
export function brief(message: string): string {
  if (message.length <= MESSAGE_CHARS_MAX) return message;
  const begin = message.slice(0, MESSAGE_CHARS_MAX - END_CHARS);
  return `${begin} … ${message.slice(-END_CHARS)}`.toWellFormed();
}

/** What was thrown, in words: anything may be. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A path from the root, from home, or from where the program was started. */
const PATH = String.raw`(?:file:|[~.]*[\\/]|[A-Za-z]:[\\/])`;
/**
 * What may name a file: quotations, each closed before the next one opens, apostrophes only where a
 * path follows, since words have them, too; and paths without quotes.
 */
const QUOTED = new RegExp(
  String.raw`"([^"]*)"|(?<![\p{L}\p{N}])'(${PATH}[^']*)'|(?<![^\s(=])(${PATH}[^\s"'():,;]+)`,
  "gu",
);
const IS_PATH = new RegExp(`^${PATH}`);

/** A message that quotes files of this machine, with no more of their paths than their names. */
export function withoutFolders(message: string): string {
  return message.replace(QUOTED, (whole, double?: string, single?: string, bare?: string) => {
    const quoted = double ?? single ?? bare!;
    const name = quoted.search(/[^\\/]+[\\/]*$/);
    if (!IS_PATH.test(quoted) || name < 0) return whole;
    return whole.replace(quoted, () => quoted.slice(name));
  });
}

/** A model file that is not what it claims to be. Carries the byte where reading stopped. */
export class ModelFormatError extends Error {
  /** What tells it from other errors across threads. */
  override readonly name = "ModelFormatError";
  /** Byte offset in `path` at which the fault was noticed. */
  readonly offsetBytes: number;
  /** The file, as the user named it; empty when the bytes came from memory. */
  readonly path: string;

  /** `message` says what, why and what to do; `at` where. */
  constructor(message: string, at: { offsetBytes: number; path?: string }) {
    const place = at.offsetBytes === 0 ? "" : `at byte ${at.offsetBytes}`;
    const where = [place, at.path ? `"${at.path}"` : ""].filter((part) => part !== "").join(" in ");
    super(where === "" ? brief(message) : `${brief(message)} (${where})`);
    this.offsetBytes = at.offsetBytes;
    this.path = at.path ?? "";
  }
}

/** A well-formed model that this version cannot run: unknown family, tensor type, tokenizer. */
export class UnsupportedModelError extends Error {
  /** What tells it from other errors across threads. */
  override readonly name = "UnsupportedModelError";

  /** `message` says what, why and what to do. */
  constructor(message: string, options?: ErrorOptions) {
    super(brief(message), options);
  }
}

/** A request that cannot be served; becomes an HTTP status and an OpenAI error object. */
export class RequestError extends Error {
  /** What tells it from other errors across threads. */
  override readonly name = "RequestError";
  /** HTTP status. */
  readonly status: number;
  /** OpenAI's `error.type`, for example "invalid_request_error". */
  readonly type: string;
  /** OpenAI's `error.code`, for example "context_length_exceeded". */
  readonly code: string | null;
  /** The field of the request that is at fault. */
  readonly param: string | null;
  /** Seconds after which trying again makes sense; sent as Retry-After. */
  readonly retryAfterSeconds: number | null;
  /** Of a prompt that is too long: its tokens, and how many it may have. */
  readonly tokens: { readonly count: number; readonly max: number } | null;

  /** `message` says what, why and what to do; `detail` what a client is told. */
  constructor(
    message: string,
    detail: {
      status: number;
      type?: string;
      code?: string | null;
      param?: string | null;
      retryAfterSeconds?: number;
      tokens?: { readonly count: number; readonly max: number } | null;
    },
  ) {
    super(brief(message));
    this.status = detail.status;
    this.type = detail.type ?? (detail.status >= 500 ? "server_error" : "invalid_request_error");
    this.code = detail.code ?? null;
    this.param = detail.param ?? null;
    this.retryAfterSeconds = detail.retryAfterSeconds ?? null;
    this.tokens = detail.tokens ?? null;
  }
}

/** How a read ends that failed because the file is not what was loaded any more. */
export const FILE_CHANGED_TEXT = "the model file changed while it was in use: load it again";
const MODEL_CHANGED = "model_changed";

/** What a request fails with whose read of a model failed; where the file is, is not told. */
export function readError(why: string): RequestError {
  const isChanged = why.endsWith(FILE_CHANGED_TEXT);
  return new RequestError(withoutFolders(why), {
    status: isChanged ? 503 : 500,
    code: isChanged ? MODEL_CHANGED : "model_unreadable",
  });
}

/** True where a model only has to be loaded again, from the file as it is now. */
export function isModelChanged(error: unknown): error is RequestError {
  return error instanceof RequestError && error.code === MODEL_CHANGED;
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

/** Bad command-line usage: exit status 2. */
export class UsageError extends Error {
  /** What tells it from other errors across threads. */
  override readonly name = "UsageError";
}

/** A thread of the engine failed; `cause` holds the error as it left that thread. */
export class WorkerError extends Error {
  /** What tells it from other errors across threads. */
  override readonly name = "WorkerError";
}
