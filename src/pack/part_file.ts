/**
 * A file that is written from its beginning to its end, and goes on after a crash: NAME.part, and
 * NAME.part.journal, which says after each section how long the file was and what the section sums
 * up to. What is there is believed when its sums agree. Knows nothing of what is written.
 */
import {
  closeSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
} from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { crc32 } from "node:zlib";
import { check } from "../base/check.ts";
import { Turns } from "../base/turns.ts";
import { MiB } from "../base/units.ts";
import { explainWriteError, writeFully } from "../base/write_errors.ts";
import { ChunkSums } from "../bundle/checksums.ts";
import { type Mark, PartJournal, partPath } from "./part_journal.ts";

/** Who looks on. */
export interface Watching {
  readonly signal?: AbortSignal;
  /** Told how much of what is there was looked at. */
  readonly onProgress?: (bytes: number) => void;
}

const READ_BYTES = 4 * MiB;
const ZEROS = new Uint8Array(64 << 10);

export class PartFile {
  readonly #path: string;
  readonly #journal: PartJournal;
  readonly #descriptor: number;
  #isClosed = false;
  #sums = new ChunkSums();
  /** Of the section that is being written. */
  #sum = 0;
  #offset = 0;
  #sections = 0;

  /**
   * Goes on with what is there, if it is the beginning of the same.
   * @param identity what makes it the same: words that people know, and their values.
   * @throws {UsageError} when it is of something else.
   * @throws {Error} "Cannot write …" when it may not be written to, or somebody writes it already.
   * @throws the signal's reason.
   */
  static async open(
    path: string,
    identity: Readonly<Record<string, string>>,
    watching: Watching = {},
  ): Promise<PartFile> {
    let file: PartFile | null = null;
    try {
      const { journal, marks } = PartJournal.open(path, identity);
      file = new PartFile(path, journal, marks.length === 0);
      await file.#goOn(marks, watching);
      return file;
    } catch (error) {
      file?.close();
      throw explainWriteError(error, path);
    }
  }

  private constructor(path: string, journal: PartJournal, isNew: boolean) {
    this.#path = path;
    this.#journal = journal;
    try {
      // What is there without a journal is nobody's.
      this.#descriptor = openSync(partPath(path), isNew ? "w+" : "r+");
    } catch (error) {
      journal.close();
      throw error;
    }
  }

  /** Bytes so far. */
  get offsetBytes(): number {
    return this.#offset;
  }

  /** Sections that are complete. */
  get sections(): number {
    return this.#sections;
  }

  /** @throws {Error} "Cannot write …" when the disk is full. */
  write(bytes: Uint8Array): void {
    try {
      writeFully(this.#descriptor, bytes, this.#offset);
    } catch (error) {
      throw explainWriteError(error, this.#path, `${this.#offset} bytes`);
    }
    this.#count(bytes);
  }

  /** Writes zeros up to `offsetBytes`. */
  padTo(offsetBytes: number): void {
    check(offsetBytes >= this.#offset, `byte ${offsetBytes} is not written yet`);
    while (this.#offset < offsetBytes) {
      this.write(ZEROS.subarray(0, Math.min(ZEROS.length, offsetBytes - this.#offset)));
    }
  }

  /** Notes that a section is complete. */
  endSection(): void {
    try {
      this.#journal.note({ endBytes: this.#offset, sum: this.#sum });
    } catch (error) {
      throw explainWriteError(error, this.#path, `${this.#offset} bytes`);
    }
    this.#sections++;
    this.#sum = 0;
  }

  /** Writes the sums of all MiBs, and puts the file where it belongs. */
  async finish(signal?: AbortSignal): Promise<void> {
    this.write(this.#sums.encode());
    try {
      await promisify(fsync)(this.#descriptor);
      signal?.throwIfAborted();
      renameSync(partPath(this.#path), this.#path);
      this.#journal.remove();
      this.close();
      syncFolder(dirname(this.#path));
    } catch (error) {
      throw explainWriteError(error, this.#path, `${this.#offset} bytes`);
    }
  }

  /** What was written stays. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#descriptor);
    this.#journal.close();
  }

  /** Takes what is there up to the first section that is not what was written. */
  async #goOn(marks: readonly Mark[], { signal, onProgress }: Watching): Promise<void> {
    const turns = new Turns(signal);
    const buffer = new Uint8Array(READ_BYTES);
    for (const { endBytes, sum } of marks) {
      const before = { offset: this.#offset, sums: this.#sums.clone() };
      while (this.#offset < endBytes) {
        const wanted = Math.min(buffer.length, endBytes - this.#offset);
        const count = readSync(this.#descriptor, buffer, 0, wanted, this.#offset);
        if (count === 0) break;
        this.#count(buffer.subarray(0, count));
        onProgress?.(this.#offset);
        if (turns.isDue()) await turns.give();
      }
      const isWhole = this.#offset === endBytes && this.#sum === sum;
      this.#sum = 0;
      if (!isWhole) {
        this.#offset = before.offset;
        this.#sums = before.sums;
        break;
      }
      this.#sections++;
    }
    this.#journal.keep(marks.slice(0, this.#sections));
    ftruncateSync(this.#descriptor, this.#offset);
  }

  #count(bytes: Uint8Array): void {
    this.#sums.add(bytes);
    this.#sum = crc32(bytes, this.#sum);
    this.#offset += bytes.length;
  }
}

/** Makes a renaming last; where a folder cannot be opened, the system sees to it. */
function syncFolder(path: string): void {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch {
    return;
  }
  try {
    fsyncSync(descriptor);
  } catch {
    // Some file systems know no such thing.
  } finally {
    closeSync(descriptor);
  }
}
