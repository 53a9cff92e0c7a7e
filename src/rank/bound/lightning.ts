/** A layer's share of lightning attention as the walk uses it: addresses and sizes, bound once. */
import type { StateSpaceConfig } from "../../model/types.ts";
import { type Matrix, matrixOf, readsQ8 } from "./matrix.ts";
import type { LightningPlan } from "../plan/plan_lightning.ts";
import { channelsOf, inputRows } from "../plan/plan_state.ts";
import { lengthOf } from "../plan/shard.ts";

/** Vectors are addresses of f32. */
export interface Lightning {
  readonly headCount: number;
  readonly headDim: number;
  readonly channelCount: number;
  readonly inputRows: number;
  readonly input: Matrix;
  readonly gate: Matrix;
  readonly norm: number;
  readonly output: Matrix;
  /** A matrix that reads what the layer reads takes q8 tiles. */
  readonly readsQ8: boolean;
  /** [own heads] each. */
  readonly decay: number;
  readonly steps: number;
  readonly skip: number;
  readonly places: number;
  readonly placeBytes: number;
}

export function bindLightning(plan: LightningPlan, config: StateSpaceConfig): Lightning {
  const [input, gate] = [plan.input, plan.gate].map(matrixOf);
  const headCount = lengthOf(plan.heads);
  const { offsetBytes: decay } = plan.constants;
  return {
    headCount,
    headDim: config.stateLength,
    channelCount: lengthOf(channelsOf(plan.heads, config)),
    inputRows: inputRows(plan.heads, config),
    ...{ input, gate, readsQ8: [input, gate].some(readsQ8) },
    norm: plan.norm.offsetBytes,
    output: matrixOf(plan.output),
    ...{ decay, steps: decay + headCount * 4, skip: decay + 2 * headCount * 4 },
    places: plan.placesOffsetBytes,
    placeBytes: plan.placeBytes,
  };
}
