/**
 * Decides whether long steps of a prompt bring a GPU the neurons that it has no room for, and from
 * how many tokens on, by what was measured: uploading a layer takes as long for one token as for
 * many, computing it on threads does not. Loads nothing.
 */
import { denseMatrices } from "../model/dense_matrices.ts";
import { hasUnevenNeurons } from "../model/layer_config.ts";
import { matrixBytes } from "../../gpu/planning.ts";
import { formatBytes } from "../base/units.ts";
import type { MatrixTensor } from "../model/types.ts";
import { DEFAULT_PROFILE, PREFILL_MACS_PER_THREAD } from "../planner/mod.ts";
import type { GpuOptions } from "../rank/plan/plan.ts";
import { expertsObstacle } from "../rank/gpu/obstacle.ts";
import type { LongSteps } from "../rank/plan/gpu_plan_types.ts";
import { type LoadOptions, rankCountFor } from "./load_options.ts";
import type { DescribedModel } from "./plan_load.ts";

/** Tokens of a step where weights are uploaded for it: more share an upload. */
export const CHUNK_TOKENS_OF_LONG_STEPS = 256;
/** It must be so much faster to be worth a second copy of the weights. */
const GAIN_MIN = 1.2;
/** Of the memory that is free beside the model, what the copies may take. */
const HOST_SHARE = 0.5;
/** One token never is a long step: decoding stays where it is. */
const FROM_TOKENS_MIN = 2;

export interface LongStepsDecision {
  /** Null: nothing is brought. */
  readonly longSteps: LongSteps | null;
  /** What is brought, or why not, for people. */
  readonly reason: string;
}

/** What a layer's neurons that the GPU does not have take, to hold and to compute. */
interface Brought {
  readonly bytes: number;
  /** Multiply-adds of a token. */
  readonly weights: number;
}

/**
 * @param share what the GPU has.
 * @param hostBytes free memory of the machine; left out: it is asked for.
 */
export function chooseLongSteps(
  of: DescribedModel,
  options: LoadOptions,
  share: GpuOptions,
  hostBytes?: number,
): LongStepsDecision {
  const never = (reason: string): LongStepsDecision => ({
    longSteps: null,
    reason: `the others' neurons are not brought to it: ${reason}`,
  });
  const { config } = of.model;
  const { gpuStreamFrom: asked } = options;
  if (asked === 0) return never("it was switched off");
  if (config.experts !== null) return never(expertsObstacle(of) ?? "experts stay where they are");
  if (hasUnevenNeurons(config)) return never("layers differ in how many they have");
  // Long steps have all neurons that it has in any step.
  const own = share.neurons[share.neurons.length - 1];
  const wanted = own === 1 ? config.blockCount - share.layers : config.blockCount;
  if (wanted === 0) return never("there are none");
  const neurons = 1 - (share.layers === config.blockCount ? own : 0);
  const layer = largestLayer(of, neurons);
  const room = hostBytes ?? Deno.systemMemoryInfo().available;
  const free = room - sum([...of.file.tensors.values()].map(({ sizeBytes }) => sizeBytes));
  const layers = Math.min(wanted, Math.floor(Math.max(0, free) * HOST_SHARE / layer.bytes));
  if (layers === 0) return never("there is no memory for encoded copies of them");
  const chunkTokens = options.chunkTokens ?? CHUNK_TOKENS_OF_LONG_STEPS;
  const rates = ratesFor(layer, options);
  if (asked === undefined && rates === null) {
    return never("how fast it is sent weights was never measured: `ganglion doctor` does");
  }
  const fromTokens = Math.max(FROM_TOKENS_MIN, asked ?? rates!.fromTokens);
  if (asked === undefined && fromTokens > chunkTokens) {
    return never(
      `a layer's upload takes ${(1e3 * rates!.uploadSeconds).toFixed(0)} ms, which ` +
        `${chunkTokens} tokens at once do not pay`,
    );
  }
  const expected = rates === null ? "" : expectation(rates, chunkTokens, layers);
  return {
    longSteps: { fromTokens, layers },
    reason: `steps of ${fromTokens} tokens or more bring it the neurons that it does not have of ` +
      `${layers} layers, ${formatBytes(layers * layer.bytes)} a step${expected}`,
  };
}

interface Rates {
  readonly uploadSeconds: number;
  /** Of a token in a layer. */
  readonly gpuSeconds: number;
  readonly threadSeconds: number;
  /** Where the GPU begins to be faster; infinite: nowhere. */
  readonly fromTokens: number;
}

/** Null: not all was measured. Uploads do not overlap with anything here: they partly do. */
function ratesFor({ bytes, weights }: Brought, options: LoadOptions): Rates | null {
  const { gpu } = options.profile ?? DEFAULT_PROFILE;
  if (gpu?.uploadGBps === undefined) return null;
  const uploadSeconds = bytes / (gpu.uploadGBps * 1e9) + gpu.stepMs / 1e3;
  const gpuSeconds = 2 * weights / (gpu.prefillGFlops * 1e9);
  const threadSeconds = weights / (rankCountFor(options) * PREFILL_MACS_PER_THREAD);
  const saved = threadSeconds / GAIN_MIN - gpuSeconds;
  return {
    ...{ uploadSeconds, gpuSeconds, threadSeconds },
    fromTokens: saved > 0 ? Math.ceil(uploadSeconds / saved) : Infinity,
  };
}

function expectation(
  { uploadSeconds, gpuSeconds, threadSeconds }: Rates,
  tokens: number,
  layers: number,
): string {
  const seconds = (each: number) => (layers * each).toFixed(2);
  return `: of ${tokens} tokens expected in ${seconds(uploadSeconds + tokens * gpuSeconds)} s ` +
    `instead of the threads' ${seconds(tokens * threadSeconds)} s`;
}

/** Of a share of each layer's neurons. */
function largestLayer({ model, file }: DescribedModel, share: number): Brought {
  const layers = model.tensors.layers.flatMap(({ feedForward }) =>
    feedForward?.kind === "dense" ? [denseMatrices(feedForward)] : []
  );
  const bytesOf = (matrices: readonly MatrixTensor[]) =>
    sum(
      matrices.map(({ tensor, rows, columns }) =>
        matrixBytes(file.tensors.get(tensor)!.type, rows, columns)
      ),
    );
  return {
    bytes: Math.max(1, share * Math.max(...layers.map(bytesOf))),
    weights: share *
      Math.max(...layers.map((each) => sum(each.map(({ rows, columns }) => rows * columns)))),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
