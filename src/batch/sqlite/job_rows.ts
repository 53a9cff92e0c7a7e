/**
 * Jobs as rows of a table. A job is nobody's when its time `free_at_ms` has come: a lease, its
 * beats and a delay all move that time. Whoever has a lease has its name. A power cut may undo the
 * last steps of jobs: they are done again.
 */
import type { SQLInputValue } from "node:sqlite";
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
import { pause } from "../../base/pause.ts";
import { breather } from "../breather.ts";
import { type Database, isLocked, type Row } from "./database.ts";

/** How soon a job is noticed that another process has put there. */
const POLL_MS = 100;
/** Rows of a transaction: others write in between, and the event loop goes on. */
const ROWS = 256;
/** Likewise, where rows are long: characters of what is written. */
const CHARS = 2 ** 20;
/** So long a part of a change may take: rows may be 8 MiB. */
const PART_MS = 10;
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
    let charCount = 0;
    for await (const job of jobs) {
      rows.push(job);
      charCount += job.body.length;
      if (rows.length < ROWS && charCount < CHARS) continue;
      await this.#insert(batchId, rows);
      rows = [];
      charCount = 0;
    }
    await this.#insert(batchId, rows);
  }

  async #insert(batchId: string, rows: readonly JobLine[]): Promise<void> {
    if (rows.length === 0) return;
    const insert = ({ index, customId, endpoint, body }: JobLine) =>
      this.#db.run(
        // Of a batch that another process has closed meanwhile nothing is to be done.
        `INSERT OR IGNORE INTO jobs (batch_id, line_index, custom_id, endpoint, body)
          SELECT ?, ?, ?, ?, ?
            WHERE NOT EXISTS (SELECT 1 FROM batches WHERE id = ? AND is_open = 0)`,
        ...[batchId, index, customId, endpoint, body, batchId],
      );
    await this.#db.whenFree(() => this.#db.transaction(() => rows.forEach(insert)));
  }

  async take(signal: AbortSignal): Promise<TakenJob | null> {
    while (!signal.aborted) {
      const job = await this.#db.whenFree(() => signal.aborted ? null : this.#takeNow())
        .catch(ifLocked);
      if (job !== null) return job;
      await pause(POLL_MS, signal);
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

  #toJob(row: Row, lease: string): TakenJob {
    const [number, batchId, index] = [row.number, String(row.batch_id), Number(row.line_index)];
    const setLease = (next: string | null, freeAtMs: number, attemptsLess = 0) =>
      this.#run(
        `UPDATE jobs SET lease = ?, free_at_ms = ?, attempts = attempts - ?
          WHERE number = ? AND lease = ? AND is_completed IS NULL`,
        ...[next, freeAtMs, attemptsLess, number, lease],
      );
    return {
      ...{ batchId, index, attempt: Number(row.attempts) },
      customId: String(row.custom_id),
      endpoint: String(row.endpoint),
      body: String(row.body),
      beat: async () => await setLease(lease, Date.now() + this.#leaseMs) === 1,
      // Its batch is named, too: nobody's result may ever become another batch's.
      finish: async (result) =>
        await this.#run(
          `UPDATE jobs SET is_completed = ?, result = ?
            WHERE number = ? AND batch_id = ? AND line_index = ? AND is_completed IS NULL`,
          ...[Number(isCompleted(result)), JSON.stringify(result), number, batchId, index],
        ) === 1,
      giveBack: async ({ delayMs = 0, isAttempt }: GiveBackOptions) => {
        await setLease(null, Date.now() + delayMs, isAttempt ? 0 : 1);
      },
    };
  }

  #all(sql: string, ...values: SQLInputValue[]): Promise<Row[]> {
    return this.#db.whenFree(() => this.#db.all(sql, ...values));
  }

  #run(sql: string, ...values: SQLInputValue[]): Promise<number> {
    return this.#db.whenFree(() => this.#db.run(sql, ...values));
  }

  async finishAll(batchId: string, result: JobResult): Promise<void> {
    const text = JSON.stringify(result);
    await inParts((rowCount) =>
      this.#run(
        `UPDATE jobs SET is_completed = ?, result = ? WHERE number IN
          (SELECT number FROM jobs WHERE batch_id = ? AND is_completed IS NULL LIMIT ?)`,
        ...[Number(isCompleted(result)), text, batchId, rowCount],
      )
    );
  }

  async progress(batchId: string): Promise<Progress> {
    const [{ completed, failed }] = await this.#all(
      `SELECT coalesce(sum(is_completed), 0) AS completed,
          coalesce(sum(1 - is_completed), 0) AS failed
        FROM jobs WHERE batch_id = ? AND is_completed IS NOT NULL`,
      batchId,
    );
    return { completed: Number(completed), failed: Number(failed) };
  }

  async *results(batchId: string): AsyncGenerator<IndexedResult> {
    const breathe = breather();
    for (let last = -1;;) {
      const rows = await this.#all(
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
      await breathe();
    }
  }

  async drop(batchId: string): Promise<void> {
    await inParts((rowCount) =>
      this.#run(
        `DELETE FROM jobs WHERE number IN (SELECT number FROM jobs WHERE batch_id = ? LIMIT ?)`,
        ...[batchId, rowCount],
      )
    );
  }
}

/** Until nothing is left that it changes: as many rows at once as it does quickly. */
async function inParts(change: (rowCount: number) => Promise<number>): Promise<void> {
  for (let rowCount = 1;;) {
    const startMs = performance.now();
    if (await change(rowCount) === 0) return;
    const isQuick = performance.now() - startMs < PART_MS;
    rowCount = isQuick ? Math.min(2 * rowCount, ROWS) : Math.max(1, rowCount >> 1);
    await pause(0);
  }
}

/** A store that others hold is waited for. */
function ifLocked(error: unknown): null {
  if (isLocked(error)) return null;
  throw error;
}
