/**
 * A file that comes in pieces, in any order, and goes on after a crash: the file at its full length
 * with holes, and a journal that says which pieces are there and what they sum up to. What is there
 * is believed when its sums agree. Knows nothing of where pieces come from.
 */
import { closeSync, fstatSync, fsync, ftruncateSync, openSync, readSync } from "node:fs";
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { crc32 } from "../base/crc32.ts";
import { divCeil } from "../base/check.ts";
import { LineJournal } from "../base/line_journal.ts";
import { Turns } from "../base/turns.ts";
import { formatBytes, MiB } from "../base/units.ts";
import { explainWriteError } from "../base/write_errors.ts";
import type { Disk } from "./disk.ts";
import { PullError } from "./pull_error.ts";

/** Bytes from `first` to before `end`. */
export interface Span {
  readonly first: number;
  readonly end: number;
}

export interface PartialIdentity {
  readonly sizeBytes: number;
  /** Of the content: a checksum, or what the server calls its version; null: nobody can tell. */
  readonly version: string | null;
}

export interface Watching {
  readonly signal?: AbortSignal;
  /** Told of bytes that were looked at since it was last told. */
  readonly onRead?: (bytes: number) => void;
}

const READ_BYTES = 4 * MiB;

export class PartialFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly pieceBytes: number;
  readonly #journal: LineJournal;
  readonly #descriptor: number;
  readonly #disk: Disk;
  readonly #has: Uint8Array;
  #isClosed = false;

  /**
   * Locks the journal of a file, so that no other program pulls or removes it.
   * @throws {PullError} when another one does.
   */
  static lock(path: string): LineJournal {
    let journal: LineJournal | null;
    try {
      journal = LineJournal.open(`${path}.journal`);
    } catch (error) {
      throw explainWriteError(error, path);
    }
    if (journal !== null) return journal;
    throw new PullError(
      `Cannot touch "${path}": it is being pulled or removed already: wait for the end of that`,
      "in_use",
    );
  }

  /**
   * Goes on with what is there of the same content, or begins.
   * @param journal of `lock`; closed with the file, and when this fails.
   * @returns also whether something was there that is of no use.
   */
  static async open(
    path: string,
    { journal, identity, pieceBytes, disk, isWhole = false }: {
      journal: LineJournal;
      identity: PartialIdentity;
      pieceBytes: number;
      disk: Disk;
      /** All of it is there, whatever the journal says. */
      isWhole?: boolean;
    },
    watching: Watching = {},
  ): Promise<{ file: PartialFile; wasOther: boolean }> {
    let file: PartialFile | null = null;
    try {
      const { sizeBytes, version } = identity;
      const first = JSON.stringify({ sizeBytes, version, pieceBytes });
      const lines = journal.lines();
      const isSame = lines[0] === first && version !== null && isPlainFile(path);
      if (!isSame) journal.rewrite([first]);
      const isKept = isSame || isWhole;
      file = new PartialFile(path, { journal, sizeBytes, pieceBytes, disk, isKept });
      if (isWhole) file.#has.fill(1);
      else if (isSame) await file.#goOn(lines, watching);
      return { file, wasOther: !isKept && lines.length > 1 };
    } catch (error) {
      if (file === null) journal.close();
      else file.close();
      throw explainWriteError(error, path);
    }
  }

  private constructor(path: string, { journal, sizeBytes, pieceBytes, disk, isKept }: {
    journal: LineJournal;
    sizeBytes: number;
    pieceBytes: number;
    disk: Disk;
    isKept: boolean;
  }) {
    this.path = path;
    this.sizeBytes = sizeBytes;
    this.pieceBytes = pieceBytes;
    this.#journal = journal;
    this.#disk = disk;
    this.#has = new Uint8Array(divCeil(sizeBytes, pieceBytes));
    this.#descriptor = openSync(path, isKept ? "r+" : "w+");
    // Holes take no room. One that is whole may be the file in its place: nothing is done to it.
    if (fstatSync(this.#descriptor).size !== sizeBytes) ftruncateSync(this.#descriptor, sizeBytes);
  }

  /** Bytes of pieces that are complete. */
  get completeBytes(): number {
    return this.#has.reduce((sum, has, i) => sum + (has === 0 ? 0 : this.#lengthOf(i)), 0);
  }

  /** What is missing, in order, cut to at most `bytesMax` at borders of pieces. */
  missing(bytesMax: number): Span[] {
    const spans: Span[] = [];
    const most = Math.max(1, Math.floor(bytesMax / this.pieceBytes));
    for (let i = 0; i < this.#has.length; i++) {
      if (this.#has[i] !== 0) continue;
      const begin = i;
      while (i + 1 < this.#has.length && this.#has[i + 1] === 0 && i + 1 - begin < most) i++;
      const end = Math.min(this.sizeBytes, (i + 1) * this.pieceBytes);
      spans.push({ first: begin * this.pieceBytes, end });
    }
    return spans;
  }

  /** A writer of what lies from a border of pieces on. */
  writer(firstBytes: number): PieceWriter {
    return new PieceWriter(this, firstBytes);
  }

  /** @throws {Error} "Cannot write …", also when the disk is full. */
  write(bytes: Uint8Array, offsetBytes: number): void {
    try {
      this.#disk.write(this.#descriptor, bytes, offsetBytes);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  /** Notes that a piece is complete. */
  note(index: number, sum: number): void {
    try {
      this.#journal.append(`${index} ${sum}`);
    } catch (error) {
      throw this.#explain(error);
    }
    this.#has[index] = 1;
  }

  /** SHA-256 of the whole file, hexadecimal. */
  async sha256(watching?: Watching): Promise<string> {
    return await sha256Of(this.#descriptor, watching);
  }

  /** What was written is on the disk. */
  async sync(): Promise<void> {
    try {
      await promisify(fsync)(this.#descriptor);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  /** Takes the file away, with its journal. */
  discard(): void {
    if (this.#isClosed) return;
    Deno.removeSync(this.path);
    this.end();
  }

  /** Forgets the journal: the file is where it belongs, or gone. */
  end(): void {
    this.#journal.remove();
    this.close();
  }

  /** What was written stays. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#descriptor);
    this.#journal.close();
  }

  /** Takes the pieces that are what the journal says. */
  async #goOn(lines: readonly string[], { signal, onRead }: Watching): Promise<void> {
    const turns = new Turns(signal);
    const sums = new Map<number, number>();
    for (const line of lines.slice(1)) {
      const match = /^(\d{1,9}) (\d{1,10})$/.exec(line);
      if (match === null) break;
      sums.set(Number(match[1]), Number(match[2]));
    }
    const kept: string[] = [lines[0]];
    for (const [index, sum] of sums) {
      if (index >= this.#has.length || this.#sumOf(index) !== sum) continue;
      this.#has[index] = 1;
      kept.push(`${index} ${sum}`);
      onRead?.(this.#lengthOf(index));
      if (turns.isDue()) await turns.give();
    }
    this.#journal.rewrite(kept);
  }

  /** Null: it ends too early. */
  #sumOf(index: number): number | null {
    const buffer = new Uint8Array(this.#lengthOf(index));
    const at = index * this.pieceBytes;
    for (let done = 0; done < buffer.length;) {
      const count = readSync(this.#descriptor, buffer, done, buffer.length - done, at + done);
      if (count === 0) return null;
      done += count;
    }
    return crc32(buffer);
  }

  #lengthOf(index: number): number {
    return Math.min(this.pieceBytes, this.sizeBytes - index * this.pieceBytes);
  }

  #explain(error: unknown): unknown {
    return explainWriteError(error, this.path, formatBytes(this.completeBytes));
  }
}

/** Writes bytes one behind the other, and notes each piece that they complete. */
class PieceWriter {
  readonly #file: PartialFile;
  #offset: number;
  #sum = 0;

  constructor(file: PartialFile, firstBytes: number) {
    this.#file = file;
    this.#offset = firstBytes;
  }

  /** Where the next byte belongs. */
  get offsetBytes(): number {
    return this.#offset;
  }

  write(bytes: Uint8Array): void {
    const { pieceBytes, sizeBytes } = this.#file;
    for (let rest = bytes; rest.length > 0;) {
      const index = Math.floor(this.#offset / pieceBytes);
      const end = Math.min(sizeBytes, (index + 1) * pieceBytes);
      const part = rest.subarray(0, end - this.#offset);
      this.#file.write(part, this.#offset);
      this.#sum = crc32(part, this.#sum);
      this.#offset += part.length;
      rest = rest.subarray(part.length);
      if (this.#offset < end) continue;
      this.#file.note(index, this.#sum);
      this.#sum = 0;
    }
  }
}

/** SHA-256 of a file, hexadecimal. */
export async function fileSha256(path: string, watching?: Watching): Promise<string> {
  const descriptor = openSync(path, "r");
  try {
    return await sha256Of(descriptor, watching);
  } finally {
    closeSync(descriptor);
  }
}

async function sha256Of(descriptor: number, { signal, onRead }: Watching = {}): Promise<string> {
  const hash = createHash("sha256");
  const turns = new Turns(signal);
  const buffer = new Uint8Array(READ_BYTES);
  for (let at = 0;;) {
    const count = readSync(descriptor, buffer, 0, READ_BYTES, at);
    if (count === 0) return hash.digest("hex");
    hash.update(buffer.subarray(0, count));
    at += count;
    onRead?.(count);
    if (turns.isDue()) await turns.give();
  }
}

/** A link to a file is none. */
function isPlainFile(path: string): boolean {
  try {
    return Deno.lstatSync(path).isFile;
  } catch {
    return false;
  }
}
