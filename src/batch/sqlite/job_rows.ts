// deno-lint-ignore-file require-await -- other stores wait; this one throws through promises
/**
 * Jobs as rows of a table. A job is nobody's when its time `free_at_ms` has come: a lease, its
 * beats and a delay all move that time. Whoever has a lease has its name. A power cut may undo the
 * last steps of jobs: they are done again.
 */
import {
  deadLetter,
  type GiveBackOptions,
  type IndexedResult,
  isCompleted,
  type JobLine,
  type JobQueue,
  type JobResult,
  type LeaseOptions,
  type Progress,
  type TakenJob,
} from "../batch_store.ts";
import { pause } from "../pause.ts";
import type { Database } from "./database.ts";

/** How soon a job is noticed that another process has put there. */
const POLL_MS = 100;
/** Each try holds up the whole process: between two of them it has time for others. */
const BUSY_MS = 2000;
/** Rows of a transaction: others write in between, and the event loop goes on. */
const ROWS = 256;
/** So long the event loop may be held. */
const HOLD_MS = 10;
/** Results are read so many at a time. */
const RESULT_ROWS = 32;

export class JobRows implements JobQueue {
  readonly #db: Database;
  readonly #leaseMs: number;
  readonly #attemptsMax: number;

  constructor(db: Database, { leaseMs = 10_000, attemptsMax = 3 }: LeaseOptions) {
    this.#db = db;
    this.#leaseMs = leaseMs;
    this.#attemptsMax = attemptsMax;
  }

  async enqueue(batchId: string, jobs: AsyncIterable<JobLine>): Promise<void> {
    let rows: JobLine[] = [];
    for await (const job of jobs) {
      if (rows.push(job) < ROWS) continue;
      this.#insert(batchId, rows);
      rows = [];
    }
    this.#insert(batchId, rows);
  }

