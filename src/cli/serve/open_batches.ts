/** The store of batches that the flags of `serve` name. */
import { messageOf, UsageError } from "../../base/errors.ts";
import type { BatchStore } from "../../batch/mod.ts";
import type { BatchSettings } from "../../server/mod.ts";
import type { ServerFlags } from "./serve_options.ts";

/**
 * Opens it; null: there is to be none. A queue need not be in reach: `onNotice` hears about it.
 * @throws {UsageError} when it cannot be.
 */
export async function openBatches(
  flags: ServerFlags,
  onNotice: (text: string) => void,
): Promise<BatchSettings | null> {
  const leaseMs = 1000 * flags.batchLease;
  const store = await openStore(flags, { leaseMs, onNotice });
  const { batchConcurrency: concurrency, batchFileMax: fileBytesMax, batchesPerKey } = flags;
  return store === null ? null : { store, concurrency, fileBytesMax, batchesPerKey, leaseMs };
}

async function openStore(
  { batchFolder: folder, batchFolderMax: bytesMax, queue }: ServerFlags,
  { leaseMs, onNotice }: { readonly leaseMs: number; onNotice: (text: string) => void },
): Promise<BatchStore | null> {
  if (folder !== undefined && queue !== undefined) {
    throw new UsageError("Cannot use --batch-folder with --queue: batches are kept in one place");
  }
  if (queue !== undefined) {
    const { openNatsStore, parseQueueAddress } = await import("../../batch/nats/mod.ts");
    return await openNatsStore({ address: parseQueueAddress(queue), leaseMs, onNotice });
  }
  if (folder === undefined) return null;
  const { openSqliteStore } = await import("../../batch/sqlite/sqlite_store.ts");
  try {
    return openSqliteStore(folder, { leaseMs, bytesMax });
  } catch (error) {
    const reason = messageOf(error);
    throw new UsageError(`Cannot use --batch-folder: ${reason}`);
  }
}
