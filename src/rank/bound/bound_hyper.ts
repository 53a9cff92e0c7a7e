/** What mixes residual streams as the walk uses it: bound once. */
import { floats } from "./arena_views.ts";
import { type Matrix, matrixOf } from "./matrix.ts";
import type { HyperPlan, LayerHyperPlan } from "../plan/plan_hyper.ts";
import type { VectorPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";

export interface Hyper {
  /** Of each stream, or of any. */
  readonly mixers: readonly Matrix[];
  /** [shares], and [kinds of shares]; empty where streams are kept. */
  readonly base: Float32Array;
  readonly scale: Float32Array;
}

const NOTHING = new Float32Array(0);

export interface LayerHyper {
  readonly attention: Hyper;
  readonly feedForward: Hyper;
}

export function bindHyper({ mixers, base, scale }: HyperPlan, memory: WebAssembly.Memory): Hyper {
  const vector = (plan: VectorPlan | null) =>
    plan ? floats(memory, plan.offsetBytes, lengthOf(plan.range)) : NOTHING;
  return { mixers: mixers.map(matrixOf), base: vector(base), scale: vector(scale) };
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
