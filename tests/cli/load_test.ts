import { assertEquals } from "@std/assert";
import { toLoadOptions } from "../../src/cli/load.ts";

Deno.test("toLoadOptions() takes f16 for this engine's 16 bits, other types as they are", () => {
  const kvTypes = (["f16", "i16", "f32", "auto"] as const).map((kvType) =>
    toLoadOptions({ kvType }).kvType
  );
  assertEquals(kvTypes, ["i16", "i16", "f32", "auto"]);
});

Deno.test("toLoadOptions() says how the file cache is used, as it was told", () => {
  const modes = ([undefined, "auto", "on", "off"] as const).map((fileCache) =>
    toLoadOptions({ fileCache }).fileCache
  );
  assertEquals(modes, [undefined, "auto", "on", "off"]);
});
