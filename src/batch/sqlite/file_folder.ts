/** Files as files of a folder, and a table that says which of them there are. */
import { join } from "node:path";
import type { SQLInputValue } from "node:sqlite";
import { RequestError } from "../../base/errors.ts";
import { removeFile } from "../../base/remove_file.ts";
import { explainWriteError, isDiskFull } from "../../base/write_errors.ts";
import type { FileRecord, FileStore, ListOptions, Page } from "../batch_store.ts";
import type { Database, Row } from "./database.ts";
import { pageOf, sortedAfter } from "./pages.ts";

const PIECE_BYTES = 2 ** 18;
/** A file that no row names is being written, or was when its process died. */
const ORPHAN_MS = 24 * 3600_000;

export class FileFolder implements FileStore {
  readonly #db: Database;
  readonly #folder: string;
  readonly #bytesMax: number;
  /** Of clients' files that are on their way. */
  #comingBytes = 0;

  /** bytesMax: what clients may have there, all together; what batches leave is not refused. */
  constructor(db: Database, folder: string, bytesMax: number) {
    this.#db = db;
    this.#folder = folder;
    this.#bytesMax = bytesMax;
    Deno.mkdirSync(folder, { recursive: true });
    this.#removeOrphans();
  }

  async put(
    head: Omit<FileRecord, "bytes">,
    content: AsyncIterable<Uint8Array>,
  ): Promise<FileRecord> {
    // A name of its own: two that put the same id do not write into each other's.
    const name = `${crypto.randomUUID()}.jsonl`;
    const path = join(this.#folder, name);
    const room = head.purpose === "batch" ? this.#bytesMax : Infinity;
    let isKept = false;
    try {
      const record = { ...head, bytes: await write(path, this.#within(content, room)) };
      isKept = await this.#insert(record, { name, room });
      if (isKept) return record;
      const first = await this.get(head.id);
      if (first !== null) return first;
      if (await this.#bytesOfAll() + record.bytes > room) throw noRoom();
      throw new Error(`The file ${head.id} was deleted while it was written`);
    } finally {
      if (!isKept) removeFile(path);
    }
  }

  /** What it yields, as long as there is room for it, and what else is coming. */
  async *#within(
    content: AsyncIterable<Uint8Array>,
    room: number,
  ): AsyncGenerator<Uint8Array> {
    if (room === Infinity) return yield* content;
    const there = await this.#bytesOfAll();
    let byteCount = 0;
    try {
      for await (const piece of content) {
        byteCount += piece.length;
        this.#comingBytes += piece.length;
        if (there + this.#comingBytes > room) throw noRoom();
        yield piece;
      }
    } finally {
      this.#comingBytes -= byteCount;
    }
  }

  async get(id: string): Promise<FileRecord | null> {
    const [row] = await this.#all("SELECT * FROM files WHERE id = ?", id);
    return row === undefined ? null : toRecord(row);
  }

  async read(id: string): Promise<AsyncIterable<Uint8Array> | null> {
    const [row] = await this.#all("SELECT name_on_disk FROM files WHERE id = ?", id);
    if (row === undefined) return null;
    const path = join(this.#folder, String(row.name_on_disk));
    return isThere(path) ? piecesOf(path) : null;
  }

  async list(
    { purpose, ...options }: ListOptions & { readonly purpose?: string },
  ): Promise<Page<FileRecord>> {
    const { where, values, tail } = sortedAfter(options);
    const rows = await this.#all(
      `SELECT * FROM files WHERE ${where} AND (? IS NULL OR purpose = ?) ${tail}`,
      ...[...values, purpose ?? null, purpose ?? null],
    );
    return pageOf(rows.map(toRecord), options.limit);
  }

  async delete(id: string): Promise<boolean> {
    const remove = "DELETE FROM files WHERE id = ? RETURNING name_on_disk";
    const row = await this.#db.whenFree(() => this.#db.durably(() => this.#db.first(remove, id)));
    if (row === undefined) return false;
    removeFile(join(this.#folder, String(row.name_on_disk)));
    return true;
  }

  async #bytesOfAll(): Promise<number> {
    return Number((await this.#all("SELECT coalesce(sum(bytes), 0) AS bytes FROM files"))[0].bytes);
  }

  /** False when there is one of its id, or no room left: others may have taken it meanwhile. */
  async #insert(
    { id, owner, filename, purpose, bytes, createdAt }: FileRecord,
    { name, room }: { readonly name: string; readonly room: number },
  ): Promise<boolean> {
    const insert = () =>
      this.#db.run(
        `INSERT OR IGNORE INTO files SELECT ?, ?, ?, ?, ?, ?, ?
          WHERE ? + (SELECT coalesce(sum(bytes), 0) FROM files) <= ?`,
        ...[id, owner, filename, purpose, bytes, createdAt, name, bytes, room],
      );
    return await this.#db.whenFree(() => this.#db.durably(insert)) === 1;
  }

  #all(sql: string, ...values: SQLInputValue[]): Promise<Row[]> {
    return this.#db.whenFree(() => this.#db.all(sql, ...values));
  }

  #removeOrphans(): void {
    for (const { name, isFile } of Deno.readDirSync(this.#folder)) {
      if (!isFile || !name.endsWith(".jsonl")) continue;
      if (this.#db.first("SELECT 1 FROM files WHERE name_on_disk = ?", name)) continue;
      const path = join(this.#folder, name);
      const { mtime } = Deno.lstatSync(path);
      if (Date.now() - (mtime?.getTime() ?? 0) > ORPHAN_MS) removeFile(path);
    }
  }
}

function noRoom(): RequestError {
  return new RequestError("There is no room for the file: delete others (DELETE /v1/files/ID)", {
    ...{ status: 507, code: "files_full" },
  });
}

/** Writes what comes to a new file, and to the disk itself; returns its length. */
async function write(path: string, content: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  using file = await Deno.open(path, { write: true, createNew: true });
  for await (const piece of content) {
    for (let done = 0; done < piece.length;) {
      done += await inWords(() => file.write(piece.subarray(done)), path);
    }
    bytes += piece.length;
  }
  await inWords(() => file.syncData(), path);
  return bytes;
}

/** Clients learn that there is no room, not where. */
async function inWords<T>(use: () => Promise<T>, path: string): Promise<T> {
  try {
    return await use();
  } catch (error) {
    const explained = explainWriteError(error, path);
    if (!isDiskFull(explained)) throw explained;
    throw new RequestError("There is no room for the file: the server's disk is full", {
      status: 507,
      code: "disk_full",
    });
  }
}

/** Opened when it is read, so that nothing stays open where nobody does. */
async function* piecesOf(path: string): AsyncGenerator<Uint8Array> {
  using file = await Deno.open(path);
  for (;;) {
    const piece = new Uint8Array(PIECE_BYTES);
    const count = await file.read(piece);
    if (count === null) return;
    yield piece.subarray(0, count);
  }
}

function isThere(path: string): boolean {
  try {
    return Deno.lstatSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function toRecord(row: Row): FileRecord {
  return {
    id: String(row.id),
    owner: String(row.owner),
    filename: String(row.filename),
    purpose: row.purpose as FileRecord["purpose"],
    bytes: Number(row.bytes),
    createdAt: Number(row.created_at),
  };
}
