import { assert, assertEquals } from "@std/assert";
import { measureOverload, promises } from "./overload.ts";
import { percentile } from "./overload_client.ts";

Deno.test("percentile() is the nearest rank", () => {
  const values = [5, 1, 4, 2, 3];
  assertEquals([0, 0.2, 0.5, 0.99, 1].map((share) => percentile(values, share)), [1, 1, 3, 5, 5]);
  assertEquals(percentile([], 0.5), NaN);
});

// fault 51, fault 53, fault 60: ten times the work; refused at once, answered all the time.
Deno.test("a server with ten times its work serves whom it admits and refuses the rest at once", async () => {
  const report = await measureOverload(1);
  const text = JSON.stringify(report, null, 1);
  const { admitted, refused, otherCount, heldAfter } = report;
  assertEquals([admitted.whole, otherCount, heldAfter], [admitted.count, 0, 0], text);
  assert(admitted.count > 12 && refused.count > 100, text);
  assertEquals(refused.withRetryAfter, refused.count, text);
  // The bench holds the server to 50 ms; beside other tests, on a core of two, a little more.
  assert(refused.msP50 < 50 && report.freedMs < 500 && admitted.firstMsP99 < 3_000, text);
  assertEquals(promises(report).length, 9);
});
