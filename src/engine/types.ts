/** A generation as the engine sees it: ids in, ids out. */
import type { FinishReason, SamplingOptions, Timings } from "../llm/types.ts";

export interface EngineRequest {
  /** The prompt: at least one id, all below the vocabulary's size, shorter than the context. */
  readonly ids: readonly number[];
  readonly maxTokens: number;
  readonly sampling: SamplingOptions;
  /** Ids that end the answer. */
  readonly endIds: readonly number[];
}

export interface EngineResult {
  readonly finishReason: FinishReason;
  readonly timings: Timings;
}
