/** What a plan says of neurons: dense blocks, packed ones, experts, predictors. Data only. */
import type { LatentExpertsPlan } from "./plan_latent_experts.ts";
import type { SwigluLimit } from "../../model/types.ts";
import type { ApartPlan } from "./plan_inputs.ts";
import type { CurvePlan } from "./plan_activation.ts";
import type { MatrixPlan, NormPlan, VectorPlan } from "./plan_types.ts";
import type { Range } from "./shard.ts";

/** Guesses which neurons fire: second · relu(first · residual stream). */
export interface PredictorPlan {
  /** Number of its layer. */
  readonly layer: number;
  /** This rank's share of the rows: what they give is exchanged. */
  readonly first: MatrixPlan;
  /** Rows of this rank's neurons. */
  readonly second: MatrixPlan;
}

/** Neurons: rows of gate and up, columns of down. */
export interface DensePlan {
  readonly kind: "dense";
  readonly gate: MatrixPlan | null;
  readonly up: MatrixPlan;
  readonly down: MatrixPlan;
  /** Weights of the norm of what own neurons give; null: none. */
  readonly innerNorm: VectorPlan | null;
  /** Null: the activation has none. */
  readonly curve: CurvePlan | null;
  /** How far SwiGLU goes; null: no limit. */
  readonly limit: SwigluLimit | null;
  /** Of all experts of a layer, or of none. */
  readonly predictor: PredictorPlan | null;
  /** Neurons whose activation, |act(gate)|, is not above this are left out; null: none for that. */
  readonly threshold: number | null;
  /** As a layer's in the model: where its gates are cut off; null: they are as they are. */
  readonly gateCutoff: number | null;
  /** Its neurons are silent as a rule, or by a threshold: single ones may be left out. */
  readonly isSilent: boolean;
  /** Number of the unit of a packed file that it is loaded from; null: tensors have their bytes. */
  readonly unit: number | null;
  /**
   * Of each stripe of that unit the first so many neurons are a GPU's; 0: none are. Gate and up
   * have no rows of these, and their columns of down are zero.
   */
  readonly gpuOfStripe: number;
  /** Where the column of down of each row is, u32 [rows of up]; 0: it is of the same number. */
  readonly columnsOffsetBytes: number;
}

export interface SteppedDensePlan {
  readonly block: DensePlan;
  /** Of the steps in which they are computed. */
  readonly tokens: Range;
}

/**
 * Neurons whose weights lie in a packed file, of which only those are in memory that were needed
 * lately: src/rank/stream/streamed_block.ts.
 */
export interface StreamedPlan {
  readonly kind: "streamed";
  /** Number of the unit in the packed file. */
  readonly unit: number;
  /** Of the unit, this rank's. */
  readonly neurons: Range;
  /** As of a dense block: nobody reads these. */
  readonly gpuOfStripe: number;
  /** The rows of all gates, where they are resident; null: a gate comes with its bundle. */
  readonly gate: MatrixPlan | null;
  /** Where factors of own columns of down are, and their bytes; 0 where rows have theirs. */
  readonly factorsOffsetBytes: number;
  readonly factorsSizeBytes: number;
  /** Where parts of a bundle begin in its slot; gate null: it is resident, or there is none. */
  readonly inSlot: { readonly gate: number | null; readonly up: number; readonly down: number };
  /** The whole unit, without biases, in a place that all units of the arena share. */
  readonly staged: DensePlan;
  /** Own ones, always in memory. */
  readonly biases: Readonly<Record<"gate" | "up" | "down", VectorPlan | null>>;
  /** As of a dense block, always in memory. */
  readonly innerNorm: VectorPlan | null;
  readonly curve: CurvePlan | null;
  readonly limit: SwigluLimit | null;
  readonly predictor: PredictorPlan | null;
}

/** A share of every expert. */
export interface ExpertsPlan {
  readonly kind: "experts";
  /**
   * Of a rank on a GPU: router, biases and scales of the choice are in its arena, and its thread
   * chooses as all threads do, with the same bits. False: it is a thread, or the GPU chooses.
   */
  readonly choosesInArena: boolean;
  /** How many of them a token uses. */
  readonly usedCount: number;
  /** The whole router, on every rank, so that all choose alike without a join; F32 or float. */
  readonly router: MatrixPlan;
  readonly choiceBias: VectorPlan | null;
  /** [vocab, used], or null: tokens choose. */
  readonly expertsOfTokens: VectorPlan | null;
  readonly experts: readonly (DensePlan | StreamedPlan)[];
  /** [experts, d], on the rank that adds what is added to sums; null: none, or not here. */
  readonly downBiases: VectorPlan | null;
  readonly shared: DensePlan | StreamedPlan | null;
  readonly sharedGate: MatrixPlan | null;
  /** [experts], or null. */
  readonly scales: VectorPlan | null;
  /** Null: router, experts and the shared one read the same, and are added up. */
  readonly apart: ApartPlan | null;
  /** Null: experts read what the router does, and what they add is added up as it is. */
  readonly latent: LatentExpertsPlan | null;
  /** Of the layer's input, which router and experts read; null: they read what the block reads. */
  readonly inputNorm: NormPlan | null;
  /** Own neurons of what goes along with experts, by group; empty: nothing does. */
  readonly companions: readonly DensePlan[];
}
