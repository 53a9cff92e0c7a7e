/** What mixes residual streams as the walk uses it: bound once. */
import { floats } from "./arena_views.ts";
import { type Matrix, matrixOf } from "./matrix.ts";
import type { HyperPlan, LayerHyperPlan } from "../plan/plan_hyper.ts";
import { lengthOf } from "../plan/shard.ts";

export interface Hyper {
  /** Of each stream. */
  readonly mixers: readonly Matrix[];
  /** [shares], and [kinds of shares]. */
  readonly base: Float32Array;
  readonly scale: Float32Array;
}

export interface LayerHyper {
  readonly attention: Hyper;
  readonly feedForward: Hyper;
}

export function bindHyper({ mixers, base, scale }: HyperPlan, memory: WebAssembly.Memory): Hyper {
  return {
    mixers: mixers.map(matrixOf),
    base: floats(memory, base.offsetBytes, lengthOf(base.range)),
    scale: floats(memory, scale.offsetBytes, lengthOf(scale.range)),
  };
}

export function bindLayerHyper(
  { attention, feedForward }: LayerHyperPlan,
  memory: WebAssembly.Memory,
): LayerHyper {
  return {
    attention: bindHyper(attention, memory),
    feedForward: bindHyper(feedForward, memory),
  };
}
