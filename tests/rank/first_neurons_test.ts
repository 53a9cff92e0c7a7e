import { assertEquals } from "@std/assert";
import { firstNeurons } from "../../src/rank/load/first_neurons.ts";
import type { OwnUnit } from "../../src/rank/plan/own_units.ts";

/** A unit of two stripes of 4 neurons; rates by position. */
function unit(rates: readonly number[] | null): OwnUnit {
  return {
    count: 8,
    stripes: 2,
    rates: rates === null ? null : new Float32Array(rates),
  } as unknown as OwnUnit;
}

const HOT = [.9, .8, .2, .1, .5, .4, .3, .1];
const COLD = [.2, .1, 0, 0, .6, .05, 0, 0];

Deno.test("firstNeurons() takes the clusters that fire most, over all units", () => {
  const first = firstNeurons(new Map([[3, unit(HOT)], [5, unit(COLD)]]), {
    ...{ hotClusters: 2, coldSlots: 0, clusterNeurons: 2 },
  });
  // 0.9 + 0.8 and 0.5 + 0.4 of unit 3.
  assertEquals([...first.get(3)!.hotClusters], [1, 1]);
  assertEquals([...first.get(3)!.neurons], [2, 2]);
  assertEquals([...first.get(5)!.neurons], [0, 0]);
});

Deno.test("firstNeurons() fills the cold region with what comes next, neuron by neuron", () => {
  const first = firstNeurons(new Map([[3, unit(HOT)], [5, unit(COLD)]]), {
    ...{ hotClusters: 1, coldSlots: 3, clusterNeurons: 2 },
  });
  assertEquals([...first.get(3)!.hotClusters], [1, 0]);
  assertEquals([...first.get(3)!.neurons], [2, 2]); // the second stripe's first two are cold
  assertEquals([...first.get(5)!.hotClusters], [0, 0]);
  assertEquals([...first.get(5)!.neurons], [0, 1]); // and half of the next cluster
});

Deno.test("firstNeurons() gives all stripes as much where nobody has counted", () => {
  const first = firstNeurons(new Map([[0, unit(null)], [1, unit(null)]]), {
    ...{ hotClusters: 4, coldSlots: 2, clusterNeurons: 2 },
  });
  assertEquals([...first.get(0)!.hotClusters, ...first.get(1)!.hotClusters], [1, 1, 1, 1]);
  const taken = [...first.get(0)!.neurons, ...first.get(1)!.neurons];
  assertEquals(taken.reduce((sum, count) => sum + count, 0), 4 * 2 + 2);
});

Deno.test("firstNeurons() takes no more than there is", () => {
  const first = firstNeurons(new Map([[0, unit(HOT)]]), {
    ...{ hotClusters: 100, coldSlots: 100, clusterNeurons: 3 },
  });
  assertEquals([...first.get(0)!.hotClusters], [2, 2]);
  assertEquals([...first.get(0)!.neurons], [4, 4]);
});
