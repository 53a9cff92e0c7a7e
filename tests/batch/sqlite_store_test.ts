/** SQLite's store against the contract, and what is its own: a folder on disk. */
import { openSqliteStore } from "../../src/batch/sqlite/sqlite_store.ts";
import { testStore } from "./store_contract.ts";

testStore({
  name: "openSqliteStore()",
  async newWorld() {
    const folder = await Deno.makeTempDir({ prefix: "ganglion-batch-" });
    return {
      open: (options) => Promise.resolve(openSqliteStore(folder, options)),
      close: () => Deno.remove(folder, { recursive: true }),
    };
  },
});
