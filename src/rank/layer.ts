/** A layer's share as the walk uses it: addresses and sizes, bound once when the rank starts. */
import type { ModelConfig } from "../model/types.ts";
import { floats } from "./arena_views.ts";
import { type Matrix, matrixOf, readsQ8 } from "./matrix.ts";
import type {
  DensePlan,
  ExpertsPlan,
  HeadNormPlan,
  LayerPlan,
  NormPlan,
  PredictorPlan,
  VectorPlan,
} from "./plan_types.ts";
import { lengthOf } from "./shard.ts";

/** Addresses of f32 [embeddingLength]; bias 0: none. */
export interface Norm {
  readonly weight: number;
  readonly bias: number;
}

/** A norm of queries or keys. */
export interface HeadNorm {
  readonly span: "head" | "projection";
  readonly weight: number;
  /** Floats from one head's weights to the next one's; 0 where all share them. */
  readonly weightStep: number;
}

/** Guesses which neurons fire. */
export interface Predictor {
  /** Number of its layer. */
  readonly layer: number;
  /** Own rows of [rank, d]. */
  readonly first: Matrix;
  /** [own neurons, rank]. */
  readonly second: Matrix;
  /** Bytes of both. */
  readonly sizeBytes: number;
}

/** Neurons of a block or of one expert. */
export interface Dense {
  readonly kind: "dense";
  readonly gate: Matrix | null;
  readonly up: Matrix;
  readonly down: Matrix;
  readonly predictor: Predictor | null;
  /** Neurons with an |act(gate)| of at most this are left out; null: those that are zero. */
  readonly threshold: number | null;
  /** True when gate or up reads q8 tiles. */
  readonly readsQ8: boolean;
  /** True when gate or up reads floats. */
  readonly readsFloats: boolean;
}

/** A mixture's share. */
export interface Experts {
  readonly kind: "experts";
  readonly router: Matrix;
  /** [experts], or null. */
  readonly choiceBias: Float32Array | null;
  readonly experts: readonly Dense[];
  readonly shared: Dense | null;
  readonly sharedGate: Matrix | null;
  /** True when an expert, or the shared one, reads q8 tiles. */
  readonly readsQ8: boolean;
}

export interface Layer {
  readonly index: number;
  /** The arena it lies in. */
  readonly arena: number;
  /** Attention and feed-forward read the same input; there is one join, after both. */
  readonly isParallel: boolean;
  /** Experts are chosen by the layer's input, before attention changes it. */
  readonly routesEarly: boolean;
  /** 0 = none. */
  readonly slidingWindow: number;
  /** Index of the rotary embedding, or null. */
  readonly rope: number | null;
  readonly attentionNorm: Norm | null;
  readonly query: Matrix;
  readonly key: Matrix;
  readonly value: Matrix;
  /** True when one of query, key, value reads q8 tiles. */
  readonly projectionsReadQ8: boolean;
  readonly queryNorm: HeadNorm | null;
  readonly keyNorm: HeadNorm | null;
  readonly attentionOutput: Matrix;
  readonly attentionPostNorm: Norm | null;
  readonly feedForwardNorm: Norm | null;
  readonly feedForward: Dense | Experts;
  readonly feedForwardPostNorm: Norm | null;
  readonly keys: number;
  readonly values: number;
}

/** memory: the layer's arena. */
export function bindLayer(
  plan: LayerPlan,
  by: { config: ModelConfig; index: number; memory: WebAssembly.Memory },
): Layer {
  const { config, index, memory } = by;
  const own = config.layers[index];
  const isParallel = config.hasParallelBlocks;
  const [query, key, value] = [plan.query, plan.key, plan.value].map(matrixOf);
  const headNorm = (norm: HeadNormPlan | null) => bindHeadNorm(norm, config.headDim);
  return {
    index,
    arena: plan.arena,
    isParallel,
    routesEarly: plan.feedForward.kind === "experts" &&
      config.experts?.routerInput === "layerInput",
    slidingWindow: own.slidingWindow,
    rope: own.rope,
    attentionNorm: bindNorm(plan.attentionNorm),
    query,
    key,
    value,
    projectionsReadQ8: [query, key, value].some(readsQ8),
    queryNorm: headNorm(plan.queryNorm),
    keyNorm: headNorm(plan.keyNorm),
    attentionOutput: matrixOf(plan.attentionOutput),
    attentionPostNorm: bindNorm(plan.attentionPostNorm),
    feedForwardNorm: bindNorm(plan.feedForwardNorm ?? (isParallel ? plan.attentionNorm : null)),
    feedForward: plan.feedForward.kind === "dense"
      ? bindDense(plan.feedForward)
      : bindExperts(plan.feedForward, memory),
    feedForwardPostNorm: bindNorm(plan.feedForwardPostNorm),
    keys: plan.keysOffsetBytes,
    values: plan.valuesOffsetBytes,
  };
}

export function bindNorm(plan: NormPlan): Norm;
export function bindNorm(plan: NormPlan | null): Norm | null;
export function bindNorm(plan: NormPlan | null): Norm | null {
  if (plan === null) return null;
  return { weight: plan.weight.offsetBytes, bias: addressOf(plan.bias) };
}

function bindHeadNorm(plan: HeadNormPlan | null, headDim: number): HeadNorm | null {
  if (plan === null) return null;
  const { span, weight } = plan;
  // One own head of several has headDim weights, too: stepping over them once changes nothing.
  const weightStep = lengthOf(weight.range) > headDim ? headDim : 0;
  return { span, weight: weight.offsetBytes, weightStep };
}

function bindDense(plan: DensePlan): Dense {
  const gate = plan.gate && matrixOf(plan.gate);
  const up = matrixOf(plan.up);
  const forms = [up, ...gate === null ? [] : [gate]].map(readsQ8);
  const bound = {
    kind: "dense" as const,
    gate,
    up,
    down: matrixOf(plan.down),
    predictor: plan.predictor && bindPredictor(plan.predictor),
    threshold: null as number | null,
    readsQ8: forms.includes(true),
    readsFloats: forms.includes(false),
  };
  // A field that was null before keeps its number boxed, ready for the kernels: `Fractions`.
  if (plan.threshold !== null) bound.threshold = plan.threshold;
  return bound;
}

function bindPredictor(plan: PredictorPlan): Predictor {
  const [first, second] = [plan.first, plan.second].map(matrixOf);
  const sizeBytes = [first, second].reduce(
    (sum, { rowCount, rowStrideBytes }) => sum + rowCount * rowStrideBytes,
    0,
  );
  return { layer: plan.layer, first, second, sizeBytes };
}

function bindExperts(plan: ExpertsPlan, memory: WebAssembly.Memory): Experts {
  const experts = plan.experts.map(bindDense);
  const shared = plan.shared && bindDense(plan.shared);
  return {
    kind: "experts",
    router: matrixOf(plan.router),
    choiceBias: plan.choiceBias &&
      floats(memory, plan.choiceBias.offsetBytes, lengthOf(plan.choiceBias.range)),
    experts,
    shared,
    sharedGate: plan.sharedGate && matrixOf(plan.sharedGate),
    readsQ8: [...experts, shared].some((each) => each?.readsQ8),
  };
}

function addressOf(vector: VectorPlan | null): number {
  return vector === null ? 0 : vector.offsetBytes;
}
