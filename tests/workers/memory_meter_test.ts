import { assertGreater } from "@std/assert";
import { MiB } from "../../src/base/units.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { measureMemoryGbps } from "../../workers/mod.ts";

Deno.test("measureMemoryGbps() measures one thread, and several that begin together", async () => {
  const module = await loadKernelModule();
  for (const threads of [1, 3]) {
    assertGreater(await measureMemoryGbps({ threads, module, sizeBytes: 4 * MiB }), 0);
  }
});
