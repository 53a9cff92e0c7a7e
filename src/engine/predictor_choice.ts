/**
 * Which predictors are worth using: those that find nearly all neurons that fire, and that are
 * read in less time, guessed gates included, than the gates that they spare. Arithmetic only.
 */
import { LISTED_COST } from "../rank/plan/weight_types.ts";
import { type PredictorChoice, type PredictorPolicy, RECALL_MIN } from "./types.ts";

/** What reading a predictor and the gates that it leaves may take of what all gates take. */
const COST_MAX = 0.95;

/** A layer's predictor as a rehearsal found it, over all ranks. */
export interface RehearsedPredictor {
  readonly layer: number;
  /** Neurons that fired; those of them that were predicted; all that were predicted. */
  readonly fired: number;
  readonly found: number;
  readonly predicted: number;
  /** All that could have: neurons times tokens; of a mixture, those of chosen experts. */
  readonly possible: number;
  /** Bytes of its matrices, on all ranks, and of all gates; of a mixture, those of a token. */
  readonly predictorBytes: number;
  readonly gateBytes: number;
  /** Gates that are not predicted would be read from disk. */
  readonly areGatesOnDisk: boolean;
}

/**
 * Decides for each layer. "auto": none where all of them together find too few, else those that
 * find enough and pay. "on": all.
 */
export function choosePredictors(
  rehearsed: readonly RehearsedPredictor[],
  policy: PredictorPolicy,
): PredictorChoice[] {
  const sum = (of: (each: RehearsedPredictor) => number) =>
    rehearsed.reduce((total, each) => total + of(each), 0);
  const isWrong = shareOf(sum(({ found }) => found), sum(({ fired }) => fired)) < RECALL_MIN;
  return rehearsed.map((each) => {
    const { layer, fired, found, predicted, possible } = each;
    const recall = shareOf(found, fired);
    const flaw = isWrong ? "model" : recall < RECALL_MIN ? "recall" : pays(each) ? null : "cost";
    const counts = { fired, found, predicted, possible };
    return { layer, ...counts, isUsed: policy === "on" || flaw === null, flaw };
  });
}

/** part / whole; of nothing everything is found. */
export function shareOf(part: number, whole: number): number {
  return whole === 0 ? 1 : part / whole;
}

function pays(rehearsed: RehearsedPredictor): boolean {
  const { predicted, possible, predictorBytes, gateBytes, areGatesOnDisk } = rehearsed;
  if (areGatesOnDisk) return true;
  const listedBytes = LISTED_COST * gateBytes * predicted / possible;
  return predictorBytes + listedBytes <= COST_MAX * gateBytes;
}
