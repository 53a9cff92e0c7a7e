import { assertEquals } from "@std/assert";
import { clustersByRate } from "../../src/cache/clusters_by_rate.ts";
import { UnitIndex } from "../../src/cache/unit_index.ts";

Deno.test("clustersByRate() sorts clusters of all units and stripes by what fires in them", () => {
  // Two stripes of 100: clusters of 64 and 36 neurons each.
  const units = new UnitIndex({ unitNeurons: [200, 64], unitStripes: [2, 1] }, 64);
  const rates = [new Float32Array(200), new Float32Array(64).fill(0.5)];
  rates[0].fill(0.75, 0, 64); // 48 firings
  rates[0].fill(1, 64, 100); // 36
  rates[0].fill(0.25, 164, 200); // 9
  assertEquals([...clustersByRate(units, rates)], [0, 0, 0, 1, 1, 0, 0, 3, 0, 2]);
});
