/**
 * What a run of `imatrix` that was interrupted left: sums over the first windows, in a file of the
 * same form beside the one to be, and how they go together with those of the windows behind.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { ModelFormatError, UsageError } from "../../base/errors.ts";
import { getString, openGguf } from "../../gguf/mod.ts";
import type { InputSums } from "../../llm/mod.ts";
import { type MatrixSums, openImportance, SUBJECT } from "../../quantize/mod.ts";

/** What was done before. */
export interface BegunSums {
  readonly windows: number;
  readonly sums: readonly MatrixSums[];
}

const NONE: BegunSums = { windows: 0, sums: [] };

/** What must be the same for a run to go on with another one's sums, as a hash. */
export function subjectOf(parts: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/**
 * What is in a run's file, where there is one.
 * @throws {UsageError} when it is of another model, text or setting.
 */
export function begunSums(part: string, subject: string): BegunSums {
  if (!existsSync(part)) return NONE;
  if (!isOf(part, subject)) {
    throw new UsageError(
      `Cannot go on with "${part}": it is of another model, text or setting: delete it, or name ` +
        "another --out",
    );
  }
  const { sums, text: { chunkCount } } = openImportance(part);
  return {
    windows: chunkCount,
    sums: [...sums].map(([name, { squares, counts }]) => (
      { name, squares, counts, columns: squares.length / counts.length }
    )),
  };
}

/** False also of what is no such file. */
function isOf(part: string, subject: string): boolean {
  try {
    return getString(openGguf(part).metadata, SUBJECT, "") === subject;
  } catch (error) {
    if (error instanceof ModelFormatError) return false;
    throw error;
  }
}

/** Both together: of the first windows, and of those behind them. */
export function addSums(begun: readonly MatrixSums[], own: readonly InputSums[]): MatrixSums[] {
  const before = new Map(begun.map((each) => [each.name, each]));
  const added = own.map(({ name, columns, squares, counts }): MatrixSums => {
    const first = before.get(name);
    before.delete(name);
    if (first === undefined) return { name, columns, squares, counts };
    return {
      ...{ name, columns },
      squares: squares.map((sum, i) => sum + first.squares[i]),
      counts: counts.map((count, i) => count + first.counts[i]),
    };
  });
  return [...before.values(), ...added];
}
