/**
 * Which neurons of an arena's units are brought into slots before the first token: those that fire
 * most often. Of every stripe a prefix, for its neurons are ordered so; the first of it as hot
 * clusters, the rest one by one. Pure arithmetic.
 */
import type { OwnUnit } from "../plan/own_units.ts";

/** Of a unit, by stripe: clusters that become hot, and neurons in all, these included. */
export interface FirstNeurons {
  readonly hotClusters: Uint32Array;
  readonly neurons: Uint32Array;
}

export interface Cluster {
  readonly unit: number;
  readonly stripe: number;
  /** Its number in the unit: UnitIndex. */
  readonly cluster: number;
  readonly size: number;
  /** Firings that a slot of it would find. */
  readonly gain: number;
}

/**
 * units: streamed ones of the arena. Where nobody has counted how often neurons fire, all stripes
 * get as much.
 */
export function firstNeurons(
  units: ReadonlyMap<number, OwnUnit>,
  room: { hotClusters: number; coldSlots: number; clusterNeurons: number },
): ReadonlyMap<number, FirstNeurons> {
  const first = new Map<number, FirstNeurons>();
  for (const [unit, { stripes }] of units) {
    first.set(unit, {
      hotClusters: new Uint32Array(stripes),
      neurons: new Uint32Array(stripes),
    });
  }
  const clusters = clustersByGain(units, room.clusterNeurons);
  let { hotClusters: hotLeft, coldSlots: coldLeft } = room;
  for (const { unit, stripe, size } of clusters) {
    const { hotClusters, neurons } = first.get(unit)!;
    const isHot = hotLeft > 0;
    const taken = isHot ? size : Math.min(size, coldLeft);
    if (isHot) {
      hotLeft--;
      hotClusters[stripe]++;
    } else coldLeft -= taken;
    neurons[stripe] += taken;
    if (hotLeft === 0 && coldLeft === 0) break;
  }
  return first;
}

/** All clusters of the units, those whose neurons fire most often first. */
export function clustersByGain(
  units: ReadonlyMap<number, OwnUnit>,
  clusterNeurons: number,
): Cluster[] {
  const clusters = [...units].flatMap(([unit, own]) => clustersOf(unit, own, clusterNeurons));
  // Sorting is stable: a stripe's clusters stay in their order where gains are equal.
  return clusters.sort((a, b) => b.gain - a.gain);
}

function clustersOf(unit: number, own: OwnUnit, clusterNeurons: number): Cluster[] {
  const { count, stripes, rates } = own;
  const inStripe = count / stripes;
  const clusters: Cluster[] = [];
  for (let stripe = 0; stripe < stripes; stripe++) {
    for (let at = 0; at < inStripe; at += clusterNeurons) {
      const size = Math.min(clusterNeurons, inStripe - at);
      const from = stripe * inStripe + at;
      // Without counts: what comes first in its stripe.
      const gain = rates === null
        ? -at
        : rates.subarray(from, from + size).reduce((sum, rate) => sum + rate, 0) / clusterNeurons;
      clusters.push({ unit, stripe, cluster: clusters.length, size, gain });
    }
  }
  return clusters;
}
