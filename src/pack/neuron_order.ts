/** In which order a unit's neurons are packed: by what is known of how often they fire. */
import type { UnitShape } from "../bundle/units.ts";
import type { UnitOrder } from "../bundle/unit_table.ts";
import { type FiringStats, layerCounts } from "../stats/mod.ts";

/**
 * An order for each unit: in each stripe by descending frequency for one token, the lower number
 * first where they are equal; without statistics as in the model's file.
 */
export function neuronOrders(
  shapes: readonly UnitShape[],
  stats: FiringStats | null,
): UnitOrder[] {
  // Neurons of a layer are numbered unit by unit.
  const begins = new Map<number, number>();
  return shapes.map((shape) => {
    const begin = begins.get(shape.layer) ?? 0;
    begins.set(shape.layer, begin + shape.neurons);
    if (stats === null) {
      return { order: Uint32Array.from({ length: shape.neurons }, (_, i) => i), rates: null };
    }
    const counts = layerCounts(stats, "1", shape.layer).subarray(begin, begin + shape.neurons);
    return byFrequency(shape, counts, Math.max(1, stats.units["1"]));
  });
}

function byFrequency(
  { neurons, stripes }: UnitShape,
  counts: Uint32Array,
  tokens: number,
): UnitOrder {
  const order = Uint32Array.from({ length: neurons }, (_, i) => i);
  const each = neurons / stripes;
  for (let begin = 0; begin < neurons; begin += each) {
    order.subarray(begin, begin + each).sort((a, b) => counts[b] - counts[a] || a - b);
  }
  return { order, rates: Float32Array.from(order, (neuron) => counts[neuron] / tokens) };
}
