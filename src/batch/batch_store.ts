/**
 * What batches are kept in: files, batches, and the jobs that a batch consists of, one for each
 * line of its file. Several processes use one store at once and any of them may die at any moment,
 * so everything here can be done twice with the effect of once. Knows nothing of HTTP, nor of what
 * the jobs ask for.
 *
 * Every method throws a `RequestError` 503 with `retryAfterSeconds` while the store is out of
 * reach; `take` waits instead.
 */

/** One store. Whoever opened it closes it. */
export interface BatchStore {
  readonly files: FileStore;
  readonly batches: BatchTable;
  readonly jobs: JobQueue;
  /** Jobs that were taken here and are not finished go to others when their leases end. */
  close(): Promise<void>;
}

/** How a store treats jobs whose process goes silent. */
export interface LeaseOptions {
  /** A job is somebody else's when nothing was heard of it for so long; default 10 s. */
  readonly leaseMs?: number;
  /** A job that was lost so many times gets `deadLetter()` for its result; default 3. */
  readonly attemptsMax?: number;
}

/** What a list shows: newest first, or oldest first, from behind `after` on. */
export interface ListOptions {
  readonly owner: string;
  /** The id of the last one of the page before; need not exist any more. */
  readonly after?: string;
  readonly limit: number;
  /** By id, which is by age (`newId`); default "desc". */
  readonly order?: "asc" | "desc";
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly hasMore: boolean;
}

/** What is known of a file. Files never change. */
export interface FileRecord {
  readonly id: string;
  /** Whose it is; others are told that there is none. */
  readonly owner: string;
  readonly filename: string;
  readonly purpose: "batch" | "batch_output";
  readonly bytes: number;
  /** Seconds since 1970. */
  readonly createdAt: number;
}

export interface FileStore {
  /**
   * Keeps what `content` yields. The file is there whole or not at all; where one of that id is
   * there already, it stays as it is, and is returned.
   * @throws whatever `content` throws; a RequestError 507 when there is no room.
   */
  put(
    head: Omit<FileRecord, "bytes">,
    content: AsyncIterable<Uint8Array>,
  ): Promise<FileRecord>;
  /** Null where there is none. */
  get(id: string): Promise<FileRecord | null>;
  /** Its bytes in pieces of at most 1 MiB; null where there is none. */
  read(id: string): Promise<AsyncIterable<Uint8Array> | null>;
  list(options: ListOptions & { readonly purpose?: string }): Promise<Page<FileRecord>>;
  /** False where there was none. */
  delete(id: string): Promise<boolean>;
}

export type BatchStatus =
  | "validating"
  | "failed"
  | "in_progress"
  | "finalizing"
  | "completed"
  | "expired"
  | "cancelling"
  | "cancelled";

/** What is wrong with a line of an input file, or (line null) with the file. */
export interface LineError {
  readonly code: string;
  readonly message: string;
  readonly param: string | null;
  /** From 1 on. */
  readonly line: number | null;
}

/** A batch. Times are seconds since 1970. At most 256 KiB as JSON. */
export interface BatchRecord {
  readonly id: string;
  readonly owner: string;
  readonly endpoint: string;
  readonly inputFileId: string;
  readonly metadata: Readonly<Record<string, string>> | null;
  readonly status: BatchStatus;
  /** When it took each status. */
  readonly times: Readonly<Partial<Record<BatchStatus, number>>>;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** Jobs of it; 0 until they are all in the queue. */
  readonly total: number;
  /** As they are when it has ended; while it goes on, `JobQueue.progress` knows. */
  readonly progress: Progress;
  readonly errors: readonly LineError[];
  readonly outputFileId: string | null;
  readonly errorFileId: string | null;
  /** False once nothing is left to be done for it, its jobs' removal included. */
  readonly isOpen: boolean;
  /** The process that takes it to its next status, and until when (ms since 1970). */
  readonly keeper: { readonly id: string; readonly untilMs: number } | null;
}

/** A batch as it was read. */
export interface VersionedBatch {
  readonly record: BatchRecord;
  /** Different after every change. */
  readonly version: number;
}

