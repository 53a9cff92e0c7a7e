/**
 * What became of a model's predictors, in words: how well they predict, which are used, and every
 * reason why one is not. Knows no tokens and no threads.
 */
import { type PredictorChoice, RECALL_MIN } from "../engine/types.ts";
import { formatBytes } from "../base/units.ts";
import { predictedBlock, predictorObstacle, type PredictorSummary } from "../model/mod.ts";
import type { ModelDescription } from "../model/types.ts";

/** Something about a model that its user should know. */
export interface Notice {
  /** "warning": it is not as it should be. */
  readonly kind: "info" | "warning";
  /** A sentence or two. */
  readonly text: string;
}

/** A text of everyday kinds: what the predictors are tried on when a model is loaded. */
export const REHEARSAL_TEXT =
  "The little harbour wakes before the sun. Boats come in with the tide, and a man counts boxes: " +
  'twelve, thirteen, fourteen. "How much for these?" she asks. In 1998 the answer was two coins.';

/** Why none of the model's predictors is tried; null where some can be. */
export function allUnusable(model: ModelDescription): string | null {
  const { config, tensors } = model;
  const blocks = tensors.layers.map(predictedBlock).filter((block) => block !== null);
  const obstacles = blocks.map((block) =>
    block.predictor === null ? "it has none" : predictorObstacle(config.feedForward, block)
  );
  return obstacles.every((each) => each !== null) ? obstacles.find((o) => o !== null)! : null;
}

/** What is to be said of predictors that were tried. isForced: all are used, however they are. */
export function predictorNotices(
  summary: PredictorSummary,
  choices: readonly PredictorChoice[],
  isForced: boolean,
): Notice[] {
  const notices: Notice[] = [{ kind: "info", text: describeChoices(summary, choices) }];
  const warn = (text: string) => notices.push({ kind: "warning", text });
  if (summary.missing.length > 0) {
    warn(
      `Predictors are missing in ${layerList(summary.missing)} of the model: they compute all ` +
        "gates: nothing is lost but time",
    );
  }
  const wrong = choices.filter(({ flaw }) => flaw === "model" || flaw === "recall");
  if (wrong.length > 0) warn(describeWrong(choices, wrong, isForced));
  return notices;
}

/** "Predictors (rank 512, 22.1 MiB): find 97.3 % …". */
function describeChoices(
  { rankMin, rankMax, sizeBytes, threshold }: PredictorSummary,
  choices: readonly PredictorChoice[],
): string {
  const rank = rankMin === rankMax ? `${rankMin}` : `${rankMin} to ${rankMax}`;
  const { fired, found, predicted, possible } = total(choices);
  const used = choices.filter(({ isUsed }) => isUsed).length;
  const costly = choices.filter(({ flaw, isUsed }) => flaw === "cost" && !isUsed);
  return `Predictors (rank ${rank}, ${
    formatBytes(sizeBytes)
  }, threshold ${threshold}): they find ` +
    `${percent(found, fired)} of the neurons that fire; ${percent(predicted, possible)} are ` +
    `predicted, ${percent(fired, possible)} fire; used in ${used} of ${choices.length} layers` +
    (costly.length === 0
      ? ""
      : `; in ${layerList(costly.map(({ layer }) => layer))} reading all gates takes less time`);
}

function describeWrong(
  choices: readonly PredictorChoice[],
  wrong: readonly PredictorChoice[],
  isForced: boolean,
): string {
  const { fired, found } = total(choices);
  const isModel = wrong.some(({ flaw }) => flaw === "model");
  const worst = wrong.toSorted((a, b) => recallOf(a) - recallOf(b)).slice(0, LAYERS_NAMED)
    .map((each) => `layer ${each.layer} ${percent(each.found, each.fired)}`);
  const who = isModel
    ? `The predictors do not fit this model: they find ${percent(found, fired)} of the neurons ` +
      "that fire"
    : `The predictors of ${layerList(wrong.map(({ layer }) => layer))} find too few of the ` +
      "neurons that fire";
  const what = isForced
    ? "they are used all the same, as was asked for: answers will be worse than the model's: use " +
      "--predictor auto"
    : `${isModel ? "none is" : "these are not"} used: answers are right, decoding is slower than ` +
      "it could be: get predictors that were made for this very model";
  return `${who} (${worst.join(", ")}; ${100 * RECALL_MIN} % are needed): ${what}`;
}

const LAYERS_NAMED = 4;

function total(choices: readonly PredictorChoice[]) {
  const sum = (of: (each: PredictorChoice) => number) =>
    choices.reduce((all, each) => all + of(each), 0);
  return {
    fired: sum(({ fired }) => fired),
    found: sum(({ found }) => found),
    predicted: sum(({ predicted }) => predicted),
    possible: sum(({ possible }) => possible),
  };
}

function recallOf({ fired, found }: PredictorChoice): number {
  return fired === 0 ? 1 : found / fired;
}

function percent(part: number, whole: number): string {
  return `${(whole === 0 ? 100 : 100 * part / whole).toFixed(1)} %`;
}

/** "layer 3", "layers 3, 5, 7", "layers 3, 5, 7, 8 and 12 more". */
function layerList(layers: readonly number[]): string {
  if (layers.length === 1) return `layer ${layers[0]}`;
  const rest = layers.length - LAYERS_NAMED;
  const named = layers.slice(0, LAYERS_NAMED).join(", ");
  return `layers ${named}${rest > 0 ? ` and ${rest} more` : ""}`;
}
