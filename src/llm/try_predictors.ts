/**
 * Tries a loaded model's predictors on a short text, so that none is used that does not fit, and
 * says what came of it. Knows nothing of how predictors are computed.
 */
import type { EngineHandle } from "../../workers/mod.ts";
import type { PredictorChoice } from "../engine/types.ts";
import type { GgufFile } from "../gguf/types.ts";
import { type PredictorSummary, summarizePredictors } from "../model/mod.ts";
import type { ModelDescription } from "../model/types.ts";
import type { RankPlan } from "../rank/plan/plan_types.ts";
import type { Tokenizer } from "../tokenizer/types.ts";
import { allUnusable, type Notice, predictorNotices, REHEARSAL_TEXT } from "./predictor_report.ts";

/** "off": predictors are not loaded; the others: src/engine/types.ts. */
export type PredictorMode = "auto" | "on" | "off";

/** A model's predictors and what became of them. */
export interface TriedPredictors {
  readonly summary: PredictorSummary;
  /** Of layers whose predictors were tried. */
  readonly choices: readonly PredictorChoice[];
}

/** Enough for thousands of neurons that fire in each layer; a fraction of a second. */
const REHEARSAL_TOKENS = 16;
/** Each token brings other experts from the disk as a whole. */
const REHEARSAL_TOKENS_OF_STREAMED_EXPERTS = 4;

/**
 * Decides which predictors are used.
 * @returns null where the model has none that could be.
 */
export async function tryPredictors(by: {
  readonly file: GgufFile;
  readonly model: ModelDescription;
  readonly plans: readonly RankPlan[];
  readonly tokenizer: Tokenizer;
  readonly engine: EngineHandle;
  readonly mode: PredictorMode;
  readonly notify: (notice: Notice) => void;
}): Promise<TriedPredictors | null> {
  const { file, model, plans, engine, mode, notify } = by;
  const summary = summarizePredictors(file, model);
  if (summary === null) {
    if (mode === "on") {
      notify({ kind: "warning", text: "Predictors were asked for: this model has none" });
    }
    return null;
  }
  if (plans[0].strides.predictor === 0) {
    const reason = allUnusable(model);
    if (reason !== null && mode !== "off") {
      notify({ kind: "warning", text: `The model's predictors are not used: ${reason}` });
    }
    return null;
  }
  const ids = rehearsalIds(by.tokenizer, model.config.vocabSize)
    .slice(0, Math.min(rehearsalTokens(plans[0]), plans[0].contextLength));
  const isForced = mode === "on";
  const choices = await engine.rehearse(ids, isForced ? "on" : "auto");
  predictorNotices(summary, choices, isForced).forEach(notify);
  return { summary, choices };
}

function rehearsalTokens({ layers }: RankPlan): number {
  const isStreamed = layers.some(({ feedForward }) =>
    feedForward?.kind === "experts" && feedForward.experts.some(({ kind }) => kind === "streamed")
  );
  return isStreamed ? REHEARSAL_TOKENS_OF_STREAMED_EXPERTS : REHEARSAL_TOKENS;
}

/** A text's ids; of a model without a vocabulary, ids all over it. */
function rehearsalIds(tokenizer: Tokenizer, vocabSize: number): number[] {
  if (tokenizer.vocabSize === 0) {
    return Array.from({ length: REHEARSAL_TOKENS }, (_, i) => (i * 7919) % vocabSize);
  }
  const ids = tokenizer.encode(REHEARSAL_TEXT);
  const { addBos, bosId } = tokenizer;
  return addBos && bosId !== null && ids[0] !== bosId ? [bosId, ...ids] : ids;
}
