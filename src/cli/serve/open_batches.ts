/** The store of batches that the flags of `serve` name. */
import { UsageError } from "../../base/errors.ts";
import { openSqliteStore } from "../../batch/sqlite/sqlite_store.ts";
import type { BatchSettings } from "../../server/mod.ts";
import type { ServerFlags } from "./serve_options.ts";

/**
 * Opens it; null: there is to be none.
 * @throws {UsageError} when it cannot be.
 */
export function openBatches(
  { batchFolder: folder, batchFolderMax: bytesMax, ...flags }: ServerFlags,
): BatchSettings | null {
  const { batchConcurrency: concurrency, batchFileMax: fileBytesMax } = flags;
  if (folder === undefined) return null;
  try {
    return { store: openSqliteStore(folder, { bytesMax }), concurrency, fileBytesMax };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`Cannot use --batch-folder: ${reason}`);
  }
}
