/** Fractions of a model as kernels take them: what lies behind `StepState.fractions`. */
import type { ModelConfig } from "../../model/types.ts";

/**
 * The fractions that kernels take, each boxed once. V8 keeps a number that is no small integer
 * unboxed in its object, and boxes it anew for every call into WebAssembly that it does not inline;
 * a field that was something else before keeps its box.
 */
export interface Fractions {
  readonly epsilon: number;
  /** Of norms of what blocks add. */
  readonly postEpsilon: number;
  /** Of norms of heads. */
  readonly headEpsilon: number;
  /** Of norms of an indexer's keys. */
  readonly indexerEpsilon: number;
  readonly attentionScale: number;
  readonly attentionSoftCap: number;
  readonly embeddingScale: number;
  readonly projectionClamp: number;
  readonly valueScale: number;
  readonly residualScale: number;
  /** 1 / √d. */
  readonly routerScale: number;
  readonly logitScale: number;
  readonly logitSoftCap: number;
  /** The largest f32 below the predictors' threshold: what is above it is predicted to fire. */
  readonly belowThreshold: number;
  /** Gates below it count as 0, and the largest f32 below it: what is above it fires. */
  readonly firingThreshold: number;
  readonly belowFiring: number;
  /** Of gates and ups, where these have some; 0: ups have none. */
  readonly gateCap: number;
  readonly upCap: number;
}

/** Those of a model. */
export function boxedFractions(config: ModelConfig): Fractions {
  const boxed: Record<keyof Fractions, number | null> = {
    epsilon: null,
    postEpsilon: null,
    headEpsilon: null,
    indexerEpsilon: null,
    attentionScale: null,
    attentionSoftCap: null,
    embeddingScale: null,
    projectionClamp: null,
    valueScale: null,
    residualScale: null,
    routerScale: null,
    logitScale: null,
    logitSoftCap: null,
    belowThreshold: null,
    firingThreshold: null,
    belowFiring: null,
    ...{ gateCap: null, upCap: null },
  };
  boxed.gateCap = config.feedForward.softCaps?.gate ?? 0;
  boxed.upCap = config.feedForward.softCaps?.up ?? 0;
  boxed.epsilon = config.norm.epsilon;
  boxed.postEpsilon = config.norm.postEpsilon ?? config.norm.epsilon;
  boxed.headEpsilon = config.headNorm?.epsilon ?? config.norm.epsilon;
  boxed.indexerEpsilon = config.indexer?.epsilon ?? 0;
  boxed.attentionScale = config.attentionScale;
  boxed.attentionSoftCap = config.attentionSoftCap;
  boxed.embeddingScale = config.embeddingScale;
  boxed.projectionClamp = config.projectionClamp;
  boxed.valueScale = config.valueScale;
  boxed.residualScale = config.residualScale;
  boxed.routerScale = 1 / Math.sqrt(config.embeddingLength);
  boxed.logitScale = config.logitScale;
  boxed.logitSoftCap = config.logitSoftCap;
  boxed.belowThreshold = floatBelow(config.predictorThreshold);
  const { firingThreshold } = config.feedForward;
  boxed.firingThreshold = firingThreshold;
  boxed.belowFiring = firingThreshold > 0 ? floatBelow(firingThreshold) : 0;
  return boxed as Fractions;
}

/** The largest f32 below the f32 nearest to x. */
function floatBelow(x: number): number {
  const value = new Float32Array([x]);
  const bits = new Int32Array(value.buffer);
  if (value[0] === 0) return -(2 ** -149);
  bits[0] += value[0] > 0 ? -1 : 1;
  return value[0];
}
