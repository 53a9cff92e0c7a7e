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

/**
 * How long others may hold the lock for writing. Their transactions are short, but one of them may
 * be stopped in the middle; and who waits for it, waits with the whole process.
 */
const BUSY_MS = 500;
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
    number INTEGER PRIMARY KEY, batch_id TEXT NOT NULL, line_index INTEGER NOT NULL,
    custom_id TEXT NOT NULL, endpoint TEXT NOT NULL, body TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, free_at_ms INTEGER NOT NULL DEFAULT 0, lease TEXT,
    is_completed INTEGER, result TEXT, UNIQUE (batch_id, line_index)
  );
  CREATE INDEX open_jobs ON jobs(batch_id, line_index) WHERE is_completed IS NULL;
  CREATE INDEX done_jobs ON jobs(batch_id, is_completed) WHERE is_completed IS NOT NULL;
`;

type Row = Record<string, SQLOutputValue>;

export class Database {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** @throws {Error} when the file cannot be opened, or is of another version. */
  constructor(path: string) {
    this.#db = new DatabaseSync(path, { timeout: BUSY_MS });
    try {
      this.#insist(() => {
        // From now on readers and the writer do not wait for each other.
        this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
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
        if (!isBusy(error) || Date.now() > endMs) throw error;
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

  /** All that `use` does, or nothing of it. Not to be nested. */
  transaction<T>(use: () => T): T {
    this.#inWords(() => this.#db.exec("BEGIN IMMEDIATE"));
    try {
      const result = use();
      this.#inWords(() => this.#db.exec("COMMIT"));
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
      throw new RequestError(refusal.message, { ...refusal, code: "batch_store_unavailable" });
    }
  }
}

function isBusy(error: unknown): boolean {
  return classOf(error) === 5 || (error instanceof RequestError && error.status === 503);
}

/** Of SQLite's codes the low byte is the class; 0: it is not SQLite's. */
function classOf(error: unknown): number {
  return ((error as { errcode?: number }).errcode ?? 0) & 0xff;
}

const REFUSALS: Readonly<
  Record<number, { message: string; status: number; retryAfterSeconds: number }>
> = {
  5: {
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
