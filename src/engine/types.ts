/** A generation as the engine sees it: ids in, ids out. */
import type { FinishReason, Prelude, SamplingOptions, Timings } from "../llm/types.ts";
import type { GivenRows, RowGrid } from "../rank/step/given_rows.ts";
import type { RequestGrammar } from "./chooser.ts";
import type { FillSettings } from "./fill_settings.ts";
import type { LogprobRows } from "./logprob_rows.ts";

export { FILL_DEFAULTS, FILL_ORDERS, type FillOrder, type FillSettings } from "./fill_settings.ts";
export type { GivenRows, RowGrid };

export interface EngineRequest {
  /**
   * The prompt: at least one id, all below the vocabulary's size, shorter than the context. Those
   * below 0 are of `given`.
   */
  readonly ids: readonly number[];
  /** Rows that stand in the prompt in place of embeddings; left out: none do. */
  readonly given?: readonly GivenRows[];
  /** How much of each adapter the model was loaded with counts; left out: nothing. */
  readonly adapters?: readonly number[];
  readonly maxTokens: number;
  readonly sampling: SamplingOptions;
  /** Ids that no repetition goes across, for DRY; left out: there are none. */
  readonly breakers?: readonly number[];
  /** Ids that end the answer. */
  readonly endIds: readonly number[];
  /** Of a model that fills in: how. Left out: as such models usually do. */
  readonly fill?: FillSettings;
  /** Larger ones are served first; left out: 0. */
  readonly priority?: number;
  /** What the answer must be. */
  readonly grammar?: RequestGrammar;
  /** What it begins with, where that is bounded. */
  readonly prelude?: Omit<Prelude, "grammar"> & { readonly grammar: RequestGrammar };
  /** Where log probabilities of the answer's ids go; left out: nobody wants them. */
  readonly logprobs?: LogprobRows;
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

/** "auto": predictors are used where they are good and pay; "on": wherever the model has them. */
export type PredictorPolicy = "auto" | "on";

/** A predictor that finds a smaller share of the neurons that fire is not used unless asked for. */
export const RECALL_MIN = 0.8;

/** What became of a layer's predictor. */
export interface PredictorChoice {
  readonly layer: number;
  /** Of a short text, neurons of the layer that fired, counted token by token; */
  readonly fired: number;
  /** those of them that were predicted; */
  readonly found: number;
  /** all that were predicted; */
  readonly predicted: number;
  /** all that there are. */
  readonly possible: number;
  readonly isUsed: boolean;
  /**
   * What is wrong with it: all predictors of the model together find too few neurons, this one
   * does, or it takes longer than it spares; null: nothing.
   */
  readonly flaw: "model" | "recall" | "cost" | null;
}
