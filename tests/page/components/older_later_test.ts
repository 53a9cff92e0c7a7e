/** Long chats open at their end, older messages come later, and what was drawn may rest. */
import { assert, assertEquals } from "@std/assert";
import { shownAfter } from "../../../src/page/components/older_later.ts";

Deno.test("a short chat is shown at once, and nothing of it rests", () => {
  const { first, restFrom, restEnd } = shownAfter(0, 10, 10);
  assertEquals(first, 0);
  assert(restEnd <= restFrom, "none");
  assert(shownAfter(1, 10, 10).isWhole);
});

Deno.test("a long chat comes from its end, every message once, and rests when it was drawn", () => {
  const count = 200;
  let before = shownAfter(0, count, count);
  assertEquals(before.first, count - 16);
  let batches = 0;
  while (!before.isWhole) {
    const next = shownAfter(++batches, count, count);
    assert(next.first <= before.first && before.first - next.first <= 8);
    // What comes with this batch is drawn in full once; what was there may rest.
    assertEquals(next.restFrom, before.first);
    assertEquals(next.restEnd, count - 16);
    before = next;
  }
  assertEquals([before.first, before.restFrom], [0, 0]);
  assertEquals(batches, (count - 16) / 8 + 1);
});

Deno.test("messages that are added, and shorter versions, leave the newest ones", () => {
  assertEquals(shownAfter(0, 40, 50).first, 24);
  assertEquals(shownAfter(0, 40, 50).restEnd, 34);
  assertEquals(shownAfter(0, 40, 20).first, 4);
  assertEquals(shownAfter(0, 40, 3).first, 0);
});
