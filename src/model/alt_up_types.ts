/** Several residual streams and what goes around attention: part of types.ts. */
import type { MatrixTensor, NormTensors, VectorTensor } from "./types.ts";

/**
 * Of several residual streams layers compute with the first one only; from it, and from what the
 * layer makes of it, the others are guessed and put right (alternating updates: Baykal et al. 2023,
 * "Alternating Updates for Efficient Transformers").
 */
export interface AltUpConfig {
  /** All of them, m; 2 or more. */
  readonly streamCount: number;
}

/** What makes the other streams at the beginning, and what is added up of them at the end. */
export interface AltUpTensors {
  /** Of streams 1 .. m - 1, [d, d] each; what they give is made as long as the first stream. */
  readonly starts: readonly MatrixTensor[];
  readonly ends: readonly MatrixTensor[];
}

/** What a layer has for them. */
export interface LayerAltUpTensors {
  /** [m, d]: how much of each mode there is: tanh(router · norm(x) / d). */
  readonly router: MatrixTensor;
  readonly routerNorm: NormTensors;
  /** Modes to factors: [m · m, m] of what streams count in the guess of each. */
  readonly guess: VectorTensor;
  /** Modes to how much a stream is put right, less 1, [m, m]. */
  readonly correction: VectorTensor;
  /** Multiplies what reads the layer's input, [d]. */
  readonly scale: VectorTensor;
  /** Around attention: norm(up · down · h) + h, h being what attention reads; [r, d] and [d, r]. */
  readonly bypass: {
    readonly down: MatrixTensor;
    readonly up: MatrixTensor;
    readonly norm: NormTensors;
  };
}
