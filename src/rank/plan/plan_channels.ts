/** What convolves own numbers of rows that come out, in a plan. Knows no layers. */
import { KERNEL_SIDE } from "../../model/plane.ts";
import type { ProjectorTensors } from "../../model/vision_types.ts";
import type { Placer } from "./plan_layer.ts";
import type { VectorPlan } from "./plan_types.ts";
import { type Range, scale } from "./shard.ts";

/** [own numbers, 3, 3] and [own numbers]. */
export interface ChannelsPlan {
  readonly kernels: VectorPlan;
  readonly bias: VectorPlan;
}

/** Places both. */
export function planChannels(
  place: Placer,
  { kernels, bias }: NonNullable<ProjectorTensors["channels"]>,
  own: Range,
): ChannelsPlan {
  return {
    kernels: place.vector(kernels, scale(own, KERNEL_SIDE ** 2)),
    bias: place.vector(bias, own),
  };
}
