/** What a plan says of a rank on a GPU: plain data, posted to the rank's thread. */
import type { DensePlan } from "./plan_types.ts";

/** A rank on a GPU: matrices, biases and norms that blocks read have no offsets in an arena. */
export interface GpuPlan {
  /** It is the only rank: the residual stream stays on the GPU from layer to layer. */
  readonly isAlone: boolean;
  /** Layers of which it has something, from here on to the last. */
  readonly firstLayer: number;
  /** Bytes of weights on the GPU, and of what layers keep of texts: mostly keys and values. */
  readonly weightsBytes: number;
  readonly kvBytes: number;
  /** By layer, from the first on: neurons that are brought for long steps; null: it has them. */
  readonly brought: readonly (DensePlan | null)[];
  /** Of the largest of these layers. */
  readonly largestBroughtBytes: number;
  /** Of all of them, encoded, in the memory of the process. */
  readonly broughtBytes: number;
}

/**
 * A step of at least `fromTokens` is long: of the first `layers` layers a GPU computes all neurons
 * then, and those that it does not have are brought to it layer by layer.
 */
export interface LongSteps {
  readonly fromTokens: number;
  readonly layers: number;
}

/** A part of the neurons of a unit that a GPU has: the first ones of each stripe. */
export interface UnitPart {
  readonly unit: number;
  readonly part: "gate" | "up" | "down";
  readonly ofStripe: number;
}
