/** How ranks are planned for what loading was asked for, but for packed files' units. */
import { instantiateKernels } from "../../wasm/mod.ts";
import { check } from "../base/check.ts";
import { readsWhole } from "../model/layer_config.ts";
import type { ModelDescription } from "../model/types.ts";
import { type PlanOptions, tableBlocks } from "../rank/plan/plan.ts";
import type { GpuPart } from "./choose_gpu.ts";
import { CHUNK_TOKENS_OF_LONG_STEPS } from "./choose_long_steps.ts";
import {
  chunkTokensFor,
  contextLengthFor,
  type LoadOptions,
  rankCountFor,
  rankCountWithGpu,
} from "./load_options.ts";

/**
 * Texts that an encoder reads at once, together as long as its context at most: each of them may
 * begin a block of keys and values more.
 */
const TEXTS_OF_STEP = 16;

function chunkTokensOf(
  model: ModelDescription,
  { chunkTokens }: LoadOptions,
  gpu?: GpuPart | null,
): number {
  if (chunkTokens !== undefined) return chunkTokens;
  return gpu?.share.longSteps ? CHUNK_TOKENS_OF_LONG_STEPS : chunkTokensFor(model, gpu?.isAlone);
}

/** gpu: what a GPU computes; null or left out: nothing. */
export function rankOptionsFor(
  model: ModelDescription,
  module: WebAssembly.Module,
  options: LoadOptions,
  gpu?: GpuPart | null,
): PlanOptions {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  const contextLength = contextLengthFor(model, options);
  return {
    rankCount: !gpu ? rankCountFor(options) : rankCountWithGpu(options, gpu.isAlone),
    gpu: gpu ? { ...gpu.share, rates: options.firing?.counts } : undefined,
    contextLength,
    // Where tokens see all others a text is one step, or a source.
    chunkTokens: readsWhole(model.config)
      ? contextLength
      : Math.max(options.wholeRows ?? 1, chunkTokensOf(model, options, gpu)),
    ...model.config.isEncoder
      ? { sequences: TEXTS_OF_STEP, kvBlocks: tableBlocks(contextLength) + TEXTS_OF_STEP }
      : { sequences: options.parallel === "auto" ? 1 : options.parallel },
    kvType: options.kvType ?? "auto",
    isSparse: options.sparse,
    measuresInputs: options.measureInputs,
    thresholds: options.quiet?.thresholds,
    // Beside a GPU only where what they name comes from the disk: plan_within.ts.
    hasPredictors: options.predictor !== "off" && !gpu,
    arenaBytesMax: options.arenaBytesMax,
    sizes: instantiateKernels(module, memory),
  };
}

/**
 * How a tower's ranks are planned: an image is one step, and one at a time.
 * @param isOnGpu a GPU has all of it, in one thread; left out: threads do.
 */
export function towerOptionsFor(
  { config: { patches, blockCount: layers } }: ModelDescription,
  module: WebAssembly.Module,
  options: Pick<LoadOptions, "threads" | "kvType" | "arenaBytesMax">,
  isOnGpu = false,
): PlanOptions {
  check(patches !== undefined, "a tower takes patches");
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  return {
    rankCount: isOnGpu ? 1 : rankCountFor(options),
    gpu: isOnGpu ? { heads: 1, neurons: [1], hasOutput: true, layers } : undefined,
    contextLength: patches.countMax,
    chunkTokens: patches.countMax,
    sequences: 1,
    kvType: options.kvType ?? "auto",
    isSparse: false,
    arenaBytesMax: options.arenaBytesMax,
    sizes: instantiateKernels(module, memory),
  };
}
