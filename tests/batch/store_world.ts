/** Stores for tests: places for them, and what is put into them. */
import { assert } from "@std/assert";
import {
  type BatchRecord,
  type BatchStore,
  type JobLine,
  type JobResult,
  type LeaseOptions,
  newId,
  type TakenJob,
} from "../../src/batch/batch_store.ts";

/** A place for stores. */
export interface StoreWorld {
  /** Another handle on the same state, as another process has one. The test closes it. */
  open(options?: LeaseOptions): Promise<BatchStore>;
  close(): Promise<void>;
}

/** How stores of a kind are made. */
export interface StoreFactory {
  readonly name: string;
  /** True where it cannot be tested here. */
  readonly ignore?: boolean;
  newWorld(): Promise<StoreWorld>;
}

/** Opens a store for the time of `use`. */
export async function using<T>(
  world: StoreWorld,
  use: (store: BatchStore) => Promise<T>,
  options: LeaseOptions = {},
): Promise<T> {
  const store = await world.open(options);
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

/** A job within 10 s. */
export async function takeSoon(store: Pick<BatchStore, "jobs">): Promise<TakenJob> {
  const job = await takeOrNot(store, 10_000);
  assert(job !== null, "no job came");
  return job;
}

export async function takeOrNot(
  { jobs }: Pick<BatchStore, "jobs">,
  ms = 250,
): Promise<TakenJob | null> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), ms);
  try {
    return await jobs.take(stop.signal);
  } finally {
    clearTimeout(timer);
  }
}

export function fileHead(id: string) {
  return { id, owner: "me", filename: "jobs.jsonl", purpose: "batch" as const, createdAt: 1 };
}

/** A batch that was just made. */
export function batchRecord(changes: Partial<BatchRecord> = {}): BatchRecord {
  return {
    id: newId("batch_"),
    owner: "me",
    endpoint: "/v1/chat/completions",
    inputFileId: "file-1",
    metadata: { kind: "test" },
    status: "validating",
    times: {},
    createdAt: 1,
    expiresAt: 2,
    total: 0,
    progress: { completed: 0, failed: 0 },
    errors: [],
    outputFileId: null,
    errorFileId: null,
    isOpen: true,
    keeper: null,
    ...changes,
  };
}

export function line(index: number): JobLine {
  return {
    index,
    customId: `line-${index}`,
    endpoint: "/v1/completions",
    body: JSON.stringify({ prompt: `say ${index}` }),
  };
}

export function lines(count: number): AsyncIterable<JobLine> {
  return listed(range(count).map(line));
}

export async function* listed<T>(items: Iterable<T>): AsyncGenerator<T> {
  for (const item of items) {
    await Promise.resolve();
    yield item;
  }
}

export function answer(body: unknown, status: number): JobResult {
  return { response: { status_code: status, request_id: `req_${status}`, body }, error: null };
}

export async function* pieces(bytes: Uint8Array, count: number): AsyncGenerator<Uint8Array> {
  for (let n = 0; n < count; n++) {
    await Promise.resolve();
    yield bytes;
  }
}

export async function* breakingOff(): AsyncGenerator<Uint8Array> {
  yield* pieces(text("half"), 1);
  throw new Error("gone");
}

export async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Blob(await Array.fromAsync(bytes, copy)).arrayBuffer());
}

export function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

export function text(words: string): Uint8Array {
  return new TextEncoder().encode(words);
}

export function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
