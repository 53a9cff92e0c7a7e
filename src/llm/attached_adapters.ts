/**
 * Whether a model can have an adapter beside its weights, for requests to choose: the one place
 * that chooses between that and a model of its own, with the adapter in its weights.
 */
import { openAdapter } from "../adapter/mod.ts";
import { UnsupportedModelError } from "../base/errors.ts";
import type { ModelDescription } from "../model/types.ts";
import { adapterObstacle } from "../rank/plan/plan.ts";
import { chooseGpu } from "./choose_gpu.ts";
import type { AdapterChoice } from "./engine_options.ts";
import type { LoadOptions } from "./load_options.ts";
import { openForUse } from "./open_for_use.ts";
import { describeForUse } from "./plan_load.ts";

/**
 * Why the model at `path`, loaded with these options, cannot have an adapter beside its weights;
 * null: it can. What it cannot have at all is for `openForUse` to refuse.
 * @throws as `openForUse` and `describeForUse`.
 */
export async function attachObstacle(
  path: string,
  { path: adapter }: AdapterChoice,
  options: LoadOptions,
): Promise<string | null> {
  const { adapters = [] } = options;
  if (adapters.length > 0) return "the model has other adapters in its weights (--lora)";
  const { file, packed } = openForUse(path, { ...options, namedAdapters: [] });
  if (packed !== null) return "the model's file is a packed one";
  const model = describeForUse(file, options);
  const obstacle = obstacleOf(model, adapter, options);
  if (obstacle !== null) return obstacle;
  const { gpu = "auto" } = options;
  if (gpu === "on" || gpu === "force") return "the GPU is to be used";
  const { parts } = await chooseGpu({ file, model, packed }, options);
  return parts.length > 0 ? "the GPU computes the model" : null;
}

/**
 * @throws {UnsupportedModelError} when the model, loaded with these options, cannot have its named
 *   adapters.
 */
export function checkAttached(model: ModelDescription, options: LoadOptions): void {
  for (const { id, adapter: { path } } of options.namedAdapters ?? []) {
    const obstacle = obstacleOf(model, path, options);
    if (obstacle === null) continue;
    throw new UnsupportedModelError(
      `Cannot use the adapter "${id}" beside the model's weights: ${obstacle}: put it into them ` +
        "(--lora, adapters)",
    );
  }
}

/** Of the model itself; adapter: its path. */
function obstacleOf(
  model: ModelDescription,
  adapter: string,
  { quiet }: LoadOptions,
): string | null {
  if (quiet !== undefined) return "quiet neurons of the model are left out";
  return adapterObstacle(model, openAdapter(adapter).pairs.keys());
}
