/** Archives, read back by the system's tar. */
import { assertEquals, assertThrows } from "@std/assert";
import { join } from "node:path";
import { tar } from "../../packaging/tar.ts";

Deno.test("tar() writes what the system's tar reads, the same bytes each time", async () => {
  const entries = [
    { path: "a", bytes: new Uint8Array(0) },
    {
      path: "folder/of/program",
      bytes: new TextEncoder().encode("x".repeat(513)),
      isExecutable: true,
    },
    { path: "b", bytes: new Uint8Array(512) },
  ];
  const archive = await new Blob([...tar(entries)] as BlobPart[]).bytes();
  assertEquals(await new Blob([...tar(entries)] as BlobPart[]).bytes(), archive);
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(join(folder, "x.tar"), archive);
    const { success } = await new Deno.Command("tar", { args: ["-xf", "x.tar"], cwd: folder })
      .output();
    assertEquals(success, true);
    for (const { path, bytes, isExecutable } of entries) {
      assertEquals(await Deno.readFile(join(folder, path)), bytes);
      const { mode } = await Deno.stat(join(folder, path));
      assertEquals(((mode ?? 0) & 0o100) !== 0, isExecutable ?? false);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("tar() refuses names that do not fit", () => {
  assertThrows(() => [...tar([{ path: "x".repeat(101), bytes: new Uint8Array() }])], Error, "long");
});
