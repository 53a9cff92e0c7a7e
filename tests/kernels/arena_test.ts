import { assertEquals, assertThrows } from "@std/assert";
import { CODEBOOKS_END } from "../../src/memory/codebook_layout.ts";
import { sameBytes, TestArena } from "./arena.ts";

Deno.test("TestArena.run() refuses a call that changes any byte but its outputs", () => {
  const arena = new TestArena(4);
  for (let turn = 0; turn < 2; turn++) {
    arena.reset();
    const [input, out] = [arena.put(Uint8Array.of(1, 2, 3)), arena.place(8)];
    const write = (...places: number[]) => () => {
      for (const at of places) arena.bytes[at] ^= 1;
    };
    arena.run(write(out, out + 7), [out, 8]);
    // What was copied before a call is not what another one is compared with.
    arena.run(write(out), [out, 1]);
    for (const at of [input, input + 3, out - 1, out + 8, out + 60_000, CODEBOOKS_END - 8, 0]) {
      assertThrows(() => arena.run(write(at), [out, 8]), Error, `outputs changed, at ${at} `);
    }
  }
});

Deno.test("TestArena.reset() brings canaries and codebooks back", () => {
  const arena = new TestArena(4);
  const beginning = arena.slice(0, CODEBOOKS_END);
  arena.place(1000);
  arena.bytes.fill(0, 0, CODEBOOKS_END + 1000);
  arena.reset();
  assertEquals(arena.slice(0, CODEBOOKS_END), beginning);
  assertEquals(new Set(arena.slice(CODEBOOKS_END, 1000)), new Set([0xa5]));
});

Deno.test("sameBytes() compares words and what is left of them", () => {
  const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7);
  assertEquals(sameBytes(bytes, bytes.slice()), true);
  for (const at of [0, 3, 4, 6]) assertEquals(sameBytes(bytes, bytes.with(at, 9)), false);
  assertEquals(sameBytes(bytes, bytes.slice(0, 6)), false);
});
