/**
 * What streaming does to be fast, one step after another (PowerInfer-2's ablation), as
 * arguments of `ganglion bench`: each step is the one before and one thing more.
 */

export interface AblationStep {
  readonly name: string;
  readonly args: readonly string[];
}

/** hasPredictors: the model carries predictors; without, gates are in memory in every step. */
export function ablationSteps(hasPredictors: boolean): AblationStep[] {
  const gates = ["--predictor", "off"];
  return [
    { name: "no bundles", args: [...gates, "--without", "bundles,cache,pipeline"] },
    { name: "+ bundles", args: [...gates, "--without", "cache,pipeline"] },
    { name: "+ cache", args: [...gates, "--without", "pipeline"] },
    { name: "+ pipeline", args: gates },
    ...hasPredictors ? [{ name: "+ predictor", args: ["--predictor", "on"] }] : [],
  ];
}
