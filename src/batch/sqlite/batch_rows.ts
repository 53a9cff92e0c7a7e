/** Batches as rows of a table. */
import type { SQLInputValue } from "node:sqlite";
import type { BatchRecord, BatchTable, ListOptions, Page, VersionedBatch } from "../batch_store.ts";
import type { Database, Row } from "./database.ts";
import { pageOf, sortedAfter } from "./pages.ts";

export class BatchRows implements BatchTable {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async create(record: BatchRecord): Promise<VersionedBatch> {
    const { id, owner, isOpen } = record;
    await this.#durably(() =>
      this.#db.run(
        "INSERT INTO batches VALUES (?, ?, 1, ?, ?)",
        ...[id, owner, Number(isOpen), JSON.stringify(record)],
      )
    );
    return { record, version: 1 };
  }

  async get(id: string): Promise<VersionedBatch | null> {
    const [row] = await this.#all("SELECT * FROM batches WHERE id = ?", id);
    return row === undefined ? null : toVersioned(row);
  }

  async replace(record: BatchRecord, version: number): Promise<VersionedBatch | null> {
    // A batch that goes on has its jobs on the disk, one that has ended its results.
    const changed = await this.#durably(() => {
      const count = this.#db.run(
        `UPDATE batches SET version = version + 1, is_open = ?, record = ?
          WHERE id = ? AND version = ?`,
        ...[Number(record.isOpen), JSON.stringify(record), record.id, version],
      );
      // They were dropped; others may have been put there since by who did not know it yet.
      if (count === 1 && !record.isOpen) {
        this.#db.run("DELETE FROM jobs WHERE batch_id = ?", record.id);
      }
      return count;
    });
    return changed === 1 ? { record, version: version + 1 } : null;
  }

  async list(options: ListOptions): Promise<Page<BatchRecord>> {
    const { where, values, tail } = sortedAfter(options);
    const rows = await this.#all(`SELECT * FROM batches WHERE ${where} ${tail}`, ...values);
    return pageOf(rows.map((row) => toVersioned(row).record), options.limit);
  }

  async listOpen(): Promise<readonly VersionedBatch[]> {
    const rows = await this.#all("SELECT * FROM batches WHERE is_open = 1 ORDER BY id");
    return rows.map(toVersioned);
  }

  async countOpen(owner: string): Promise<number> {
    const sql = "SELECT count(*) AS count FROM batches WHERE is_open = 1 AND owner = ?";
    const [row] = await this.#all(sql, owner);
    return Number(row.count);
  }

  #all(sql: string, ...values: SQLInputValue[]): Promise<Row[]> {
    return this.#db.whenFree(() => this.#db.all(sql, ...values));
  }

  #durably(change: () => number): Promise<number> {
    return this.#db.whenFree(() => this.#db.durably(() => this.#db.transaction(change)));
  }
}

function toVersioned(row: Row): VersionedBatch {
  return { record: JSON.parse(String(row.record)), version: Number(row.version) };
}
