import { assertEquals } from "@std/assert";
import { TokenTimes } from "../../src/engine/token_times.ts";

Deno.test("TokenTimes gives nearest-rank percentiles of the tokens since restart()", () => {
  const times = new TokenTimes(200);
  assertEquals(times.percentiles(), { p50: 0, p90: 0, p99: 0 });
  times.restart(0);
  times.add(7);
  times.restart(1000);
  // 1 ms, 2 ms, … 100 ms, shuffled by a step that visits all.
  let now = 1000;
  for (let i = 0; i < 100; i++) times.add(now += 1 + (i * 37) % 100);
  assertEquals(times.percentiles(), { p50: 50, p90: 90, p99: 99 });
});

Deno.test("TokenTimes shares a wait's time among the tokens that came of it", () => {
  const times = new TokenTimes(200);
  times.restart(0);
  times.add(1);
  times.beginWait();
  for (let i = 0; i < 3; i++) times.add(10);
  times.endWait();
  times.add(18);
  assertEquals(times.percentiles(), { p50: 3, p90: 8, p99: 8 });
  // One that is under way, and one that gave nothing.
  times.beginWait();
  for (let i = 0; i < 6; i++) times.add(24);
  assertEquals(times.percentiles(), { p50: 1, p90: 3, p99: 8 });
  times.beginWait();
  times.endWait();
  assertEquals(times.percentiles().p99, 8);
});
