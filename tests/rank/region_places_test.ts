/** src/rank/plan/region_places.ts: parts of a region of the workspace. */
import { assertEquals } from "@std/assert";
import { REGION_ALIGN_BYTES } from "../../src/memory/row_layout.ts";
import { RegionPlaces } from "../../src/rank/plan/region_places.ts";

Deno.test("RegionPlaces lays one part behind the other, each where regions may begin", () => {
  const region = new RegionPlaces(), { take } = region;
  const unit = REGION_ALIGN_BYTES;
  assertEquals([4, unit, unit + 4, 0, 8].map(take), [0, 1, 2, 4, 4].map((at) => at * unit));
  assertEquals(region.bytes, 5 * unit);
});
