/** The server on a port: listens, and leaves in order. Knows nothing of what it answers. */
import { createApp } from "./app.ts";
import { type AppOptions, Lifecycle } from "./options.ts";

export interface ServeOptions extends Omit<AppOptions, "lifecycle"> {
  /** Default 11711; 0 = any free port. */
  readonly port?: number;
  /** Aborting it has the effect of `shutdown()`. */
  readonly signal?: AbortSignal;
  /** How long running answers may take once the server is shutting down; default 30 s. */
  readonly drainMs?: number;
}

export interface RunningServer {
  /** Where it listens: "http://127.0.0.1:11711". */
  readonly url: string;
  readonly port: number;
  /** Resolves when the last connection is closed. */
  readonly finished: Promise<void>;
  /**
   * Takes no new work, lets running answers end for `drainMs`, then cuts them short. Called again,
   * it cuts them at once.
   */
  shutdown(): Promise<void>;
}

/** Time for cut answers to reach their clients. */
const FAREWELL_MS = 2000;

/**
 * Starts the server.
 * @throws {Error} when it cannot listen there, for example because the port is taken.
 */
export function serve(options: ServeOptions): RunningServer {
  const { hostname = "127.0.0.1", port = 11711, drainMs = 30_000, signal } = options;
  const lifecycle = new Lifecycle();
  const app = createApp({ ...options, hostname, lifecycle });
  const kill = new AbortController();
  const server = listen({ hostname, port, signal: kill.signal }, (request) => app.fetch(request));
  const shutdown = () => {
    if (lifecycle.isDraining) lifecycle.stop();
    else leave(server, { lifecycle, kill, drainMs });
    return server.finished;
  };
  if (signal?.aborted) shutdown();
  signal?.addEventListener("abort", shutdown, { once: true });
  server.finished.then(() => signal?.removeEventListener("abort", shutdown));
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    url: `http://${host}:${server.addr.port}`,
    port: server.addr.port,
    finished: server.finished,
    shutdown,
  };
}

function listen(
  { hostname, port, signal }: { hostname: string; port: number; signal: AbortSignal },
  handle: (request: Request) => Response | Promise<Response>,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({ hostname, port, signal, onListen: () => {} }, handle);
  } catch (error) {
    const isTaken = error instanceof Deno.errors.AddrInUse;
    const reason = isTaken ? "the port is in use" : String(error);
    throw new Error(
      `Cannot listen on ${hostname} port ${port}: ${reason}: choose another with --port`,
      { cause: error },
    );
  }
}

function leave(
  server: Deno.HttpServer,
  way: { lifecycle: Lifecycle; kill: AbortController; drainMs: number },
): void {
  const { lifecycle, kill, drainMs } = way;
  lifecycle.drain();
  server.shutdown();
  const patience = setTimeout(() => lifecycle.stop(), drainMs);
  let farewell: ReturnType<typeof setTimeout> | undefined;
  lifecycle.stopSignal.addEventListener("abort", () => {
    farewell = setTimeout(() => kill.abort(), FAREWELL_MS);
  });
  server.finished.then(() => {
    clearTimeout(patience);
    clearTimeout(farewell);
  });
}