  #insert(batchId: string, rows: readonly JobLine[]): void {
    if (rows.length === 0) return;
    this.#db.transaction(() => {
      for (const { index, customId, endpoint, body } of rows) {
        this.#db.run(
          `INSERT OR IGNORE INTO jobs (batch_id, line_index, custom_id, endpoint, body)
            VALUES (?, ?, ?, ?, ?)`,
          ...[batchId, index, customId, endpoint, body],
        );
      }
    });
  }

  async take(signal: AbortSignal): Promise<TakenJob | null> {
    while (!signal.aborted) {
      // A store that is busy is waited for.
      const job = await Promise.resolve().then(() => this.#takeNow()).catch(ifBusy);
      if (job !== null && job !== "busy") return job;
      await pause(job === "busy" ? BUSY_MS : POLL_MS, signal);
    }
    return null;
  }

  /** Looks before it locks: most looks find nothing. */
  #takeNow(): TakenJob | null {
    for (;;) {
      const nowMs = Date.now();
      const found = this.#db.first(
        `SELECT number, attempts FROM jobs WHERE is_completed IS NULL AND free_at_ms <= ?
          ORDER BY batch_id, line_index LIMIT 1`,
        nowMs,
      );
      if (found === undefined) return null;
      if (Number(found.attempts) >= this.#attemptsMax) {
        this.#bury(Number(found.number), nowMs);
        continue;
      }
      const lease = crypto.randomUUID();
      const row = this.#db.first(
        `UPDATE jobs SET lease = ?, free_at_ms = ?, attempts = attempts + 1
          WHERE number = ? AND is_completed IS NULL AND free_at_ms <= ? RETURNING *`,
        ...[lease, nowMs + this.#firstLeaseMs(), Number(found.number), nowMs],
      );
      // Else somebody was quicker.
      if (row !== undefined) return this.#toJob(row, lease);
    }
  }

  /**
   * Longer by chance: where servers die at regular times, the one that takes a lost job when its
   * lease ends would be the next to die.
   */
  #firstLeaseMs(): number {
    return this.#leaseMs * (1 + Math.random() / 2);
  }

  #bury(number: number, nowMs: number): void {
    this.#db.run(
      `UPDATE jobs SET is_completed = 0, result = ?
        WHERE number = ? AND is_completed IS NULL AND free_at_ms <= ? AND attempts >= ?`,
      ...[JSON.stringify(deadLetter(this.#attemptsMax)), number, nowMs, this.#attemptsMax],
    );
  }

  #toJob(row: Record<string, unknown>, lease: string): TakenJob {
    const number = Number(row.number);
    return {
      batchId: String(row.batch_id),
      index: Number(row.line_index),
      customId: String(row.custom_id),
      endpoint: String(row.endpoint),
      body: String(row.body),
      attempt: Number(row.attempts),
      beat: async () => this.#setFreeAt(number, lease, Date.now() + this.#leaseMs),
      finish: async (result) =>
        this.#db.run(
          "UPDATE jobs SET is_completed = ?, result = ? WHERE number = ? AND is_completed IS NULL",
          ...[Number(isCompleted(result)), JSON.stringify(result), number],
        ) === 1,
      giveBack: async ({ delayMs = 0, isAttempt }: GiveBackOptions) => {
        this.#setFreeAt(number, lease, Date.now() + delayMs, isAttempt ? 0 : 1);
      },
    };
  }

  /** False when the lease is not the job's any more, or it has a result. */
  #setFreeAt(number: number, lease: string, freeAtMs: number, attemptsLess = 0): boolean {
    return this.#db.run(
      `UPDATE jobs SET free_at_ms = ?, attempts = attempts - ?, lease = ?
        WHERE number = ? AND lease = ? AND is_completed IS NULL`,
      ...[freeAtMs, attemptsLess, lease, number, lease],
    ) === 1;
  }

  async finishAll(batchId: string, result: JobResult): Promise<void> {
    const text = JSON.stringify(result);
    const finishSome = () =>
      this.#db.run(
        `UPDATE jobs SET is_completed = ?, result = ? WHERE number IN
          (SELECT number FROM jobs WHERE batch_id = ? AND is_completed IS NULL LIMIT ${ROWS})`,
        ...[Number(isCompleted(result)), text, batchId],
      );
    while (finishSome() > 0) await pause(0);
  }

  async progress(batchId: string): Promise<Progress> {
    const row = this.#db.first(
      `SELECT coalesce(sum(is_completed), 0) AS completed,
          coalesce(sum(1 - is_completed), 0) AS failed
        FROM jobs WHERE batch_id = ? AND is_completed IS NOT NULL`,
      batchId,
    )!;
    return { completed: Number(row.completed), failed: Number(row.failed) };
  }

  async *results(batchId: string): AsyncGenerator<IndexedResult> {
    let pausedMs = performance.now();
    for (let last = -1;;) {
      const rows = this.#db.all(
        `SELECT line_index, custom_id, result FROM jobs
          WHERE batch_id = ? AND line_index > ? AND is_completed IS NOT NULL
          ORDER BY line_index LIMIT ${RESULT_ROWS}`,
        ...[batchId, last],
      );
      for (const row of rows) {
        last = Number(row.line_index);
        yield { index: last, customId: String(row.custom_id), result: JSON.parse(`${row.result}`) };
      }
      if (rows.length < RESULT_ROWS) return;
      if (performance.now() - pausedMs < HOLD_MS) continue;
      await pause(0);
      pausedMs = performance.now();
    }
  }

  async drop(batchId: string): Promise<void> {
    const remove = () =>
      this.#db.run(
        `DELETE FROM jobs WHERE number IN
          (SELECT number FROM jobs WHERE batch_id = ? LIMIT ${ROWS})`,
        batchId,
      );
    while (remove() > 0) await pause(0);
  }
}

/** Anything but a busy store is thrown. */
function ifBusy(error: unknown): "busy" {
  if ((error as { status?: unknown }).status === 503) return "busy";
  throw error;
}
