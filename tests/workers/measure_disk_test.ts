import { assert, assertEquals, assertRejects } from "@std/assert";
import { measureDisk } from "../../workers/measure_disk.ts";
import { LITTLE } from "../support/measure_little.ts";

Deno.test("measureDisk() reads a file in all sizes with all numbers of workers", async () => {
  const path = Deno.makeTempFileSync({ prefix: "ganglion-measure-" });
  try {
    Deno.writeFileSync(path, new Uint8Array(3 << 20).fill(7));
    const profile = await measureDisk(path, { amounts: LITTLE.disk });
    assert(profile.sequentialBytesPerS > 0);
    const threads = profile.random.map(({ workers }) => workers);
    const { workers } = LITTLE.disk;
    assertEquals(threads, [...workers, ...workers, ...workers, ...workers]);
    for (const { sizeBytes, readsPerS, cpuShare } of profile.random) {
      assert(sizeBytes >= 4096 && readsPerS > 0 && cpuShare >= 0);
    }
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("measureDisk() ends between two parts when it is aborted, and leaves no file", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "ganglion-measure-" });
  try {
    const controller = new AbortController();
    const seen: number[] = [];
    const onProgress = (done: number, total: number) => {
      assertEquals(total, 18);
      seen.push(done);
      if (done === 1) controller.abort(new Error("enough"));
    };
    const options = { amounts: LITTLE.disk, signal: controller.signal, onProgress };
    await assertRejects(() => measureDisk(folder, options), Error, "enough");
    assertEquals([seen, [...Deno.readDirSync(folder)]], [[0, 1], []]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
