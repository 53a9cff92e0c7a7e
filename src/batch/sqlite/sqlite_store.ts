/** Batches in a folder: a database and files beside it. Processes of one machine may share it. */
import { join } from "node:path";
import type { BatchStore, LeaseOptions } from "../batch_store.ts";
import { BatchRows } from "./batch_rows.ts";
import { Database } from "./database.ts";
import { FileFolder } from "./file_folder.ts";
import { JobRows } from "./job_rows.ts";

export interface SqliteOptions extends LeaseOptions {
  /** Of all files that clients upload; default Infinity. */
  readonly bytesMax?: number;
  /** How long another process may hold the database; default 10 s. */
  readonly patienceMs?: number;
}

/**
 * Opens the store in a folder, which is made where it is missing.
 * @throws {Error} when it cannot be read and written, or is of another version.
 */
export function openSqliteStore(folder: string, options: SqliteOptions = {}): BatchStore {
  // What clients ask is nobody else's business.
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const db = new Database(join(folder, "batches.sqlite"), options.patienceMs);
  return {
    files: new FileFolder(db, join(folder, "files"), options.bytesMax ?? Infinity),
    batches: new BatchRows(db),
    jobs: new JobRows(db, options),
    close: () => Promise.resolve(db.close()),
  };
}
