/**
 * What a rank is to the walk of forward.ts: the steps of one step, in their order. A rank on WASM
 * kernels (rank.ts) and one on a GPU (gpu/gpu_rank.ts) implement it; the walk does not know which
 * of them it walks.
 */
import type { StepWords } from "../memory/control.ts";
import type { Range } from "./plan/shard.ts";

/** What the walk itself looks at in a layer. */
export interface WalkedLayer {
  /** Behind attention, or what is in its place: not where both blocks read the same input. */
  readonly joinsAttention: boolean;
  /** Behind the neurons, where the layer has some. */
  readonly joinsNeurons: boolean;
}

/** L: what the rank calls a layer. Steps that return false were aborted by the leader. */
export interface RankSteps<L extends WalkedLayer = WalkedLayer> {
  /** Those that the step goes through. */
  readonly layers: Range;
  /** For how many of the step's tokens logits are wanted. */
  readonly logitsCount: number;

  /** Takes over the step's words. */
  begin(step: StepWords): void;

  embed(): void;
  joinEmbedding(): boolean;
  enterGuess(): boolean;

  enterLayer(index: number): L;
  routeEarly(layer: L): void;
  project(layer: L): void;
  normalizeHeads(layer: L): boolean;
  rotate(layer: L): void;
  remember(layer: L): void;
  attend(layer: L): void;
  mergeHeads(layer: L): void;
  recur(layer: L): boolean;
  joinAttention(layer: L): boolean;
  feedShared(layer: L): boolean;
  predict(layer: L): boolean;
  feedForward(layer: L): void;
  joinFeedForward(layer: L): boolean;
  endLayer(layer: L): boolean;

  endStreams(): boolean;
  scoreVocabulary(): boolean;
  /** Waits for the others; everybody's logits are readable after it. */
  meet(): boolean;
}
