/**
 * Where neurons of units are in one table, and which make a cluster: those at so many positions
 * of a stripe that follow each other in the file. Knows nothing of slots.
 */
import { check, divCeil, divExact } from "../base/check.ts";

export interface UnitSizes {
  /** Neurons of each unit's share. */
  readonly unitNeurons: readonly number[];
  /** Stripes of each unit's share, equal parts of its neurons; left out: one each. */
  readonly unitStripes?: readonly number[];
  /**
   * Neuron at each position of each unit's share, a permutation; left out: neurons are counted by
   * position.
   */
  readonly unitOrders?: readonly Uint32Array[];
}

export class UnitIndex {
  /** Place of each unit's first neuron in a table of all, and behind the last. */
  readonly starts: Int32Array;
  readonly #stripeNeurons: Int32Array;
  readonly #clustersPerStripe: Int32Array;
  readonly #orders: readonly Uint32Array[] | null;
  readonly #clusterNeurons: number;

  constructor(sizes: UnitSizes, clusterNeurons: number) {
    const { unitNeurons, unitOrders } = sizes;
    const count = unitNeurons.length;
    this.starts = new Int32Array(count + 1);
    this.#stripeNeurons = new Int32Array(count);
    this.#clustersPerStripe = new Int32Array(count);
    this.#clusterNeurons = clusterNeurons;
    unitNeurons.forEach((neurons, unit) => {
      const inStripe = divExact(neurons, sizes.unitStripes?.[unit] ?? 1);
      this.starts[unit + 1] = this.starts[unit] + neurons;
      this.#stripeNeurons[unit] = inStripe;
      this.#clustersPerStripe[unit] = divCeil(inStripe, clusterNeurons);
      if (unitOrders) checkPermutation(unitOrders[unit], neurons, unit);
    });
    this.#orders = unitOrders ?? null;
  }

  clusterCount(unit: number): number {
    const neurons = this.starts[unit + 1] - this.starts[unit];
    return neurons / this.#stripeNeurons[unit] * this.#clustersPerStripe[unit];
  }

  /** Neurons of a cluster: as many as of any, or fewer at the end of a stripe. */
  clusterSize(unit: number, cluster: number): number {
    const first = (cluster % this.#clustersPerStripe[unit]) * this.#clusterNeurons;
    return Math.min(this.#clusterNeurons, this.#stripeNeurons[unit] - first);
  }

  /** Position of a cluster's first neuron in the unit's share. */
  firstPosition(unit: number, cluster: number): number {
    const stripe = Math.floor(cluster / this.#clustersPerStripe[unit]);
    return stripe * this.#stripeNeurons[unit] +
      (cluster % this.#clustersPerStripe[unit]) * this.#clusterNeurons;
  }

  /** Place in the table of the i-th neuron of a cluster. */
  member(unit: number, cluster: number, i: number): number {
    const position = this.firstPosition(unit, cluster) + i;
    return this.starts[unit] + (this.#orders ? this.#orders[unit][position] : position);
  }

  /** Unit of a place in the table. */
  unitOf(place: number): number {
    let low = 0;
    let high = this.starts.length - 2;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= place) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function checkPermutation(order: Uint32Array, neurons: number, unit: number): void {
  const seen = new Uint8Array(neurons);
  for (const neuron of order) seen[neuron] = 1;
  check(order.length === neurons && !seen.includes(0), `order of unit ${unit} is no permutation`);
}
