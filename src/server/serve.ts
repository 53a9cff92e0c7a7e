/** The server on a port: listens, and leaves in order. Knows nothing of what it answers. */
import { Admission } from "./admission.ts";
import { createApp } from "./app.ts";
import { Listener } from "./listener.ts";
import { runBatches, type RunningBatches } from "./batches/run_batches.ts";
import { type AppOptions, appSettings, Lifecycle } from "./options.ts";

/** Everything that a server can be told. */
export interface ServerOptions extends Omit<AppOptions, "lifecycle" | "admission"> {
  /** Default 11711; 0 = any free port. */
  readonly port?: number;
  /** A certificate chain and its key, both PEM: with them it speaks HTTPS only. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Aborting it has the effect of `shutdown()`. */
  readonly signal?: AbortSignal;
  /** How long running answers may take once the server is shutting down; default 30 s. */
  readonly drainMs?: number;
}

/** A server that listens. */
export interface RunningServer {
  /** Where it listens: "http://127.0.0.1:11711". */
  readonly url: string;
  /** Its port. */
  readonly port: number;
  /** Resolves when the last connection is closed, and no batch is worked on. */
  readonly finished: Promise<void>;
  /** Requests whose answers were cut short when it left. */
  readonly cutCount: number;
  /**
   * Takes no new work but goes on listening, so that whoever asks hears why; lets running answers
   * end for `drainMs`, then cuts them short, and closes. Called again, it cuts them at once.
   */
  shutdown(): Promise<void>;
}

/** Time for cut answers to reach their clients. */
const FAREWELL_MS = 2000;

/**
 * Starts the server.
 * @throws {Error} when it cannot listen there, for example because the port is taken, or cannot
 *   use its certificate.
 */
export function serve(options: ServerOptions): RunningServer {
  const { hostname = "127.0.0.1", port = 11711, drainMs = 30_000, signal, tls } = options;
  const lifecycle = new Lifecycle();
  const admission = new Admission();
  const settings = appSettings({ ...options, hostname, lifecycle, admission });
  const app = createApp(settings);
  const listener = new Listener({
    ...{ hostname, port, tls },
    handle: (request, { completed }) => app.fetch(request, { completed }),
    onTrouble: (error) => options.log?.error("connections", error),
  });
  const batches = runBatches(settings);
  const finished = Promise.all([listener.finished, batches?.ended]).then(() => {});
  let cutCount = 0;
  lifecycle.stopSignal.addEventListener("abort", () => cutCount = admission.underWay);
  const shutdown = () => {
    if (lifecycle.isDraining) lifecycle.stop();
    else leave(listener, { lifecycle, admission, batches, drainMs });
    return finished;
  };
  if (signal?.aborted) shutdown();
  signal?.addEventListener("abort", shutdown, { once: true });
  listener.finished.then(() => signal?.removeEventListener("abort", shutdown));
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    url: `${tls === undefined ? "http" : "https"}://${host}:${listener.port}`,
    port: listener.port,
    finished,
    get cutCount() {
      return cutCount;
    },
    shutdown,
  };
}

interface WayOut {
  readonly lifecycle: Lifecycle;
  readonly admission: Admission;
  readonly batches: RunningBatches | null;
  readonly drainMs: number;
}

/** Until the last answer is out, the listener answers: /readyz with 503, work with 503. */
async function leave(
  listener: Listener,
  { lifecycle, admission, batches, drainMs }: WayOut,
): Promise<void> {
  lifecycle.drain();
  const patience = setTimeout(() => lifecycle.stop(), drainMs);
  let farewell: ReturnType<typeof setTimeout> | undefined;
  const cut = Promise.withResolvers<void>();
  const stop = () => {
    farewell = setTimeout(() => listener.kill(), FAREWELL_MS);
    cut.resolve();
  };
  lifecycle.stopSignal.addEventListener("abort", stop);
  listener.finished.then(() => {
    clearTimeout(patience);
    clearTimeout(farewell);
    lifecycle.stopSignal.removeEventListener("abort", stop);
  });
  await Promise.race([Promise.all([admission.idle(), batches?.ended]), cut.promise]);
  listener.close();
}
