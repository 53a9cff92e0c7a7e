import { assertEquals, assertThrows } from "@std/assert";
import { packStrings } from "../../src/gguf/mod.ts";

Deno.test("packStrings() gives every string back, by index and in order", () => {
  const texts = ["", "a", "▁the", "\u0000", "😀", ""];
  const packed = packStrings(texts);
  assertEquals(packed.length, texts.length);
  assertEquals([...packed], texts);
  assertEquals(texts.map((_, index) => packed.at(index)), texts);
  assertEquals([...packed.bytesAt(2)], [...new TextEncoder().encode("▁the")]);
});

Deno.test("a packed string keeps a byte order mark", () => {
  assertEquals(packStrings(["\ufeffx"]).at(0), "\ufeffx");
});

Deno.test("packed strings refuse an index outside as a bug", () => {
  const packed = packStrings(["a"]);
  for (const index of [-1, 1, NaN]) assertThrows(() => packed.at(index), Error, "of 1");
});
