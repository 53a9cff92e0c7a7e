/**
 * How fast a GPU and the threads are with a model, by what `doctor` measured: where both are known
 * they decide which of them computes. Loads nothing.
 */
import { denseMatrices } from "../model/dense_matrices.ts";
import type { LayerTensors, ModelConfig } from "../model/types.ts";
import { DEFAULT_PROFILE, PREFILL_MACS_PER_THREAD, readGBps } from "../planner/mod.ts";
import { bytesPerToken } from "./gpu_memory.ts";
import { type LoadOptions, rankCountFor } from "./load_options.ts";
import type { DescribedModel } from "./plan_load.ts";

/** Tokens per second of both. */
export interface ExpectedSpeeds {
  readonly gpu: number;
  readonly cpu: number;
  /** What is done so fast. */
  readonly does: "decode" | "read";
}

/** Of a layer, beside its products: attention, and as much for what products do in the end. */
const SMALL_KERNELS = 2;
/** More of a layer that mixes: router, choice, and what experts give put together. */
const EXPERT_KERNELS = 3;
/** A text of an encoder's: short ones are asked for most, and gain the least by a GPU. */
const TEXT_TOKENS = 64;

/** Null where the GPU was not measured. */
export function expectedSpeeds(of: DescribedModel, options: LoadOptions): ExpectedSpeeds | null {
  const { profile = DEFAULT_PROFILE } = options;
  if (profile.gpu === undefined) return null;
  const { config, tensors: { layers } } = of.model;
  const { decodeGBps, prefillGFlops, stepMs, smallKernelMs = 0 } = profile.gpu;
  const small = SMALL_KERNELS + (config.experts === null ? 0 : EXPERT_KERNELS);
  const besideMs = stepMs + config.blockCount * small * smallKernelMs;
  if (config.isEncoder) {
    const products = TEXT_TOKENS * layers.reduce((sum, each) => sum + weightsOf(each, config), 0);
    return {
      gpu: TEXT_TOKENS / (2 * products / (prefillGFlops * 1e9) + besideMs / 1e3),
      cpu: TEXT_TOKENS * rankCountFor(options) * PREFILL_MACS_PER_THREAD / products,
      does: "read",
    };
  }
  const bytes = bytesPerToken(of);
  return {
    gpu: 1 / (bytes / (decodeGBps * 1e9) + besideMs / 1e3),
    cpu: readGBps(profile, rankCountFor(options)) * 1e9 / bytes,
    does: "decode",
  };
}

/** Multiply-adds of a token in a layer. */
function weightsOf(
  { query, key, value, attentionOutput, feedForward }: LayerTensors,
  { experts }: ModelConfig,
): number {
  const heads = [query, key, value, attentionOutput].filter((each) => each !== null);
  const neurons = feedForward === null
    ? []
    : feedForward.kind === "dense"
    ? denseMatrices(feedForward)
    : feedForward.experts.slice(0, experts!.usedCount).flatMap(denseMatrices);
  return [...heads, ...neurons].reduce((sum, { rows, columns }) => sum + rows * columns, 0);
}
