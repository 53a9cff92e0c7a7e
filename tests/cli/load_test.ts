import { assertEquals } from "@std/assert";
import { toLoadOptions } from "../../src/cli/load.ts";

Deno.test("toLoadOptions() takes f16 for this engine's 16 bits, other types as they are", () => {
  const kvTypes = (["f16", "i16", "f32", "auto"] as const).map((kvType) =>
    toLoadOptions({ kvType }).kvType
  );
  assertEquals(kvTypes, ["i16", "i16", "f32", "auto"]);
});
