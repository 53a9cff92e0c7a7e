/**
 * The journal of a file that is being written: a line that says what it is to become, and one for
 * each section that is complete. A line that is torn, and all behind it, were never written.
 */
import { existsSync } from "node:fs";
import { UsageError } from "../base/errors.ts";

/** A section that is complete. */
export interface Mark {
  /** Length of the file then. */
  readonly endBytes: number;
  /** CRC-32 of the section. */
  readonly sum: number;
}

/** Where a file lies while it is not complete. */
export function partPath(path: string): string {
  return `${path}.part`;
}

/** More is no journal of ours. */
const BYTES_MAX = 64 << 20;

/** Held open and locked, so that two programs never write the same file. */
export class PartJournal {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #first: string;
  /** What it holds. */
  #text = "";

  /**
   * Opens the journal of `path`, or begins one.
   * @throws {UsageError} when it is of something else than `identity`.
   * @throws {Error} when another program has it open, or the system refuses.
   */
  static open(
    path: string,
    identity: Readonly<Record<string, string>>,
  ): { journal: PartJournal; marks: readonly Mark[] } {
    const journal = new PartJournal(path, `${JSON.stringify(identity)}\n`);
    try {
      // Without the file there is nothing that it could be of.
      const lines = existsSync(partPath(path)) ? journal.#lines() : [];
      const there = parseIdentity(lines[0]);
      if (there !== null) requireSame(path, there, identity);
      const marks = there === null ? [] : marksOf(lines.slice(1));
      journal.keep(marks);
      return { journal, marks };
    } catch (error) {
      journal.close();
      throw error;
    }
  }

  private constructor(path: string, first: string) {
    this.#path = `${partPath(path)}.journal`;
    this.#first = first;
    this.#file = Deno.openSync(this.#path, { read: true, write: true, create: true });
    if (this.#file.tryLockSync(true)) return;
    this.#file.close();
    throw new Error(`Cannot write "${path}": another program is writing it: wait for its end`);
  }

  /** Adds a section. */
  note(mark: Mark): void {
    this.#write(lineOf(mark));
  }

  /** Forgets all sections but these. */
  keep(marks: readonly Mark[]): void {
    const text = this.#first + marks.map(lineOf).join("");
    if (text === this.#text) return;
    this.#file.truncateSync(0);
    this.#file.seekSync(0, Deno.SeekMode.Start);
    this.#text = "";
    this.#write(text);
  }

  /** Takes the journal away. */
  remove(): void {
    Deno.removeSync(this.#path);
  }

  close(): void {
    this.#file.close();
  }

  /** Lines that are complete. */
  #lines(): string[] {
    const { size } = this.#file.statSync();
    if (size > BYTES_MAX) return [];
    const bytes = new Uint8Array(size);
    let done = 0;
    while (done < size) {
      const count = this.#file.readSync(bytes.subarray(done));
      if (count === null) break;
      done += count;
    }
    this.#text = new TextDecoder().decode(bytes.subarray(0, done));
    return this.#text.split("\n").slice(0, -1);
  }

  #write(text: string): void {
    const bytes = new TextEncoder().encode(text);
    let done = 0;
    while (done < bytes.length) done += this.#file.writeSync(bytes.subarray(done));
    this.#text += text;
  }
}

function lineOf({ endBytes, sum }: Mark): string {
  return `${endBytes} ${sum}\n`;
}

function parseIdentity(line: string | undefined): Record<string, string> | null {
  try {
    const value: unknown = JSON.parse(line ?? "");
    return typeof value === "object" ? value as Record<string, string> | null : null;
  } catch {
    return null;
  }
}

function requireSame(
  path: string,
  there: Readonly<Record<string, string>>,
  identity: Readonly<Record<string, string>>,
): void {
  const differing = Object.keys(identity).filter((key) => there[key] !== identity[key]);
  if (differing.length === 0) return;
  throw new UsageError(
    `Cannot go on with "${path}.part": it was begun with another ${differing.join(", ")}: ` +
      `delete it and "${path}.part.journal", or give another path`,
  );
}

/** Marks as far as they make sense. */
function marksOf(lines: readonly string[]): Mark[] {
  const marks: Mark[] = [];
  let endBytes = 0;
  for (const line of lines) {
    const match = /^(\d{1,15}) (\d{1,10})$/.exec(line);
    if (match === null || Number(match[1]) <= endBytes) break;
    endBytes = Number(match[1]);
    marks.push({ endBytes, sum: Number(match[2]) });
  }
  return marks;
}
