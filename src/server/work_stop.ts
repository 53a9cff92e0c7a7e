/**
 * What ends a request's work before it is done: the client's leaving, the server's, or the
 * request's time. Says which, for whoever still listens.
 */
import { RequestError, shutdownError } from "../base/errors.ts";
import type { AppSettings } from "./options.ts";

/** A way to stop the work that the server's own way out, and the clock, take too. */
export interface WorkStop {
  readonly signal: AbortSignal;
  abort(): void;
  /** The work is done: nothing stops it any more. */
  unlink(): void;
}

/** @throws {RequestError} 503 when the server is beyond taking work. */
export function linkedStop(
  { lifecycle, requestTimeoutMs }: Pick<AppSettings, "lifecycle" | "requestTimeoutMs">,
): WorkStop {
  const { stopSignal } = lifecycle;
  if (stopSignal.aborted) throw shutdownError();
  const stop = new AbortController();
  const abort = () => stop.abort();
  stopSignal.addEventListener("abort", abort);
  const timer = requestTimeoutMs < TIMER_MS_MAX ? setTimeout(abort, requestTimeoutMs) : undefined;
  return {
    signal: stop.signal,
    abort,
    unlink: () => {
      clearTimeout(timer);
      stopSignal.removeEventListener("abort", abort);
    },
  };
}

/** The longest that a timer can be set to. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Why work was cut short that its client still waits for. */
export function cutShortError({ lifecycle }: Pick<AppSettings, "lifecycle">): RequestError {
  if (lifecycle.stopSignal.aborted) return shutdownError();
  return new RequestError("The answer was not ready in time: ask for less, or try again later", {
    status: 504,
    code: "request_timeout",
  });
}
