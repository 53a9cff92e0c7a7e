/** Neurons of a layer, all of them or some at a time: part of types.ts. */
import type { MatrixTensor, NormTensors, VectorTensor } from "./types.ts";

/**
 * Guesses which neurons of a block fire: those for which second · relu(first · r) is at least
 * `ModelConfig.predictorThreshold`, r being the residual stream that the block's norm reads.
 */
export interface PredictorTensors {
  /** [rank, d]. */
  readonly first: MatrixTensor;
  /** [neurons, rank]. */
  readonly second: MatrixTensor;
}

export interface DenseTensors {
  readonly kind: "dense";
  /** Null when the block has no gate. */
  readonly gate: MatrixTensor | null;
  readonly up: MatrixTensor;
  readonly down: MatrixTensor;
  /** Down is stored as [neurons, d], a neuron's weights side by side, and `down` says so. */
  readonly isDownTransposed: boolean;
  /** Of what neurons give together, before down: its weights, [neurons]. Left out: no norm. */
  readonly innerNorm?: VectorTensor;
  /** Null when the file has none for this block. */
  readonly predictor: PredictorTensors | null;
}

/** What the router, experts and the shared expert have for themselves, where they do. */
export interface ApartTensors {
  /** What the router reads, a norm of the residual stream; logits are divided by √d. */
  readonly routerNorm: NormTensors;
  /** What the shared expert reads, and norms of what it and the others give. */
  readonly sharedNorm: NormTensors;
  readonly sharedPostNorm: NormTensors;
  readonly expertsPostNorm: NormTensors;
}

export interface ExpertTensors {
  readonly kind: "experts";
  /** [expert count, d]. */
  readonly router: MatrixTensor;
  /** Added to the router's probabilities for the choice only, [expert count], or null. */
  readonly choiceBias: VectorTensor | null;
  /** The experts that tokens use, [vocab, usedCount] whole numbers. Left out: they choose. */
  readonly expertsOfTokens?: VectorTensor;
  /** Down has no biases of its own: see `downBiases`. */
  readonly experts: readonly DenseTensors[];
  /** [expert count · d], counted as much as the experts are; or null. */
  readonly downBiases: VectorTensor | null;
  readonly shared: DenseTensors | null;
  /** [1, d]: the shared expert counts sigmoid(row · x) times; null: once. */
  readonly sharedGate: MatrixTensor | null;
  /** Multiplies what an expert counts, [expert count], or null. */
  readonly scales: VectorTensor | null;
  /** Null: all of them read the same. */
  readonly apart: ApartTensors | null;
  /**
   * What makes of a row that which experts read, [latentLength, d]; what their sum is normalised
   * by, [latentLength], or null; what makes of that what they add, [d, latentLength].
   */
  readonly latent?: {
    readonly down: MatrixTensor;
    readonly norm: VectorTensor | null;
    readonly up: MatrixTensor;
  };
  /**
   * Of the layer's input, before attention: router and experts read it, the shared one does not.
   * Left out: they read the same.
   */
  readonly inputNorm?: NormTensors;
  /** By group: `CompanionsConfig`. Left out: there are none. */
  readonly companions?: readonly DenseTensors[];
}

/** Neurons, all of them or some at a time. */
export type FeedForwardTensors = DenseTensors | ExpertTensors;
