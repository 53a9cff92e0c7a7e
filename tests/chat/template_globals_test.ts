import { assertEquals, assertThrows } from "@std/assert";
import {
  boundedRange,
  raiseException,
  RANGE_ITEMS_MAX,
  strftime,
  TemplateRefusal,
} from "../../src/chat/template_globals.ts";

Deno.test("boundedRange() counts as Python's range does, up to its limit", () => {
  assertEquals(boundedRange(3), [0, 1, 2]);
  assertEquals(boundedRange(2, 7, 2), [2, 4, 6]);
  assertEquals(boundedRange(3, 0, -1), [3, 2, 1]);
  assertEquals(boundedRange(5, 2), []);
  assertEquals(boundedRange(RANGE_ITEMS_MAX).length, RANGE_ITEMS_MAX);
  assertThrows(() => boundedRange(RANGE_ITEMS_MAX + 1), RangeError, "the limit is");
  assertThrows(() => boundedRange(0, 5, 0), RangeError, "zero");
  for (const bad of [[], ["3"], [1.5], [NaN], [1, 2, 3, 4], [Infinity]]) {
    assertThrows(() => boundedRange(...bad), RangeError, "integers");
  }
});

Deno.test("strftime() writes the usual directives and leaves unknown ones", () => {
  const date = new Date(2024, 1, 3, 14, 5, 6);
  assertEquals(
    strftime(date, "%A %a %B %b %d %-d %m %y %Y"),
    "Saturday Sat February Feb 03 3 02 24 2024",
  );
  assertEquals(strftime(date, "%H:%M:%S %I %p 100%% %Q"), "14:05:06 02 PM 100% %Q");
  assertEquals(strftime(new Date(2024, 1, 3, 0, 0, 0), "%-H %-I%p"), "0 12AM");
});

Deno.test("raiseException() throws a refusal with the template's words", () => {
  assertThrows(() => raiseException("no"), TemplateRefusal, "no");
});
