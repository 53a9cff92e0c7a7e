/** Which clusters are worth a place in the hot region: those whose neurons fire most. */
import type { UnitIndex } from "./unit_index.ts";

/**
 * All clusters of a rank, most firings first, as pairs (unit, cluster), u32 [clusters][2].
 * rates: of each unit's share, how often the neuron at each position fires.
 */
export function clustersByRate(units: UnitIndex, rates: readonly Float32Array[]): Uint32Array {
  const all: { unit: number; cluster: number; firings: number }[] = [];
  rates.forEach((own, unit) => {
    for (let cluster = 0; cluster < units.clusterCount(unit); cluster++) {
      const first = units.firstPosition(unit, cluster);
      const firings = own.subarray(first, first + units.clusterSize(unit, cluster))
        .reduce((sum, rate) => sum + rate, 0);
      all.push({ unit, cluster, firings });
    }
  });
  all.sort((a, b) => b.firings - a.firings);
  return Uint32Array.from(all.flatMap(({ unit, cluster }) => [unit, cluster]));
}
