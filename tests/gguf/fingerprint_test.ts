import { assertEquals, assertNotEquals } from "@std/assert";
import { fingerprint } from "../../src/gguf/mod.ts";

Deno.test("fingerprint() tells any change of a small file, the ends of a large one, its size, and its parts' order", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const part = async (name: string, bytes: Uint8Array) => {
      const path = `${folder}/${name}`;
      await Deno.writeFile(path, bytes);
      return { path, sizeBytes: bytes.length };
    };
    const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i * 7);
    const one = await part("one", bytes);
    const same = await part("same", bytes);
    const changed = await part("changed", bytes.with(51_234, 9));
    const shorter = await part("shorter", bytes.subarray(0, 99_999));
    assertEquals(fingerprint([one]), fingerprint([same]));
    const prints = [[one], [changed], [shorter], [one, changed], [changed, one]].map(fingerprint);
    assertEquals(new Set(prints).size, prints.length);
    assertNotEquals(fingerprint([one]), fingerprint([one, one]));
    // Of a large file its first and its last bytes count.
    const large = new Uint8Array(3 << 20);
    const ends = [large, large.with(0, 1), large.with(large.length - 1, 1)];
    const largePrints = new Set<string>();
    for (const end of ends) largePrints.add(fingerprint([await part("large", end)]));
    assertEquals(largePrints.size, ends.length);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
