/** In a few towers what products read and give has limits: where these are, and their scratch. */
import { alignUp } from "../../base/check.ts";
import { SUPERBLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import type { ProductLimits, VectorTensor } from "../../model/types.ts";
import { N } from "../../shapes/mod.ts";
import { subsamplingSizes } from "./plan_conformer.ts";
import type { VectorPlan } from "./plan_types.ts";
import type { WorkspaceInput } from "./plan_workspace.ts";
import type { LastingTensor } from "./step_tensors.ts";

/** As `ProductLimits`, and where what a product reads lies when it is within them. */
export interface ProductLimitsPlan {
  readonly bounds: Readonly<Record<keyof ProductLimits, VectorPlan | null>>;
  /** Offsets of `WorkspacePlan.limited`. */
  readonly scratch: LimitedWorkspace;
}

/** What a product reads, within its limits: [n, widest], f32, and the same as q8 tiles. */
export interface LimitedWorkspace {
  readonly f32: number;
  readonly q8: number;
}

export function placeLimits(
  limits: ProductLimits,
  place: (bound: VectorTensor) => VectorPlan,
  scratch: LimitedWorkspace,
): ProductLimitsPlan {
  const bound = (of: keyof ProductLimits) => {
    const vector = limits[of];
    return vector && place(vector);
  };
  const bounds = {
    ...{ inputMin: bound("inputMin"), inputMax: bound("inputMax") },
    ...{ outputMin: bound("outputMin"), outputMax: bound("outputMax") },
  };
  return { bounds, scratch };
}

/** Whatever a product reads, with room for it as q8 tiles. */
export function limitedBytes(
  { config, widths, strides, chunkTokens, sizes, projector }: WorkspaceInput,
) {
  if (!config.limitsProducts) return {};
  const { embedding, attention, hidden } = strides;
  const widest = alignUp(
    Math.max(
      ...[embedding, attention, hidden, widths.neurons],
      ...projector ? [projector.mergedStride, projector.hiddenStride] : [],
      projector?.subsampling ? subsamplingSizes(projector.subsampling).columns : 0,
    ),
    SUPERBLOCK_WEIGHTS,
  );
  return {
    limited: N.times(4 * widest),
    "limited.q8": sizes.q8_bytes(chunkTokens, widest),
  };
}

export function limitedAt(at: (name: LastingTensor) => number): LimitedWorkspace {
  return { f32: at("limited"), q8: at("limited.q8") };
}
