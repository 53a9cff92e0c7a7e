/**
 * The connection to NATS, for as long as the process lives: made when there is a server, made again
 * whenever it is gone, with pauses that grow. Who uses it while it is out of reach is told so at
 * once. Knows nothing of what is kept there.
 */
import { connect, errors, type NatsConnection } from "@nats-io/transport-node";
import {
  jetstream,
  JetStreamApiError,
  type JetStreamClient,
  JetStreamError,
  type JetStreamManager,
  jetstreamManager,
} from "@nats-io/jetstream";
import { messageOf, RequestError } from "../../base/errors.ts";
import { pause } from "../../base/pause.ts";
import type { QueueAddress } from "./queue_address.ts";

/** A connection that works. */
export interface Nats {
  readonly connection: NatsConnection;
  readonly streams: JetStreamClient;
  readonly manager: JetStreamManager;
}

export interface LinkOptions {
  readonly address: QueueAddress;
  /** Done before anybody uses a new connection. */
  readonly setUp: (nats: Nats) => Promise<void>;
  /** Told when the queue is lost, why it cannot be reached, and that it is back. */
  readonly onNotice?: (text: string) => void;
}

/** A request that takes longer will not be answered. */
const REQUEST_MS = 5000;
/** A server that stands still is noticed within three of them. */
const PING_MS = 5000;
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 5000;
/** The pause between two tries is this part of the time for which it has been away. */
const GROWTH = 4;
const RETRY_AFTER_SECONDS = 5;

/** Opened at once, whether there is a server or not. */
export class NatsLink {
  readonly #options: LinkOptions;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  readonly #tried = Promise.withResolvers<void>();
  /** Null: out of reach. */
  #nats: Nats | null = null;
  /** What is told whoever waits for an answer when the connection breaks. */
  readonly #onDown = new Set<() => void>();
  readonly #onUp = new Set<() => void>();
  /** Changes with every connection, so that what belongs to an earlier one ends. */
  #generation = 0;
  #lastReason = "";
  #goneAtMs = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Resolves when it has been tried once, whatever came of it. */
  get tried(): Promise<void> {
    return this.#tried.promise;
  }

  /**
   * Runs `work` with the connection.
   * @throws {RequestError} 503 when there is none, or when it breaks meanwhile.
   */
  async use<T>(work: (nats: Nats) => Promise<T>): Promise<T> {
    const nats = this.#nats;
    if (nats === null) throw this.#unavailable();
    const broken = Promise.withResolvers<never>();
    const breakOff = () => broken.reject(this.#unavailable());
    this.#onDown.add(breakOff);
    try {
      return await Promise.race([work(nats), broken.promise]);
    } catch (error) {
      if (isMissing(error) && this.#nats === nats) {
        this.#goDown();
        this.#goUp(nats.connection);
      }
      throw isOutOfReach(error) ? this.#unavailable(error) : error;
    } finally {
      this.#onDown.delete(breakOff);
    }
  }

  /** False when `signal` was aborted, or the link closed, before there was a connection. */
  async untilUp(signal: AbortSignal): Promise<boolean> {
    const closing = this.#closing.signal;
    if (this.#nats !== null) return !signal.aborted && !closing.aborted;
    const ends = AbortSignal.any([signal, closing]);
    while (this.#nats === null && !ends.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = () => resolve();
      this.#onUp.add(wake);
      ends.addEventListener("abort", wake);
      await promise;
      ends.removeEventListener("abort", wake);
      this.#onUp.delete(wake);
    }
    return !ends.aborted;
  }

  async close(): Promise<void> {
    // What was said last is heard: acknowledgements are not answered.
    await this.use(({ connection }) => connection.flush()).catch(() => {});
    this.#closing.abort();
    this.#goDown();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const connection = await connect(this.#connectOptions());
        attempt = 0;
        await this.#stayWith(connection);
      } catch (error) {
        this.#explain(error);
      }
      await pause(pauseMs(attempt), signal);
    }
  }

