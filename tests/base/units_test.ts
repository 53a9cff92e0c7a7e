import { assert, assertEquals } from "@std/assert";
import { counted, formatBytes, formatNeeded, parseBytes } from "../../src/base/units.ts";

Deno.test("parseBytes() reads sizes with and without units and refuses the rest", () => {
  assertEquals(parseBytes("2GiB"), 2 ** 31);
  assertEquals(parseBytes("512 MiB"), 2 ** 29);
  assertEquals(parseBytes("1.5kib"), 1536);
  assertEquals(parseBytes("77"), 77);
  for (const bad of ["", "GiB", "-1", "1e9", "2GB2", "0x10"]) assertEquals(parseBytes(bad), null);
});

Deno.test("formatBytes() picks the unit by size", () => {
  assertEquals(formatBytes(12), "12 B");
  assertEquals(formatBytes(2048), "2.0 KiB");
  assertEquals(formatBytes(5 * 2 ** 30), "5.00 GiB");
});

Deno.test("counted() has the singular of one, and of nothing else", () => {
  assertEquals([0, 1, 2].map((count) => counted(count, "answer")), [
    "0 answers",
    "1 answer",
    "2 answers",
  ]);
});

Deno.test("formatNeeded() shows a size that is enough, in words and in bytes", () => {
  assertEquals(formatNeeded(171_212_800), "163.3 MiB (171212800 bytes)");
  const sizes = [1, 1023, 1025, 2 ** 20 - 1, 2 ** 20 + 1, 2 ** 30 - 1, 2 ** 30 + 1, 27_713_536_129];
  for (const bytes of sizes) {
    const [, shown] = /^(.*) \(\d+ bytes\)$/.exec(formatNeeded(bytes))!;
    assert(parseBytes(shown)! >= bytes, `${shown} for ${bytes} bytes`);
  }
});
