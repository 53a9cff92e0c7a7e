/**
 * A port that is listened on until it is closed: how many connections there may be, and how long
 * each may take to say what it wants. Connections are Deno's, whose failures can be seen: the
 * listener of `node:http` goes deaf, silently, when the process has no file descriptor left. Knows
 * nothing of what is answered.
 */
import { type IncomingMessage, Server, type ServerResponse } from "node:http";
import { messageOf } from "../base/errors.ts";
import { pause } from "../base/pause.ts";
import { ConnectionStream } from "./connection_stream.ts";
import { exchange, type ExchangeHandler } from "./http_exchange.ts";
import { withinRequestSpan } from "./telemetry/spans.ts";

export interface ListenOptions {
  readonly hostname: string;
  /** 0: any free one. */
  readonly port: number;
  /** A certificate chain and its key, both PEM; left out: plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly handle: ExchangeHandler;
  /** How long a request's line and headers may take to come; default 30 s. */
  readonly headMs?: number;
  /** Connections beyond which further ones are closed at once; default 2048. */
  readonly connectionsMax?: number;
  /** Told what went wrong without ending it. */
  readonly onTrouble?: (error: unknown) => void;
}

/** How long whoever took all descriptors gets to go, before the port is tried again. */
const RETRY_MS = 100;

/** How long a connection may rest between requests: longer than proxies keep theirs (60 s). */
const REST_MS = 75_000;

/** How often heads that take too long are looked for. */
const CHECK_MS = 1000;

/** Of a request's line and headers. */
const HEAD_BYTES_MAX = 16_384;

export class Listener {
  readonly port: number;
  readonly #options: ListenOptions;
  readonly #listener: Deno.Listener<Deno.Conn, Deno.NetAddr>;
  readonly #http: FedServer;
  /** Of every connection, how many of its requests are under way. */
  readonly #connections = new Map<ConnectionStream, number>();
  readonly #finished = Promise.withResolvers<void>();
  #isClosing = false;

  /** @throws {Error} when it cannot listen there, or cannot use the certificate. */
  constructor(options: ListenOptions) {
    this.#options = options;
    this.#listener = listen(options);
    this.port = this.#listener.addr.port;
    this.#http = new FedServer({
      headersTimeout: options.headMs ?? 30_000,
      // Whoever reads a body knows how long it may take.
      requestTimeout: 0,
      keepAliveTimeout: REST_MS,
      connectionsCheckingInterval: CHECK_MS,
      maxHeaderSize: HEAD_BYTES_MAX,
    }, (incoming, outgoing) => this.#answer(incoming, outgoing));
    this.#http.open();
    this.#accept();
  }

  /** Resolves when it is closed and its connections are. */
  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  /** Takes no more connections; those on which an answer is under way may end it. */
  close(): void {
    this.#stop();
    for (const [connection, requestCount] of this.#connections) {
      if (requestCount === 0) connection.destroy();
    }
  }

  /** Ends all connections. */
  kill(): void {
    this.#stop();
    for (const connection of this.#connections.keys()) connection.destroy();
  }

  #stop(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#listener.close();
    this.#http.end();
    this.#finishIfEmpty();
  }

  #finishIfEmpty(): void {
    if (this.#isClosing && this.#connections.size === 0) this.#finished.resolve();
  }

  async #accept(): Promise<void> {
    let isInTrouble = false;
    while (!this.#isClosing) {
      try {
        const connection = await this.#listener.accept();
        isInTrouble = false;
        if (this.#connections.size < (this.#options.connectionsMax ?? 2048)) this.#add(connection);
        else connection.close();
      } catch (error) {
        if (this.#isClosing) return;
        if (hasLeft(error)) continue;
        if (!isInTrouble) this.#options.onTrouble?.(error);
        isInTrouble = true;
        await pause(RETRY_MS);
      }
    }
  }

  #add(connection: Deno.Conn): void {
    const isEncrypted = this.#options.tls !== undefined;
    const stream = new ConnectionStream(connection, { isEncrypted });
    this.#connections.set(stream, 0);
    stream.once("close", () => {
      this.#connections.delete(stream);
      this.#finishIfEmpty();
    });
    this.#http.emit("connection", stream);
  }

  #answer(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { tls, handle, onTrouble } = this.#options;
    const connection: unknown = incoming.socket;
    this.#count(connection as ConnectionStream, 1);
    outgoing.once("close", () => this.#count(connection as ConnectionStream, -1));
    const scheme = tls === undefined ? "http" : "https";
    withinRequestSpan(
      outgoing,
      () => exchange(incoming, outgoing, { scheme, handle, onError: onTrouble }),
    );
  }

  #count(connection: ConnectionStream, more: number): void {
    const requestCount = this.#connections.get(connection);
    if (requestCount !== undefined) this.#connections.set(connection, requestCount + more);
  }
}

/** Of a client that was gone before it was accepted: the next one is none the worse. */
function hasLeft(error: unknown): boolean {
  return error instanceof Deno.errors.NotConnected ||
    error instanceof Deno.errors.ConnectionAborted || error instanceof Deno.errors.ConnectionReset;
}

/** A server that is given its connections. */
class FedServer extends Server {
  #isOpen = false;

  open(): void {
    this.#isOpen = true;
    // Once it does not listen, connections end with their answers.
    Object.defineProperty(this, "listening", { get: () => this.#isOpen });
    // Has it look for heads that take too long.
    this.emit("listening");
  }

  end(): void {
    this.#isOpen = false;
    this.close();
  }
}

function listen(
  { hostname, port, tls }: ListenOptions,
): Deno.Listener<Deno.Conn, Deno.NetAddr> {
  try {
    return tls === undefined
      ? Deno.listen({ hostname, port })
      : Deno.listenTls({ hostname, port, ...tls, alpnProtocols: ["http/1.1"] });
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
