/** How tokens choose among experts: part of types.ts. */

/** A mixture of experts. */
export interface ExpertsConfig {
  readonly count: number;
  /** How many experts a token uses. */
  readonly usedCount: number;
  /** Neurons of one expert. */
  readonly feedForwardLength: number;
  /**
   * How router logits become weights: softmax, sigmoid or the root of softplus over all experts
   * before the choice, or softmax over the chosen ones only.
   */
  readonly gating: "softmax" | "sigmoid" | "rootSoftplus" | "softmaxOfChosen";
  /** Weights of the chosen experts are divided by their sum. */
  readonly normalizesWeights: boolean;
  /** Multiplies the weights in the end; usually 1. */
  readonly weightScale: number;
  /**
   * What the router reads: what the experts read; the residual stream before attention; or a norm
   * of the latter, which the experts read, too ("ownNorm": `ExpertTensors.inputNorm`).
   */
  readonly routerInput: "feedForward" | "layerInput" | "ownNorm";
  /** Neurons of the expert that every token uses; 0 = none. */
  readonly sharedFeedForwardLength: number;
  /** How much that one counts where it has no gate. Left out: 1. */
  readonly sharedWeight?: number;
  /** In so many layers, the first ones, it is the token that says which: `expertsOfTokens`. */
  readonly listedLayers?: number;
  /** So many layers, the first ones, have a dense block instead. */
  readonly leadingDenseCount: number;
  /** Behind them one of so many layers in a row mixes, the last one. Left out: all do. */
  readonly period?: number;
  /** Weights multiply what experts read, not what they give. Left out: no. */
  readonly weighsInputs?: true;
  /**
   * A token chooses among the experts of some groups only: those whose two best experts together
   * have the highest scores. Groups are neighbours of equal number. Left out: among all.
   */
  readonly groups?: { readonly count: number; readonly usedCount: number };
  /** They read so many numbers that are made of what the router reads. Left out: the same. */
  readonly latentLength?: number;
  /** Neighbours among the experts have one more in common. Left out: they do not. */
  readonly companions?: CompanionsConfig;
}

/** Small experts, each of which goes along with any expert of its group that a token chooses. */
export interface CompanionsConfig {
  /** Experts of a group: the companion of expert e is number ⌊e / groupSize⌋. */
  readonly groupSize: number;
  /** Neurons of one companion. */
  readonly feedForwardLength: number;
  /** How much it counts for an expert, as a part of what the expert does. */
  readonly weight: number;
}
