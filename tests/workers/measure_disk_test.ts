import { assert, assertEquals } from "@std/assert";
import { measureDisk } from "../../workers/measure_disk.ts";

Deno.test("measureDisk() reads a file in all sizes with all numbers of workers", async () => {
  const path = Deno.makeTempFileSync({ prefix: "ganglion-measure-" });
  try {
    Deno.writeFileSync(path, new Uint8Array(3 << 20).fill(7));
    const profile = await measureDisk(path);
    assert(profile.sequentialBytesPerS > 0);
    assertEquals(profile.random.length, 16);
    for (const { sizeBytes, workers, readsPerS, cpuShare } of profile.random) {
      assert(sizeBytes >= 4096 && workers >= 1 && readsPerS > 0 && cpuShare >= 0);
    }
  } finally {
    Deno.removeSync(path);
  }
});
