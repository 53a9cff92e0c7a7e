/** What the configs of several tiny families have in common. Data only. */
import type { ModelConfig } from "../../src/model/mod.ts";

/** What a family's config has that is not as in a llama of the same shape. */
export type Differences = Partial<Omit<ModelConfig, "ropes" | "layers" | "architecture">> & {
  /** Kind, rotated dimensions, base, scaling factor of each rope; left out: like Llama's. */
  readonly ropes?: readonly (readonly [string, number, number, number])[];
  /** Window and rope of each layer; left out: no windows, all with the first rope. */
  readonly layers?: string;
};

export const NEOX: Differences = { ropes: [["neox", 16, 10000, 1]] };
export const WIDE_NEOX: Differences = {
  headDim: 24,
  attentionScale: 1 / Math.sqrt(24),
  ropes: [["neox", 24, 10000, 1]],
};
export const GEMMA: Differences = {
  ...WIDE_NEOX,
  feedForward: { activation: "gelu", isGated: true, activatesUp: false, firingThreshold: 0 },
  embeddingScale: 8,
  tiedEmbeddings: true,
};
export const LAYER_NORM: Differences = { norm: { kind: "layer", epsilon: Math.fround(1e-5) } };
export const UNGATED = { isGated: false, activatesUp: false, firingThreshold: 0 };

export function experts(changes: Partial<NonNullable<ModelConfig["experts"]>>): Differences {
  return {
    feedForwardLength: 0,
    experts: {
      count: 8,
      usedCount: 3,
      feedForwardLength: 32,
      gating: "softmax",
      normalizesWeights: true,
      weightScale: 1,
      routerInput: "feedForward",
      sharedFeedForwardLength: 0,
      leadingDenseCount: 0,
      ...changes,
    },
  };
}

export const PARALLEL_PLAIN: Differences = {
  ...NEOX,
  ...LAYER_NORM,
  feedForward: { activation: "gelu", ...UNGATED },
  hasParallelBlocks: true,
};
export const COHERE: Differences = {
  ...LAYER_NORM,
  hasParallelBlocks: true,
  tiedEmbeddings: true,
  logitScale: Math.fround(0.3),
};
/** A dense layer, then mixtures. */
export function leading(changes: Partial<NonNullable<ModelConfig["experts"]>>): Differences {
  const shared = { sharedFeedForwardLength: 64, leadingDenseCount: 1, weightScale: 1.5 };
  return { ...experts({ ...shared, ...changes }), feedForwardLength: 96, blockCount: 3 };
}

/** Heads of 8 turned and 32 plain dimensions; the cache's have 8 and the latent's. */
export function latent(queryLength: number, magnitude = 1, turnedDim = 8): Differences {
  return {
    headCountKv: 1,
    headDim: 64 + turnedDim,
    latent: { length: 64, queryLength, turnedDim, plainDim: 32, valueDim: 16 },
    attentionScale: magnitude ** 2 / Math.sqrt(32 + turnedDim),
  };
}
