/**
 * The database in a folder that processes of one machine share: its tables, and transactions. What
 * kill -9 leaves has every commit; a power cut may undo the last ones, but none that was before one
 * made durably.
 */
import {
  DatabaseSync,
  type SQLInputValue,
  type SQLOutputValue,
  type StatementSync,
} from "node:sqlite";
import { RequestError } from "../../base/errors.ts";
import { pause } from "../../base/pause.ts";

/** Waiting for the lock holds up the whole process: it is no longer than most transactions. */
const BUSY_MS = 5;
/** Between two tries nothing is held up. */
const RETRY_MS_MIN = 5;
const RETRY_MS_MAX = 100;
/** One that has the lock for so long stands still in the middle of a transaction. */
const PATIENCE_MS = 10_000;
/** When the process starts there is nothing that could wait. */
const OPEN_MS = 10_000;
const OPEN_PAUSE_MS = 10;

/** Raised when the tables change: a folder of another version is refused, not spoilt. */
const SCHEMA_VERSION = 1;

const SCHEMA = `
  CREATE TABLE files (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, filename TEXT NOT NULL, purpose TEXT NOT NULL,
    bytes INTEGER NOT NULL, created_at INTEGER NOT NULL, name_on_disk TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX files_of_owner ON files(owner, id);
  CREATE TABLE batches (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, version INTEGER NOT NULL, is_open INTEGER NOT NULL,
    record TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX batches_of_owner ON batches(owner, id);
  CREATE INDEX open_batches ON batches(id) WHERE is_open = 1;
  CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, batch_id TEXT NOT NULL, line_index INTEGER NOT NULL,
    custom_id TEXT NOT NULL, endpoint TEXT NOT NULL, body TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, free_at_ms INTEGER NOT NULL DEFAULT 0, lease TEXT,
    is_completed INTEGER, result TEXT, UNIQUE (batch_id, line_index)
  );
  CREATE INDEX open_jobs ON jobs(batch_id, line_index) WHERE is_completed IS NULL;
  CREATE INDEX done_jobs ON jobs(batch_id, is_completed) WHERE is_completed IS NOT NULL;
`;

/** A row of a table, by column. */
export type Row = Record<string, SQLOutputValue>;

export class Database {
  readonly #db: DatabaseSync;
  readonly #patienceMs: number;
  readonly #statements = new Map<string, StatementSync>();

  /** @throws {Error} when the file cannot be opened, or is of another version. */
  constructor(path: string, patienceMs = PATIENCE_MS) {
    this.#patienceMs = patienceMs;
    this.#db = new DatabaseSync(path, { timeout: BUSY_MS });
    try {
      this.#insist(() => {
        // From now on readers and the writer do not wait for each other.
        this.first("PRAGMA journal_mode = WAL");
        this.#db.exec("PRAGMA synchronous = NORMAL");
        this.transaction(() => this.#prepareTables(path));
      });
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  /** Where several processes open a new file at once, SQLite refuses some without waiting. */
  #insist(use: () => void): void {
    for (const endMs = Date.now() + OPEN_MS;;) {
      try {
        return use();
      } catch (error) {
        if (!isLocked(error) || Date.now() > endMs) throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, OPEN_PAUSE_MS);
      }
    }
  }

  #prepareTables(path: string): void {
    const version = this.#db.prepare("PRAGMA user_version").get()!.user_version;
    if (version === SCHEMA_VERSION) return;
    if (version !== 0) {
      throw new Error(`Cannot use "${path}": it is of another version of Ganglion`);
    }
    this.#db.exec(`${SCHEMA} PRAGMA user_version = ${SCHEMA_VERSION}`);
  }

  /** Runs a statement; returns how many rows it changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return this.#inWords(() => Number(this.#statement(sql).run(...values).changes));
  }

  /** The first row. */
  first(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#inWords(() => this.#statement(sql).get(...values));
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#inWords(() => this.#statement(sql).all(...values));
  }

  /**
   * What `use` does in one go; done again while other processes have the lock, which is waited for
   * without holding up this one.
   * @throws {RequestError} 503 when they have it for too long.
   */
  async whenFree<T>(use: () => T): Promise<T> {
    const endMs = performance.now() + this.#patienceMs;
    for (let ms = RETRY_MS_MIN;; ms = Math.min(2 * ms, RETRY_MS_MAX)) {
      try {
        return use();
      } catch (error) {
        if (!isLocked(error) || performance.now() > endMs) throw error;
      }
      // With chance, for others wait, too.
      await pause(ms * (0.5 + Math.random() / 2));
    }
  }

  /** All that `use` does, or nothing of it. Not to be nested. */
  transaction<T>(use: () => T): T {
    // Not by exec(), whose errors have no codes.
    this.run("BEGIN IMMEDIATE");
    try {
      const result = use();
      this.run("COMMIT");
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  /** What `use` commits is on the disk when it returns, and all that was committed before. */
  durably<T>(use: () => T): T {
    this.#db.exec("PRAGMA synchronous = FULL");
    try {
      return use();
    } finally {
      this.#db.exec("PRAGMA synchronous = NORMAL");
    }
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, statement = this.#db.prepare(sql));
    return statement;
  }

  /** What the disk or other processes refuse becomes what clients can understand. */
  #inWords<T>(use: () => T): T {
    try {
      return use();
    } catch (error) {
      const refusal = REFUSALS[classOf(error)];
      if (refusal === undefined) throw error;
      const detail = { ...refusal, code: "batch_store_unavailable" };
      throw Object.assign(new RequestError(refusal.message, detail), { cause: error });
    }
  }
}

/** True when another process has the lock. */
export function isLocked(error: unknown): boolean {
  return classOf(error) === LOCKED || classOf((error as { cause?: unknown }).cause) === LOCKED;
}

/** Of SQLite's codes the low byte is the class; 0: it is not SQLite's. */
function classOf(error: unknown): number {
  return ((error as { errcode?: number } | undefined)?.errcode ?? 0) & 0xff;
}

const LOCKED = 5;

const REFUSALS: Readonly<
  Record<number, { message: string; status: number; retryAfterSeconds: number }>
> = {
  [LOCKED]: {
    message: "The store of batches is busy: try again",
    ...{ status: 503, retryAfterSeconds: 1 },
  },
  10: {
    message: "The store of batches cannot be read or written: its disk fails",
    ...{ status: 503, retryAfterSeconds: 30 },
  },
  13: {
    message: "The store of batches has no room: its disk is full: delete files",
    ...{ status: 507, retryAfterSeconds: 30 },
  },
};
