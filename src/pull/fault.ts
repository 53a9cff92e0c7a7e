/** What goes wrong on the way to a file, and whether trying again may help. */
import { pause } from "../base/pause.ts";

/** What stands in the way of a model. */
export type PullObstacle =
  /** There is no such thing, or nobody says so to whoever asks. */
  | "not_found"
  /** It is there, and not for everybody. */
  | "not_permitted"
  /** Several could be meant. */
  | "unclear"
  /** Another model lies in its place, or another program is at it. */
  | "in_use"
  /** Its server wants to be asked later. */
  | "busy"
  | "disk_full"
  /** The network, the server, or what came. */
  | "failed";

/** A request that failed. Its message is a clause: "the connection broke". */
export class RequestFault extends Error {
  override readonly name = "RequestFault";
  /** Trying again may help. */
  readonly isPassing: boolean;
  /** The server said how long to wait. */
  readonly retryAfterMs: number | null;
  /** Of the answer; null: there was none. */
  readonly status: number | null;
  readonly obstacle: PullObstacle;

  constructor(
    message: string,
    { isPassing, retryAfterMs = null, status = null, obstacle = "failed", cause }: {
      isPassing: boolean;
      retryAfterMs?: number | null;
      status?: number | null;
      obstacle?: PullObstacle;
      cause?: unknown;
    },
  ) {
    super(message, { cause });
    this.status = status;
    this.obstacle = obstacle;
    this.isPassing = isPassing;
    this.retryAfterMs = retryAfterMs;
  }
}

/** What trying again does not help. */
export function fatal(message: string): RequestFault {
  return new RequestFault(message, { isPassing: false });
}

/** The file is another one by now: what is there is of no use. */
export class ChangedError extends Error {
  override readonly name = "ChangedError";
}

/** The server sends the whole file whatever is asked for. */
export class RangesIgnoredError extends Error {
  override readonly name = "RangesIgnoredError";
}

export interface RetryOptions {
  /** Failures in a row, without anything coming in between, after which nobody tries again. */
  readonly retries: number;
  /** The first pause; each next one is twice as long, up to half a minute. */
  readonly retryMs: number;
  readonly signal?: AbortSignal;
  /** Told before a pause. */
  readonly onRetry?: (fault: RequestFault, pauseMs: number) => void;
}

const PAUSE_MS_MAX = 30_000;
/** Who is told to come back later than this had better be told so. */
const RETRY_AFTER_MS_MAX = 5 * 60_000;

/**
 * Does `work` until it succeeds. It may call its argument when something came: failures before
 * are forgotten then.
 * @throws {RequestFault} that does not pass, or did not.
 */
export async function withRetries<T>(
  work: (hasProgress: () => void) => Promise<T>,
  { retries, retryMs, signal, onRetry }: RetryOptions,
): Promise<T> {
  let failures = 0;
  for (;;) {
    try {
      return await work(() => failures = 0);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof RequestFault) || !error.isPassing || failures >= retries) throw error;
      const wanted = error.retryAfterMs;
      if (wanted !== null && wanted > RETRY_AFTER_MS_MAX) {
        const minutes = Math.ceil(wanted / 60_000);
        const message = `${error.message}, and asks to come back in ${minutes} minutes`;
        throw new RequestFault(message, { isPassing: false, obstacle: error.obstacle });
      }
      // A little chance, so that many clients do not come back all at once.
      const pauseMs = wanted ??
        Math.min(PAUSE_MS_MAX, retryMs * 2 ** failures) * (0.75 + Math.random() / 2);
      failures++;
      onRetry?.(error, pauseMs);
      await pause(pauseMs, signal);
      signal?.throwIfAborted();
    }
  }
}
