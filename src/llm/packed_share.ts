/**
 * What a GPU may have of a packed model: heads and the output, and of each block's neurons, experts
 * or not, the most frequent clusters; never all of it alone, for threads read what stays on disk.
 * Loads nothing.
 */
import type { BundleUnit, PackedModel } from "../bundle/types.ts";
import { clustersOfUnit, unitBytes, unitsObstacle } from "../rank/gpu/unit_share.ts";
import { roomOnGpu } from "./gpu_memory.ts";
import { hotSharesOf, type LoadOptions } from "./load_options.ts";
import type { DescribedModel } from "./plan_load.ts";

/** A packed model as its file describes it. */
export type DescribedPacked = DescribedModel & { readonly packed: PackedModel };

/** Of a layer's neurons, where nobody says: as many as find room. */
const SHARES = [1, 0.7, 0.5, 0.3, 0.15, 0];

/** Of which layers, counted from the last one, and how many of their neurons. */
export interface PackedShare {
  readonly layers: number;
  readonly neurons: number;
}

/** Shares that are tried one after the other, the largest that should fit first; may be none. */
export function packedShares(of: DescribedPacked, options: LoadOptions): PackedShare[] {
  const { model: { config: { blockCount, embeddingLength } }, packed: { units } } = of;
  const most = Math.min(blockCount, options.gpuLayers ?? blockCount);
  const asked = hotSharesOf(options)?.[0] ?? 1;
  const isBare = unitsObstacle(of, units) !== null;
  const shares = isBare ? [0] : [asked, ...SHARES.filter((share) => share < asked)];
  const { roomBytes, headBytes, outputBytes } = roomOnGpu(of, options);
  const neuronBytes = (share: number) =>
    isBare ? 0 : largestLayer(units, (unit) => {
      const part = clustersOfUnit(unit, share, units) / (unit.neurons / unit.stripes);
      return part * unitBytes(unit, embeddingLength);
    });
  const fits = ({ layers, neurons }: PackedShare) =>
    roomBytes >= outputBytes + layers * (headBytes + neuronBytes(neurons));
  // Of small stripes several shares are the same clusters, or none.
  const others = shares.filter((share) => share === 0 || neuronBytes(share) > 0)
    .filter((share, i, all) => i === 0 || neuronBytes(share) < neuronBytes(all[i - 1]));
  const all = others.map((neurons) => ({ layers: most, neurons })).filter(fits);
  // Heads of some layers are more than nothing.
  const layers = Math.min(most, Math.floor((roomBytes - outputBytes) / headBytes));
  return all.length > 0 ? all : layers > 0 ? [{ layers, neurons: 0 }] : [];
}

/** The most that units of one layer come to together. */
function largestLayer(units: readonly BundleUnit[], of: (unit: BundleUnit) => number): number {
  const layers = new Map<number, number>();
  for (const unit of units) layers.set(unit.layer, (layers.get(unit.layer) ?? 0) + of(unit));
  return Math.max(0, ...layers.values());
}
