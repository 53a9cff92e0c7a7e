import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "node:path";
import { findCgroupRoot, MemoryCgroup, parseCounts, readCgroupCounts } from "./memory_cgroup.ts";

const OLD = "cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0";
const OTHER = "cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0";
const UNIFIED = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0";

Deno.test("findCgroupRoot() takes the mount that has memory, of either version", () => {
  const old = { version: 1 as const, folder: "/sys/fs/cgroup/memory" };
  assertEquals(findCgroupRoot([OTHER, OLD, UNIFIED, ""].join("\n")), old);
  // Where both are mounted, memory is in the old one only.
  assertEquals(findCgroupRoot([UNIFIED, OLD].join("\n")), old);
  assertEquals(findCgroupRoot([OTHER, UNIFIED].join("\n")), {
    version: 2,
    folder: "/sys/fs/cgroup/unified",
  });
  for (const mounts of ["", OTHER]) {
    assertThrows(() => findCgroupRoot(mounts), Error, "no memory cgroups are mounted");
  }
});

Deno.test("parseCounts() reads numbers behind names, with and without a colon", () => {
  const counts = parseCounts("rss 12\nread_bytes: 4096\n\nodd\nmax unlimited\nlong name 3\n");
  assertEquals([...counts], [["rss", 12], ["read_bytes", 4096]]);
});

Deno.test("readCgroupCounts() knows both versions' files, and kernels without a peak", async () => {
  const files: Record<string, string> = {
    "memory.max_usage_in_bytes": "4096\n",
    "memory.failcnt": "7\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "memory.peak": "8192\n",
    "memory.events": "low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\n",
  };
  const read = (file: string) => Promise.resolve(files[file] ?? "");
  assertEquals(await readCgroupCounts(1, read), { peakBytes: 4096, limitHits: 7, oomKills: 2 });
  assertEquals(await readCgroupCounts(2, read), { peakBytes: 8192, limitHits: 9, oomKills: 1 });
  delete files["memory.peak"];
  assertEquals((await readCgroupCounts(2, read)).peakBytes, null);
});

Deno.test("MemoryCgroup.create() says what is needed, and leaves nothing where it fails", async () => {
  const folder = await Deno.makeTempDir({ prefix: "ganglion-bench-test-" });
  try {
    for (const place of [folder, join(folder, "missing")]) {
      // An ordinary folder takes folders, but has no limit to write.
      const made = MemoryCgroup.create({ version: 1, folder: place }, { name: "x", limitBytes: 1 });
      await assertRejects(() => made, Error, `no cgroup can be made in ${place}`);
      await assertRejects(() => made, Error, "run this as root");
    }
    assertEquals([...Deno.readDirSync(folder)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
