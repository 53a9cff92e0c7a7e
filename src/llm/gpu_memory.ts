/**
 * How many layers a GPU has room for, about: who loads finds out. Loads nothing.
 */
import { matrixBytes } from "../../gpu/planning.ts";
import { denseMatrices } from "../model/dense_matrices.ts";
import { configOf } from "../model/layer_config.ts";
import { latentMatrices } from "../model/latent.ts";
import { stateMatrices } from "../model/state_matrices.ts";
import type { LayerTensors, MatrixTensor } from "../model/types.ts";
import { CHUNK_TOKENS_OF_LONG_STEPS } from "./choose_long_steps.ts";
import { wholeLayerBytes } from "../rank/plan/kept_shapes.ts";
import { expertsObstacle } from "../rank/gpu/obstacle.ts";
import {
  contextLengthFor,
  hotSharesOf,
  type LoadOptions,
  PARALLEL_AUTO_MAX,
} from "./load_options.ts";
import type { DescribedModel } from "./plan_load.ts";

/**
 * Layers that fit into what a GPU may take, beside activations; those that it has no room for need
 * room for two of them when they are brought. Infinite where nobody set a limit.
 */
export function fittingLayers(of: DescribedModel, options: LoadOptions): number {
  const { gpuMemoryBytes, gpuStreamFrom } = options;
  if (gpuMemoryBytes === undefined) return Infinity;
  const { tensors: { layers, output, tokenInputs }, config } = of.model;
  const kept = keptBytes(of, options);
  const most = (matricesOf: (layer: LayerTensors) => MatrixTensor[]) =>
    Math.max(...layers.map((layer) => bytesOf(of, matricesOf(layer))));
  const expertsOf = hasExperts(of, options) ? expertMatrices : () => [];
  // Layers of an encoder share it.
  const layerBytes = (config.isEncoder ? 0 : kept) +
    most((layer) => [
      ...[...headMatrices(layer), ...neuronMatrices(layer), ...expertsOf(layer)],
      ...layer.input === null ? [] : [layer.input.gate, layer.input.output],
    ]);
  const room = gpuMemoryBytes - activationBytes(of, options) - (config.isEncoder ? kept : 0);
  const ends = tokenInputs === null ? [output] : [output, tokenInputs.projection];
  if (room >= layers.length * layerBytes + bytesOf(of, ends)) return Infinity;
  const sets = gpuStreamFrom === 0 ? 0 : 2 * most(neuronMatrices);
  return Math.max(0, Math.floor((room - sets) / layerBytes));
}

/** What a GPU may take, beside activations, and what of a model's heads takes how much of it. */
export interface RoomOnGpu {
  /** Infinite where nobody set a limit. */
  readonly roomBytes: number;
  /** Of a layer: heads' matrices, and what it keeps of texts. */
  readonly headBytes: number;
  readonly outputBytes: number;
}

export function roomOnGpu(of: DescribedModel, options: LoadOptions): RoomOnGpu {
  const { gpuMemoryBytes = Infinity } = options;
  const { layers, output } = of.model.tensors;
  return {
    roomBytes: gpuMemoryBytes - activationBytes(of, options),
    headBytes: keptBytes(of, options) +
      Math.max(...layers.map((layer) => bytesOf(of, headMatrices(layer)))),
    outputBytes: bytesOf(of, [output]),
  };
}

/** Of the layer that keeps most of texts. */
function keptBytes({ model }: DescribedModel, options: LoadOptions): number {
  const { parallel = 1 } = options;
  return Math.max(...model.tensors.layers.map((_, layer) =>
    wholeLayerBytes(model.config, layer, {
      chunkTokens: stepTokens({ model }, options),
      contextLength: contextLengthFor(model, options),
      sequences: parallel === "auto" ? 1 : parallel,
      kvType: options.kvType === "f32" ? "f32" : "i16",
    })
  ));
}

function bytesOf({ file }: DescribedModel, matrices: readonly MatrixTensor[]): number {
  return matrices.reduce(
    (sum, { tensor, rows, columns }) =>
      sum + matrixBytes(file.tensors.get(tensor)!.type, rows, columns),
    0,
  );
}

/**
 * Contexts of requests that may be under way at once where nobody says how many: as many as leave
 * no layer to the threads. Where nobody set a limit, who loads finds out.
 */
export function fittingContexts(of: DescribedModel, options: LoadOptions): number {
  const layers = fittingLayers(of, options);
  let contexts = PARALLEL_AUTO_MAX;
  while (contexts > 1 && fittingLayers(of, { ...options, parallel: contexts }) < layers) contexts--;
  return contexts;
}

/** Whether a GPU has the experts of layers that it has. */
export function hasExperts(of: DescribedModel, options: LoadOptions): boolean {
  const { experts } = of.model.config;
  return experts !== null && (hotSharesOf(options)?.[0] ?? 1) > 0 && expertsObstacle(of) === null;
}

/** Bytes of all weights that a token looks at, as the file has them: of experts those it uses. */
export function bytesPerToken({ file, model: { config, tensors } }: DescribedModel): number {
  const bytesOf = (name: string) => file.tensors.get(name)!.sizeBytes;
  let bytes = [...file.tensors.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  tensors.layers.forEach(({ feedForward }, layer) => {
    if (feedForward?.kind !== "experts") return;
    const { count, usedCount } = configOf(config, layer).experts!;
    const names = new Set(feedForward.experts.flatMap(denseMatrices).map(({ tensor }) => tensor));
    for (const name of names) bytes -= bytesOf(name) * (1 - usedCount / count);
  });
  return bytes;
}

function expertMatrices({ feedForward }: LayerTensors): MatrixTensor[] {
  if (feedForward?.kind !== "experts") return [];
  const { experts, shared, latent } = feedForward;
  const neurons = [...experts, ...shared === null ? [] : [shared]].flatMap(denseMatrices);
  return latent === undefined ? neurons : [...neurons, latent.down, latent.up];
}

function headMatrices(
  { query, key, value, latent, attentionOutput, attentionGate, stateSpace }: LayerTensors,
): MatrixTensor[] {
  // The value of latent attention is a part of its key.
  const rest = latent === null ? [value] : latentMatrices(latent);
  const heads = [query, key, ...rest, attentionOutput, attentionGate?.gate.matrix ?? null]
    .filter((each) => each !== null);
  return stateSpace === null ? heads : [...heads, ...stateMatrices(stateSpace)];
}

function neuronMatrices({ feedForward }: LayerTensors): MatrixTensor[] {
  return feedForward?.kind === "dense" ? denseMatrices(feedForward) : [];
}

/** Rows of a step, as if none shared bytes, and what comes back of them. */
function activationBytes(of: DescribedModel, options: LoadOptions): number {
  const { config } = of.model;
  const { embeddingLength, headCount, headCountKv, headDim, feedForwardLength } = config;
  const experts = hasExperts(of, options) ? config.experts : null;
  const ofExperts = experts === null
    ? 0
    : experts.usedCount * (3 * experts.feedForwardLength + embeddingLength);
  const floats = 4 * embeddingLength + (2 * headCount + 2 * headCountKv) * headDim +
    3 * feedForwardLength + ofExperts;
  return 4 * stepTokens(of, options) * floats;
}

/** The most tokens of a step: of an encoder a text is one. */
function stepTokens({ model }: Pick<DescribedModel, "model">, options: LoadOptions): number {
  if (model.config.isEncoder) return contextLengthFor(model, options);
  return options.chunkTokens ?? CHUNK_TOKENS_OF_LONG_STEPS;
}
