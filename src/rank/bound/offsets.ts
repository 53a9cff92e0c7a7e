/** Tables of scores by how far keys are away in an image, as a rank's layer has them. */
import type { LayerConfig } from "../../model/types.ts";
import type { OffsetsPlan } from "../plan/plan_offsets.ts";
import { lengthOf } from "../plan/shard.ts";

/** As `LayerConfig.offsets`, with addresses of tables f32 [count, headDim]. */
export interface Offsets {
  readonly side: number;
  readonly areWindows: boolean;
  readonly rows: { readonly at: number; readonly count: number };
  readonly columns: { readonly at: number; readonly count: number };
}

/** Null: the layer counts nothing of that. `headDim`: of the rows of its tables. */
export function bindOffsets(
  plan: OffsetsPlan | null,
  config: LayerConfig["offsets"],
  headDim: number,
): Offsets | null {
  if (plan === null) return null;
  const tableOf = ({ offsetBytes, range }: OffsetsPlan["rows"]) => (
    { at: offsetBytes, count: lengthOf(range) / headDim }
  );
  return { ...config!, rows: tableOf(plan.rows), columns: tableOf(plan.columns) };
}
