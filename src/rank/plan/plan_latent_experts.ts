/**
 * What experts read instead of what the router reads, in a plan: every rank makes all of that, and
 * a part of the outputs that their sum is made. Knows tensors.
 */
import type { ExpertTensors } from "../../model/types.ts";
import type { LayerInput, Placer } from "./plan_layer.ts";
import type { MatrixPlan, VectorPlan } from "./plan_types.ts";
import { cut } from "./shard.ts";

/** A whole number of lanes of any kernel. */
const ROW_UNIT = 32;

export interface LatentExpertsPlan {
  /** Whole, [latent, d]. */
  readonly down: MatrixPlan;
  /** [latent]; null: the sum is as it is. */
  readonly norm: VectorPlan | null;
  /** Own rows, [own outputs, latent]. */
  readonly up: MatrixPlan;
  /** The first own output. */
  readonly firstRow: number;
}

export function planLatentExperts(
  place: Placer,
  latent: ExpertTensors["latent"],
  { threadCount, rankIndex }: Pick<LayerInput, "threadCount" | "rankIndex">,
): LatentExpertsPlan | null {
  if (latent === undefined) return null;
  const { down, norm, up } = latent;
  // A GPU that has them is alone.
  const rows = threadCount === 0
    ? { start: 0, end: up.rows }
    : cut(up.rows, { parts: threadCount, part: rankIndex, unit: ROW_UNIT });
  return {
    down: place.matrix(down, {}),
    norm: norm && place.vector(norm),
    up: place.matrix(up, { rows }),
    firstRow: rows.start,
  };
}