  #connectOptions() {
    const { servers, user, password: pass, token, isEncrypted } = this.#options.address;
    return {
      ...{ servers: [...servers], user, pass, token, tls: isEncrypted ? {} : undefined },
      name: "ganglion",
      timeout: REQUEST_MS,
      pingInterval: PING_MS,
      maxReconnectAttempts: -1,
      // Passwords are changed on the server and come back.
      ignoreAuthErrorAbort: true,
      // It is asked more often than it tries: the pause grows with time, not with questions.
      reconnectDelayHandler: () => jittered((performance.now() - this.#goneAtMs) / GROWTH),
    };
  }

  /** Follows what happens to a connection until it is closed for good. */
  async #stayWith(connection: NatsConnection): Promise<void> {
    const close = () => connection.close();
    this.#closing.signal.addEventListener("abort", close);
    try {
      if (this.#closing.signal.aborted) close();
      else this.#goUp(connection);
      for await (const status of connection.status()) {
        if (status.type === "disconnect") this.#goDown();
        if (status.type === "reconnect") this.#goUp(connection);
        if (status.type === "error") this.#explain(status.error);
      }
      await connection.closed();
    } finally {
      this.#closing.signal.removeEventListener("abort", close);
      this.#goDown();
    }
  }

  /** JetStream may come up later than the server, and streams later than JetStream. */
  async #goUp(connection: NatsConnection): Promise<void> {
    const generation = ++this.#generation;
    const isCurrent = () => generation === this.#generation && !this.#closing.signal.aborted;
    for (let attempt = 0; isCurrent(); attempt++) {
      try {
        const options = { timeout: REQUEST_MS, checkAPI: false };
        const manager = await jetstreamManager(connection, options);
        const nats = { connection, manager, streams: jetstream(connection, options) };
        await this.#options.setUp(nats);
        if (!isCurrent()) return;
        this.#nats = nats;
        if (this.#lastReason !== "") this.#options.onNotice?.("The queue is in reach again");
        this.#lastReason = "";
        this.#tried.resolve();
        for (const wake of this.#onUp) wake();
        return;
      } catch (error) {
        if (isCurrent()) this.#explain(error);
      }
      await pause(pauseMs(attempt), this.#closing.signal);
    }
  }

  #goDown(): void {
    this.#generation++;
    const wasUp = this.#nats !== null;
    if (wasUp) this.#goneAtMs = performance.now();
    this.#nats = null;
    for (const breakOff of this.#onDown) breakOff();
    if (wasUp && !this.#closing.signal.aborted) this.#explain(new Error("the connection is gone"));
  }

  /** Once for each reason, however often it is tried. */
  #explain(error: unknown): void {
    this.#tried.resolve();
    const reason = messageOf(error);
    if (this.#closing.signal.aborted || reason === this.#lastReason) return;
    this.#lastReason = reason;
    this.#options.onNotice?.(
      `The queue at ${this.#where()} is out of reach: ${reason}: it is tried again and again`,
    );
  }

  #unavailable(cause?: unknown): RequestError {
    return Object.assign(
      new RequestError(
        "The queue that keeps files and batches does not answer: try again later",
        { status: 503, code: "queue_unavailable", retryAfterSeconds: RETRY_AFTER_SECONDS },
      ),
      cause === undefined ? {} : { cause },
    );
  }

  #where(): string {
    return this.#options.address.servers.join(", ");
  }
}

/** Whether the server, or what it keeps, could not be asked: nothing is wrong with the question. */
function isOutOfReach(error: unknown): boolean {
  if (error instanceof JetStreamApiError) {
    return isMissing(error) || error.status === 503 && error.code !== STORE_REFUSED;
  }
  return NETWORK_ERRORS.some((kind) => error instanceof kind) ||
    // "JetStream is not enabled" is said of a server whose JetStream is not up yet, too.
    error instanceof Error && error.cause instanceof errors.RequestError;
}

const NETWORK_ERRORS = [
  errors.TimeoutError,
  errors.RequestError,
  errors.NoRespondersError,
  errors.ClosedConnectionError,
  errors.DrainingConnectionError,
  errors.ConnectionError,
  errors.PermissionViolationError,
  JetStreamError,
];

/** JetStream's code for a message that a stream's own rules keep out: no state of the server. */
export const STORE_REFUSED = 10077;
const CONSUMER_NOT_FOUND = 10014;
const STREAM_NOT_FOUND = 10059;

/** A server that was started with another folder has lost what was set up there. */
function isMissing(error: unknown): boolean {
  return error instanceof JetStreamApiError &&
    (error.code === STREAM_NOT_FOUND || error.code === CONSUMER_NOT_FOUND);
}

function pauseMs(attempt: number): number {
  return jittered(PAUSE_MS_MIN * 2 ** Math.min(attempt, 10));
}

/** Within bounds, and with chance, so that replicas do not come all at once. */
function jittered(ms: number): number {
  return Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS_MIN, ms)) * (0.5 + Math.random() / 2);
}
