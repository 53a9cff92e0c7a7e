/** What the walk of a rank on a GPU sees of a layer. */
import type { Program } from "../../../gpu/mod.ts";
import type { Norm } from "../bound/bound_norm.ts";
import type { GpuLayer } from "./gpu_layer.ts";

/** A layer with what it runs. */
export interface WalkedGpuLayer {
  readonly layer: GpuLayer;
  readonly joinsAttention: boolean;
  readonly joinsNeurons: boolean;
  /** Others join within their states. */
  readonly joinsStates: boolean;
  /** Others join within their predictors, where they ask them; null: they have none. */
  readonly predictors: { readonly haveAllGates: boolean } | null;
  /** Alone: of this layer and those behind it, at the first one of a few; else null. */
  readonly several: Program | null;
  /** Beside others: null where it has no share of it. */
  readonly attention: Program | null;
  readonly feedForward: Program | null;
  /** Beside others: multiplies the stream at the layer's end; null: nothing does, or not here. */
  readonly outputScale: number | null;
  /** Beside others: address of f32 [d], added to it then; 0: nothing is, or not here. */
  readonly direction: number;
  readonly postNorms: { readonly attention: Norm | null; readonly feedForward: Norm | null };
}
