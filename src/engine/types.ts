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

/** The result of a request that was cancelled before the engine saw it. */
export function cancelledBeforeStart(request: EngineRequest): EngineResult {
  const timings = {
    promptTokens: request.ids.length,
    promptMs: 0,
    predictedTokens: 0,
    predictedMs: 0,
  };
  return { finishReason: "cancelled", timings };
}
