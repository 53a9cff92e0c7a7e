import { assertEquals, assertThrows } from "@std/assert";
import { alignUp, check, divCeil, divExact } from "../../src/base/check.ts";

Deno.test("check() throws its message when the condition is false", () => {
  check(true, "never seen");
  assertThrows(() => check(false, "the sky fell"), Error, "the sky fell");
});

Deno.test("divCeil(), divExact() and alignUp() round as their names say", () => {
  assertEquals([divCeil(0, 4), divCeil(1, 4), divCeil(4, 4), divCeil(5, 4)], [0, 1, 1, 2]);
  assertEquals(divExact(12, 4), 3);
  assertThrows(() => divExact(13, 4), Error, "not a multiple");
  assertEquals([alignUp(0, 64), alignUp(1, 64), alignUp(64, 64)], [0, 64, 64]);
});