export interface BatchTable {
  /** @throws {Error} when there is one of that id. */
  create(record: BatchRecord): Promise<VersionedBatch>;
  get(id: string): Promise<VersionedBatch | null>;
  /**
   * Puts `record` in the place of the batch of its id, if that still has this version.
   * @returns null where it has not, or is gone: read it again.
   */
  replace(record: BatchRecord, version: number): Promise<VersionedBatch | null>;
  list(options: ListOptions): Promise<Page<BatchRecord>>;
  /** All that something is left to be done for, of every owner, oldest first. */
  listOpen(): Promise<readonly VersionedBatch[]>;
  /** How many of an owner's something is left to be done for. */
  countOpen(owner: string): Promise<number>;
}

/** How many jobs have results: with status 200, and others. */
export interface Progress {
  readonly completed: number;
  readonly failed: number;
}

/** A line of an input file, as it is put into the queue. */
export interface JobLine {
  /** From 0 on, without gaps, in the order of the file. */
  readonly index: number;
  readonly customId: string;
  /** The path that is asked, such as "/v1/chat/completions". */
  readonly endpoint: string;
  /** The body of the request, a JSON object. As long as bodies of requests may be (8 MiB). */
  readonly body: string;
}

/** What became of a job: an answer of whatever status, or the reason why there is none. */
export interface JobResult {
  readonly response: {
    readonly status_code: number;
    readonly request_id: string;
    readonly body: unknown;
  } | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** A job as it comes out of the queue. It is this process' for `leaseMs`, and after each beat. */
export interface TakenJob extends JobLine {
  readonly batchId: string;
  /** Which attempt this is, from 1 on. */
  readonly attempt: number;
  /**
   * Says that it is being worked on.
   * @returns false when working on it is in vain: it has a result, or somebody else has it.
   */
  beat(): Promise<boolean>;
  /**
   * Writes its result, and takes it out of the queue; a first result is never changed. Somebody
   * whose lease has ended may still be the first.
   * @returns true when this was the first.
   */
  finish(result: JobResult): Promise<boolean>;
  /** Puts it back, for whoever takes it in `delayMs` or later; ends this lease. */
  giveBack(options: GiveBackOptions): Promise<void>;
}

export interface GiveBackOptions {
  /** Default 0. */
  readonly delayMs?: number;
  /** True when it was the job's fault: after `attemptsMax` of them it is taken out. */
  readonly isAttempt: boolean;
}

export interface JobQueue {
  /**
   * Puts jobs into the queue, those that are not in it and have no result. A batch's jobs can be
   * taken from then on, those of an older batch first, in the order of `index` (roughly).
   */
  enqueue(batchId: string, jobs: AsyncIterable<JobLine>): Promise<void>;
  /**
   * The next job that has no result and is nobody's; waits until there is one.
   * @returns null once `signal` is aborted; no job is taken then.
   */
  take(signal: AbortSignal): Promise<TakenJob | null>;
  /** Gives all jobs of a batch that have no result this one, whoever works on them. */
  finishAll(batchId: string, result: JobResult): Promise<void>;
  /** Exact as soon as `finish` and `finishAll` have returned, wherever they were called. */
  progress(batchId: string): Promise<Progress>;
  /** The results that there are, by `index`. */
  results(batchId: string): AsyncIterable<IndexedResult>;
  /** Forgets a batch's jobs and results. */
  drop(batchId: string): Promise<void>;
}

export interface IndexedResult {
  readonly index: number;
  readonly customId: string;
  readonly result: JobResult;
}

/** True for an answer that counts as completed. */
export function isCompleted({ response }: JobResult): boolean {
  return response !== null && response.status_code >= 200 && response.status_code < 300;
}

/** The result of a job that took its processes with it, or failed, each time it was tried. */
export function deadLetter(attempts: number): JobResult {
  return {
    response: null,
    error: {
      code: "too_many_attempts",
      message: `The request failed, or ended the process that worked on it, ${attempts} times`,
    },
  };
}

/** Ids that sort by their age: "batch_" or "file-", time, chance. */
export function newId(prefix: string, nowMs = Date.now()): string {
  const chance = crypto.getRandomValues(new Uint8Array(10));
  return prefix + nowMs.toString(16).padStart(12, "0") + chance.toHex();
}
