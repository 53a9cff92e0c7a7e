/** SQLite's stores for tests, each in a folder of its own. */
import type { BatchStore, LeaseOptions } from "../../src/batch/batch_store.ts";
import { openSqliteStore } from "../../src/batch/sqlite/sqlite_store.ts";
import type { StoreWorld } from "./store_world.ts";

export async function newSqliteWorld(): Promise<StoreWorld & { readonly folder: string }> {
  const folder = await Deno.makeTempDir({ prefix: "ganglion-batch-" });
  return {
    folder,
    open: (options) => Promise.resolve(openSqliteStore(folder, options)),
    close: () => Deno.remove(folder, { recursive: true }),
  };
}

/** A store for the time of `use`. */
export async function withSqliteStore(
  use: (store: BatchStore) => Promise<void>,
  options?: LeaseOptions,
): Promise<void> {
  const world = await newSqliteWorld();
  const store = await world.open(options);
  try {
    await use(store);
  } finally {
    await store.close();
    await world.close();
  }
}
