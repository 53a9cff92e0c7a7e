/** What the server is made of: its models, its limits, and whether it is on its way out. */
import { Log } from "../base/log.ts";
import { MiB } from "../base/units.ts";
import type { BatchStore } from "../batch/mod.ts";
import { Admission } from "./admission.ts";
import { ApiKeys } from "./api_keys.ts";
import type { ModelLibrary } from "./model_library.ts";
import type { ConversationFolder } from "./native/conversations.ts";
import type { ModelSource } from "./model_source.ts";
import { BodyRoom } from "./request_body.ts";
import { ServerMetrics } from "./telemetry/server_metrics.ts";
import { findTracer, type Tracer } from "./telemetry/spans.ts";

export interface AppOptions {
  readonly models: ModelSource;
  /** A folder that clients may change; null: there is none. Default null. */
  readonly library?: ModelLibrary | null;
  /** The name or address that the server listens on, accepted as Host; default "127.0.0.1". */
  readonly hostname?: string;
  /** More names accepted in the Host header; "*" accepts any. Addresses always are. */
  readonly allowedHosts?: readonly string[];
  /** Origins of other sites whose pages may use the API; "*" allows any. Default none. */
  readonly allowedOrigins?: readonly string[];
  /** Of a body without its images; default 8 MiB. */
  readonly bodyBytesMax?: number;
  /** Of a body's images, as they are written in it (base64); default 32 MiB. */
  readonly imageBytesMax?: number;
  /** How long a request's body may take to arrive; default 30 s. */
  readonly bodyTimeoutMs?: number;
  /** What all bodies together may take while they arrive; default 32 of the longest texts. */
  readonly bodyRoom?: BodyRoom;
  /** Fields that are not known cost a 400; else the answer's header names them. Default false. */
  readonly strictRequests?: boolean;
  /** Tokens that models may think where a request does not say; default Infinity. */
  readonly thoughtTokensMax?: number;
  /** Silence after which a stream gets a comment, so that proxies keep it; default 15 s. */
  readonly keepAliveMs?: number;
  /** Text that a stream holds for a slow reader before its generation waits; default 2^20. */
  readonly streamBufferChars?: number;
  /** How long a reader may leave its stream untouched before it is dropped; default 30 s. */
  readonly streamLagMs?: number;
  /** Keys of which clients must show one; none: nobody is asked. */
  readonly apiKeys?: ApiKeys;
  /** Requests that work is done for at once; the rest gets 503. Default 512. */
  readonly requestsMax?: number;
  /** How long work for a request may take, waiting included; default Infinity. */
  readonly requestTimeoutMs?: number;
  /** Where conversations are kept; null: nowhere, which is the default. */
  readonly conversations?: ConversationFolder | null;
  /** Files and batches of clients, and who works on them; null: there are none, the default. */
  readonly batches?: BatchSettings | null;
  readonly admission?: Admission;
  readonly lifecycle?: Lifecycle;
  readonly metrics?: ServerMetrics;
  /** Default: failures only, on the console. */
  readonly log?: Log;
  /** Prompts and answers go to the log, too; default false. */
  readonly logPrompts?: boolean;
  /** Of OpenTelemetry; null: none. Default: Deno's, where it is on. */
  readonly tracer?: Tracer | null;
  /** Told of failures that are the server's own, with the id that the client got. */
  readonly onError?: (error: unknown, requestId: string) => void;
}

/** Where batches are kept, and how they are worked on. */
export interface BatchSettings {
  readonly store: BatchStore;
  /** Jobs at once in this process. */
  readonly concurrency: number;
  /** Of an uploaded file. */
  readonly fileBytesMax: number;
  /** That a key may have open; without keys, that all may have together. Default 100. */
  readonly batchesPerKey?: number;
  /** The store's: what a process has that is silent for so long is others'. Default 10 s. */
  readonly leaseMs?: number;
}

/** Of the longest texts that may arrive at a time: 256 MiB. Most are far shorter. */
const BODIES_AT_ONCE = 32;

/** AppOptions with every default in place. */
export type AppSettings = Required<AppOptions>;

/** Fills in the defaults of `options`. */
export function appSettings(options: AppOptions): AppSettings {
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  );
  const log = options.log ??
    new Log({ level: "error", form: "text", write: (line) => console.error(line) });
  const { bodyBytesMax = 8 * MiB, imageBytesMax = 32 * MiB } = options;
  const roomBytes = Math.max(BODIES_AT_ONCE * bodyBytesMax, bodyBytesMax + imageBytesMax);
  return {
    library: null,
    hostname: "127.0.0.1",
    allowedHosts: [],
    allowedOrigins: [],
    bodyBytesMax,
    imageBytesMax,
    bodyRoom: new BodyRoom(roomBytes),
    bodyTimeoutMs: 30_000,
    strictRequests: false,
    thoughtTokensMax: Infinity,
    keepAliveMs: 15_000,
    streamBufferChars: 2 ** 20,
    streamLagMs: 30_000,
    apiKeys: new ApiKeys(),
    requestsMax: 512,
    requestTimeoutMs: Infinity,
    conversations: null,
    batches: null,
    admission: new Admission(),
    lifecycle: new Lifecycle(),
    metrics: new ServerMetrics(),
    log,
    logPrompts: false,
    tracer: options.tracer === undefined ? findTracer() : options.tracer,
    onError: (error, requestId) => log.error("failure", error, { request_id: requestId }),
    ...given,
    models: options.models,
  };
}

/** The way out: first no new work, then no work at all. */
export class Lifecycle {
  readonly #drain = new AbortController();
  readonly #abort = new AbortController();

  /** True once no new work is taken. */
  get isDraining(): boolean {
    return this.#drain.signal.aborted;
  }

  /** Aborts when no new work is taken any more: what can go on another time ends then. */
  get drainSignal(): AbortSignal {
    return this.#drain.signal;
  }

  /** Aborts when work under way must end. */
  get stopSignal(): AbortSignal {
    return this.#abort.signal;
  }

  drain(): void {
    this.#drain.abort();
  }

  stop(): void {
    this.drain();
    this.#abort.abort();
  }
}
