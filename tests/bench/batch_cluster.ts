/**
 * Servers with the built-in model that share one store of batches, in NATS or in a folder: asked
 * through whichever of them answers, and hurt meanwhile.
 */
import { pause } from "../../src/base/pause.ts";
import type { BatchStore } from "../../src/batch/mod.ts";
import { openNatsStore, parseQueueAddress } from "../../src/batch/nats/mod.ts";
import { openSqliteStore } from "../../src/batch/sqlite/sqlite_store.ts";
import { freePort } from "../support/free_port.ts";
import { NatsServer } from "../support/nats_server.ts";
import { Replica } from "./replica_processes.ts";

/** A request as it is in a batch's file, without what is the same for all. */
export interface BatchLine {
  readonly custom_id: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** A line of a batch's output. */
export interface OutputLine {
  readonly custom_id: string;
  readonly response: {
    readonly status_code: number;
    // deno-lint-ignore no-explicit-any -- an answer of whatever route
    readonly body: any;
  };
  readonly error: { readonly code: string } | null;
}

/** What `/v1/batches` tells of one. */
export interface BatchCard {
  readonly id: string;
  readonly status: string;
  readonly output_file_id: string | null;
  readonly error_file_id: string | null;
  readonly request_counts: { readonly completed: number; readonly failed: number };
}

export interface ClusterOptions {
  readonly kind: "NATS" | "SQLite";
  readonly replicaCount: number;
  /** Jobs at once of each replica. */
  readonly concurrency: number;
  /** After which a killed server's jobs go to others. */
  readonly leaseSeconds: number;
}

/** How long the servers may all be away. */
const PATIENCE_MS = 90_000;
const POLL_MS = 250;

export class BatchCluster {
  readonly replicas: readonly Replica[];
  /** Null: it is a folder. */
  readonly nats: NatsServer | null;
  readonly #folder: string;
  readonly #leaseMs: number;

  private constructor(
    replicas: readonly Replica[],
    { folder, nats, leaseSeconds }: {
      readonly folder: string;
      readonly nats: NatsServer | null;
      readonly leaseSeconds: number;
    },
  ) {
    this.replicas = replicas;
    this.nats = nats;
    this.#folder = folder;
    this.#leaseMs = 1000 * leaseSeconds;
  }

  /** Starts the servers, and what they need. */
  static async start(
    { kind, replicaCount, concurrency, leaseSeconds }: ClusterOptions,
  ): Promise<BatchCluster> {
    const folder = await Deno.makeTempDir({ prefix: "ganglion-batches-" });
    const nats = kind === "NATS" ? await NatsServer.create() : null;
    const place = nats === null ? ["--batch-folder", folder] : ["--queue", nats.url];
    const limits = { "--batch-concurrency": concurrency, "--batch-lease": leaseSeconds };
    const flags = [...place, ...Object.entries(limits).flat().map(String)];
    const replicas = Array.from(
      { length: replicaCount },
      () => new Replica(freePort(), flags),
    );
    const cluster = new BatchCluster(replicas, { folder, nats, leaseSeconds });
    try {
      await Promise.all(replicas.map((replica) => replica.start()));
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The store that the servers use. Whoever opened it closes it. */
  async openStore(): Promise<BatchStore> {
    const options = { leaseMs: this.#leaseMs };
    if (this.nats === null) return openSqliteStore(this.#folder, options);
    return await openNatsStore({ address: parseQueueAddress(this.nats.url), ...options });
  }

  /** Asks a server, another one where it does not answer, until one does. */
  async ask(path: string, init: RequestInit = {}): Promise<Response> {
    const deadlineMs = performance.now() + PATIENCE_MS;
    for (let turn = 0; performance.now() < deadlineMs; turn++) {
      const { url } = this.replicas[turn % this.replicas.length];
      try {
        const response = await fetch(url + path, { signal: AbortSignal.timeout(30_000), ...init });
        if (response.ok) return response;
        const text = await response.text();
        if (response.status !== 503) throw new Refused(`${path}: ${response.status} ${text}`);
      } catch (error) {
        if (error instanceof Refused) throw error;
      }
      await pause(POLL_MS);
    }
    throw new Error(`${path} was not answered for ${PATIENCE_MS / 1000} s`);
  }

  async askJson<T>(path: string, body?: unknown): Promise<T> {
    const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    return await (await this.ask(path, init)).json();
  }

  /** Puts lines into a file, and begins a batch of it. */
  async submit(endpoint: string, lines: readonly BatchLine[]): Promise<string> {
    const form = new FormData();
    form.append("purpose", "batch");
    const whole = lines.map((line) => JSON.stringify({ ...line, method: "POST", url: endpoint }));
    form.append("file", new Blob([whole.join("\n")]), "jobs.jsonl");
    const file = await (await this.ask("/v1/files", { method: "POST", body: form })).json();
    const { id } = await this.askJson<BatchCard>("/v1/batches", {
      ...{ input_file_id: file.id, endpoint, completion_window: "24h" },
    });
    return id;
  }

  /** Waits until a batch has ended; `onCount` hears how many of its jobs have results. */
  async ended(id: string, onCount: (count: number) => void = () => {}): Promise<BatchCard> {
    for (;;) {
      const card = await this.askJson<BatchCard>(`/v1/batches/${id}`);
      onCount(card.request_counts.completed + card.request_counts.failed);
      if (["completed", "failed", "expired", "cancelled"].includes(card.status)) return card;
      await pause(POLL_MS);
    }
  }

  /** The lines of a batch's output, or of its errors. */
  async lines(id: string | null): Promise<OutputLine[]> {
    if (id === null) return [];
    const text = await (await this.ask(`/v1/files/${id}/content`)).text();
    return text.trimEnd().split("\n").map((line) => JSON.parse(line));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.stop()));
    await this.nats?.[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

class Refused extends Error {}
