/**
 * The journal of a file that is being written: a line that says what it is to become, and one for
 * each section that is complete. A line that is torn, and all behind it, were never written.
 */
import { existsSync } from "node:fs";
import { UsageError } from "../base/errors.ts";
import { LineJournal } from "../base/line_journal.ts";

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

/** Held open and locked, so that two programs never write the same file. */
export class PartJournal {
  readonly #journal: LineJournal;
  readonly #first: string;

  /**
   * Opens the journal of `path`, or begins one.
   * @throws {UsageError} when it is of something else than `identity`.
   * @throws {Error} when another program has it open, or the system refuses.
   */
  static open(
    path: string,
    identity: Readonly<Record<string, string>>,
  ): { journal: PartJournal; marks: readonly Mark[] } {
    const lines = LineJournal.open(`${partPath(path)}.journal`);
    if (lines === null) {
      throw new Error(`Cannot write "${path}": another program is writing it: wait for its end`);
    }
    const journal = new PartJournal(lines, JSON.stringify(identity));
    try {
      // Without the file there is nothing that it could be of.
      const there = existsSync(partPath(path)) ? lines.lines() : [];
      const before = parseIdentity(there[0]);
      if (before !== null) requireSame(path, before, identity);
      const marks = before === null ? [] : marksOf(there.slice(1));
      journal.keep(marks);
      return { journal, marks };
    } catch (error) {
      journal.close();
      throw error;
    }
  }

  private constructor(journal: LineJournal, first: string) {
    this.#journal = journal;
    this.#first = first;
  }

  /** Adds a section. */
  note(mark: Mark): void {
    this.#journal.append(lineOf(mark));
  }

  /** Forgets all sections but these. */
  keep(marks: readonly Mark[]): void {
    this.#journal.rewrite([this.#first, ...marks.map(lineOf)]);
  }

  /** Takes the journal away. */
  remove(): void {
    this.#journal.remove();
  }

  close(): void {
    this.#journal.close();
  }
}

function lineOf({ endBytes, sum }: Mark): string {
  return `${endBytes} ${sum}`;
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
