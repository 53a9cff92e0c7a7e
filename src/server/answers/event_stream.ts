/** Events to an HTTP answer, as they come: headers at once, comments in silence, then the end. */
import type { AppSettings } from "../options.ts";
import { Outbox } from "../outbox.ts";

/** How a stream is written. */
export interface StreamFormat {
  readonly contentType: string;
  /** What keeps a silent connection open and clients skip; null: there is no such thing. */
  readonly keepAlive: string | null;
  /** The last event of a stream that failed after it had begun. */
  errorEvent(error: unknown): string;
}

/** An event of `text/event-stream` under a name of its own. */
export function namedEvent(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

export interface EventStreamOptions
  extends Pick<AppSettings, "keepAliveMs" | "streamBufferChars" | "streamLagMs"> {
  readonly format: StreamFormat;
  /** Called when the client has gone; `events` should end soon after. */
  readonly onGone: () => void;
  /** Called with what `events` threw; the client gets it as an error event. */
  readonly onError: (error: unknown) => void;
  /** Called last, whatever happened. */
  readonly onEnd: () => void;
}

/** An answer that sends `events` (each with its line ends) while they are made. */
export function eventStreamResponse(
  events: AsyncIterable<string>,
  options: EventStreamOptions,
): Response {
  let isGone = false;
  const outbox = new Outbox({
    bufferChars: options.streamBufferChars,
    lagMs: options.streamLagMs,
    onGone: () => {
      isGone = true;
      options.onGone();
    },
  });
  pump(events, outbox, () => isGone, options);
  return new Response(outbox.stream, {
    headers: {
      "content-type": options.format.contentType,
      // Neither proxies nor this server's own compression may hold events back.
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    },
  });
}

async function pump(
  events: AsyncIterable<string>,
  outbox: Outbox,
  isGone: () => boolean,
  options: EventStreamOptions,
): Promise<void> {
  const { format } = options;
  let isSilent = true;
  const keepAlive = setInterval(() => {
    if (isSilent && outbox.isEmpty && format.keepAlive !== null) outbox.send(format.keepAlive);
    isSilent = true;
  }, options.keepAliveMs);
  try {
    for await (const event of events) {
      isSilent = false;
      outbox.send(event);
      if (outbox.isFull) await outbox.room();
      if (isGone()) break;
    }
  } catch (error) {
    if (!isGone()) {
      options.onError(error);
      outbox.send(format.errorEvent(error));
    }
  } finally {
    clearInterval(keepAlive);
    outbox.close();
    options.onEnd();
  }
}
