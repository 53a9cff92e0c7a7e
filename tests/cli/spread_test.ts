import { assertEquals } from "@std/assert";
import { formatSpread, spreadOf } from "../../src/cli/spread.ts";

Deno.test("spreadOf() finds the middle of odd and even counts, whatever their order", () => {
  assertEquals(spreadOf([3, 1, 2]), { min: 1, median: 2, max: 3 });
  assertEquals(spreadOf([10, 4, 2, 3]), { min: 2, median: 3.5, max: 10 });
  assertEquals(spreadOf([5]), { min: 5, median: 5, max: 5 });
  assertEquals(spreadOf([]), { min: 0, median: 0, max: 0 });
});

Deno.test("formatSpread() shows a range where there is one", () => {
  assertEquals(formatSpread({ min: 1, median: 2, max: 3 }), "2.0 (1.0–3.0)");
  assertEquals(formatSpread({ min: 2, median: 2, max: 2 }, 2), "2.00");
});
