import { assertEquals } from "@std/assert";
import { SharedText } from "../../src/memory/shared_text.ts";

Deno.test("SharedText keeps the first text until it is taken", () => {
  const left = new SharedText();
  const seen = new SharedText(left.buffer);
  assertEquals(seen.take(), "");
  left.leave("cannot read: größer");
  left.leave("something else");
  assertEquals(seen.take(), "cannot read: größer");
  assertEquals(seen.take(), "");
  left.leave("again");
  assertEquals(seen.take(), "again");
});

Deno.test("SharedText cuts what is too long", () => {
  const text = new SharedText();
  text.leave("x".repeat(5000));
  const taken = text.take();
  assertEquals(taken, "x".repeat(taken.length));
  assertEquals(taken.length > 500 && taken.length < 5000, true);
});
