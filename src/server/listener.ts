/**
 * A port that is listened on until it is closed. Deno's server ends when the process has no file
 * descriptor left for a connection, and the connections that it has live on: another one takes its
 * place, for whoever used them up will go. Knows nothing of what is answered.
 */

export interface ListenOptions {
  readonly hostname: string;
  /** 0: any free one. */
  readonly port: number;
  /** A certificate chain and its key, both PEM; left out: plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly handle: Deno.ServeHandler<Deno.NetAddr>;
  /** Told why it had to listen again. */
  readonly onTrouble?: (error: unknown) => void;
}

/** How long whoever took all descriptors gets to go, before the port is tried again. */
const RETRY_MS = 100;

export class Listener {
  readonly port: number;
  readonly #options: ListenOptions;
  readonly #kill = new AbortController();
  readonly #finished = Promise.withResolvers<void>();
  #server: Deno.HttpServer<Deno.NetAddr>;
  #isClosing = false;

  /** @throws {Error} when it cannot listen there, or cannot use the certificate. */
  constructor(options: ListenOptions) {
    this.#options = options;
    this.#server = listen(options, this.#kill.signal);
    this.port = this.#server.addr.port;
    this.#watch();
  }

  /** Resolves when it is closed and its connections are. */
  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  /** Takes no more connections; those that are there may end. */
  close(): void {
    this.#isClosing = true;
    this.#server.shutdown();
  }

  /** Ends all connections. */
  kill(): void {
    this.#isClosing = true;
    this.#kill.abort();
  }

  #watch(): void {
    this.#server.finished.then(
      () => this.#finished.resolve(),
      (error) => {
        this.#options.onTrouble?.(error);
        this.#listenAgain();
      },
    );
  }

  #listenAgain(): void {
    if (this.#isClosing) return this.#finished.resolve();
    try {
      this.#server = listen({ ...this.#options, port: this.port }, this.#kill.signal);
      this.#watch();
    } catch {
      setTimeout(() => this.#listenAgain(), RETRY_MS);
    }
  }
}

function listen(
  { hostname, port, tls, handle }: ListenOptions,
  signal: AbortSignal,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({ hostname, port, signal, ...tls, onListen: () => {} }, handle);
  } catch (error) {
    const isTaken = error instanceof Deno.errors.AddrInUse;
    if (tls !== undefined && !isTaken && !(error instanceof Deno.errors.AddrNotAvailable)) {
      throw new Error(
        `Cannot use the TLS certificate and key: ${messageOf(error)}: both are PEM files, and ` +
          "belong together",
        { cause: error },
      );
    }
    throw new Error(`Cannot listen on ${hostname} port ${port}: ${listenReason(error)}`, {
      cause: error,
    });
  }
}

function listenReason(error: unknown): string {
  if (error instanceof Deno.errors.AddrInUse) {
    return "the port is in use: choose another with --port";
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return "no network of this machine has that address: give one that has with --host, or 0.0.0.0";
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return "only the system's administrator may use that port: choose one above 1023 with --port";
  }
  return `${messageOf(error)}: choose another with --host or --port`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
