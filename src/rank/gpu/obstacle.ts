/** What a GPU rank cannot do yet, told before anything is loaded. */
import {
  EXPERTS_MAX,
  HEAD_DIM_MAX,
  STATES_MAX,
  STREAMS_MAX,
  USED_EXPERTS_MAX,
  weightFormat,
} from "../../../gpu/planning.ts";
import type { GgufTensor } from "../../gguf/types.ts";
import { bypassLength } from "../plan/plan_alt_up.ts";
import { denseMatrices } from "../../model/dense_matrices.ts";
import { chosenKeyCount, configOf } from "../../model/layer_config.ts";
import { dtypeByName } from "../../model/dtypes.ts";
import { latentMatrices, ownKeyDim } from "../../model/latent.ts";
import { stateMatrices } from "../../model/state_matrices.ts";
import type {
  DenseTensors,
  ExpertsConfig,
  LayerTensors,
  MatrixTensor,
  ModelDescription,
} from "../../model/types.ts";

interface DescribedTensors {
  readonly model: ModelDescription;
  readonly file: { readonly tensors: ReadonlyMap<string, GgufTensor> };
}

/** What must be even for kernels that read four floats at a time. */
const WIDTH_UNIT = 4;

/** Why a GPU can have nothing of this model run in this way; null: it can. */
export function gpuObstacle(
  of: {
    readonly model: ModelDescription;
    readonly file: { readonly tensors: ReadonlyMap<string, GgufTensor> };
    readonly packed?: unknown;
  },
  options: {
    readonly observe?: readonly unknown[];
    readonly measureInputs?: boolean;
    readonly quiet?: unknown;
    readonly predictor?: string;
  },
): string | null {
  const { model, file } = of;
  if ((options.observe?.length ?? 0) > 0) return "neurons that are observed are the threads'";
  if (options.measureInputs) return "what products read is summed up by threads only";
  const hasAdded = [...file.tensors.values()].some(({ added }) => added !== undefined);
  if (hasAdded) return "adapters that requests choose are the threads'";
  if (options.quiet !== undefined) return "quiet neurons are left out by threads only";
  // Those of a packed file name what comes from the disk, which is the threads'.
  if (options.predictor === "on" && !of.packed) return "predictors are asked by threads only";
  return layersObstacle(model) ?? weightsObstacle(model, file);
}

/**
 * Why experts of a model, of which a GPU can have something, are the threads'; null: it can have
 * them, or there are none.
 */
export function expertsObstacle(of: DescribedTensors): string | null {
  if (of.model.config.experts?.companions !== undefined) {
    return "what goes along with experts is the threads'";
  }
  return sharedExpertsObstacle(of);
}

/** The same where both sides have some neurons of each, and threads what goes along with them. */
export function sharedExpertsObstacle(
  { model: { config, tensors }, file }: DescribedTensors,
): string | null {
  const { experts } = config;
  if (experts === null) return null;
  const { count, usedCount, sharedFeedForwardLength, weighsInputs } = experts;
  const lengths = config.layers.map((_, layer) => configOf(config, layer).experts)
    .map((own) => own?.feedForwardLength ?? 0);
  if (count > EXPERTS_MAX || usedCount > USED_EXPERTS_MAX) {
    return `${usedCount} of ${count} experts are too many to choose from there`;
  }
  if ([...lengths, sharedFeedForwardLength].some((width) => width % WIDTH_UNIT !== 0)) {
    return `experts' widths are no multiples of ${WIDTH_UNIT}`;
  }
  for (const { feedForward } of tensors.layers) {
    if (feedForward?.kind !== "experts") continue;
    const { experts: all, shared, latent } = feedForward;
    if ((latent?.norm ?? null) !== null) return "sums of experts are normalised by threads only";
    const blocks = [...all, ...shared === null ? [] : [shared]];
    if (config.feedForward.activation === "xielu") return "xIELU of experts is the threads'";
    if (blocks.some(({ isDownTransposed }) => isDownTransposed)) {
      return "experts' down that lies neuron by neuron is the threads'";
    }
    const typesOf = (block: DenseTensors) =>
      denseMatrices(block).map(({ tensor }) => file.tensors.get(tensor)!.type).join();
    if (all.some((expert) => typesOf(expert) !== typesOf(all[0]))) {
      return "experts of several types in a layer are the threads'";
    }
    // The router and the shared one's gate are widened, whatever they are.
    if (weighsInputs && all.flatMap(denseMatrices).some(({ bias }) => bias !== null)) {
      return "experts whose inputs are weighed and that have biases are the threads'";
    }
    const around = latent === undefined ? [] : [latent.down, latent.up];
    const obstacle = typesObstacle([...blocks.flatMap(denseMatrices), ...around], file);
    if (obstacle !== null) return obstacle;
  }
  return null;
}

/** Of what layers have. */
function layersObstacle({ config, tensors }: ModelDescription): string | null {
  const spans = tensors.layers.flatMap(({ queryNorm, keyNorm }) => [queryNorm, keyNorm]);
  if (config.normalizesTurnedHeads && spans.some((each) => each?.span === "projection")) {
    return "heads that are turned already are normalised together by threads only";
  }
  if (config.fill !== undefined) return "texts that are filled in are the threads'";
  if (config.stateSpace?.kind === "lightning") return "lightning attention is the threads'";
  if (["keyed", "added", "keyDeltas"].includes(config.stateSpace?.kind ?? "")) {
    return "states that decay key by key are the threads'";
  }
  if (config.gatedStreams !== undefined) return "residual streams that are gated are the threads'";
  if (config.compression !== undefined) return "keys that are compressed are the threads'";
  if (config.hyper !== undefined) return "residual streams that layers mix are the threads'";
  if (tensors.layers.some(({ latent, attentionGate: gate }) => latent !== null && gate !== null)) {
    return "gates of heads that latents make are the threads'";
  }
  if (config.scoreBiases !== undefined) return "biases of scores by distance are the threads'";
  if (chosenKeyCount(config) < Infinity) {
    return "keys that an indexer chooses are the threads'; contexts of at most " +
      `${chosenKeyCount(config)} tokens need no choice`;
  }
  if (tensors.layers.some(({ endNorm }) => (endNorm?.bias ?? null) !== null)) {
    return "biases of norms between passes are the threads'";
  }
  if ((config.stateSpace?.stateLength ?? 0) > STATES_MAX) {
    return `states of more than ${STATES_MAX} numbers are the threads'`;
  }
  if ((config.altUp?.streamCount ?? 0) > STREAMS_MAX) {
    return `more than ${STREAMS_MAX} residual streams are the threads'`;
  }
  const shapes = config.layers.map((_, layer) => configOf(config, layer));
  const widths = config.latent === null
    ? shapes.flatMap(({ headDim, valueDim }) => [headDim, valueDim])
    : [config.latent.length, ownKeyDim(config.latent)];
  if (widths.some((width) => width > HEAD_DIM_MAX)) {
    return `heads of more than ${HEAD_DIM_MAX} dimensions are the threads'`;
  }
  if (tensors.layers.some(({ valueNorm }) => (valueNorm?.weight ?? null) !== null)) {
    return "values are normalised by weights by threads only";
  }
  if (tensors.tokenInputs !== null && config.feedForward.activation !== "gelu") {
    return "what tokens give layers is gated by threads only";
  }
  return null;
}

/** Why a GPU that can have all of a model cannot have a part of it; null: it can. */
export function besideObstacle({ config, tensors }: ModelDescription): string | null {
  const isApart = ({ feedForward }: LayerTensors) =>
    feedForward?.kind === "experts" && feedForward.apart !== null;
  if (config.isEncoder || config.normalizesSums) {
    return "texts that are read in both directions are not shared out between a GPU and threads";
  }
  if (tensors.layers.some(({ innerNorm }) => innerNorm !== undefined)) {
    return "norms inside of blocks are not shared out between a GPU and threads";
  }
  if (config.keptStreams !== undefined) {
    return "what is kept beside the residual stream is not shared out between a GPU and threads";
  }
  if (config.layers.some(({ passEnd }) => passEnd !== undefined)) {
    return "norms between passes are not shared out between a GPU and threads";
  }
  if (config.experts?.latentLength !== undefined) {
    return "experts that read latents are not shared out between a GPU and threads";
  }
  if (config.layers.some(({ shape }) => usesOthers(shape?.experts, config.experts))) {
    return "layers of which tokens use other numbers of experts are not shared out between a GPU " +
      "and threads";
  }
  if (config.experts?.routerInput === "ownNorm") {
    return "experts that read a layer's input are not shared out between a GPU and threads";
  }
  if (tensors.layers.some(isApart)) {
    return "experts with norms of their own are not shared out between a GPU and threads";
  }
  if (config.altUp !== null) {
    return "several residual streams are not shared out between a GPU and threads";
  }
  if (config.layers.some(({ keysOf }) => keysOf !== undefined)) {
    return "layers that read others' keys are not shared out between a GPU and threads";
  }
  if (tensors.tokenInputs !== null) {
    return "what tokens give layers is not shared out between a GPU and threads";
  }
  return null;
}

function usesOthers(of: ExpertsConfig | null | undefined, others: ExpertsConfig | null): boolean {
  return of != null && of.usedCount !== others?.usedCount;
}

/** Of weights and their widths. */
function weightsObstacle(
  { config, tensors }: ModelDescription,
  file: { readonly tensors: ReadonlyMap<string, GgufTensor> },
): string | null {
  const widths = config.layers.map((_, layer) => configOf(config, layer))
    .flatMap((own) => [own.headDim, own.valueDim, own.feedForwardLength]);
  const { embeddingLength, latent, layerInputLength, stateSpace } = config;
  widths.push(embeddingLength, layerInputLength);
  widths.push(latent?.turnedDim ?? 0, stateSpace?.stepRank ?? 0, bypassLength(tensors.layers));
  const odd = widths.find((width) => width % WIDTH_UNIT !== 0);
  if (odd !== undefined) return `a width of ${odd} is no multiple of ${WIDTH_UNIT}`;
  const matrices = tensors.layers.flatMap((
    { query, key, value, latent, attentionOutput, attentionGate, stateSpace, feedForward, input },
  ) => [
    ...latent === null ? [] : latentMatrices(latent),
    ...[query, key, value, attentionOutput, attentionGate?.gate.matrix ?? null]
      .filter((each) => each !== null),
    ...stateSpace === null ? [] : stateMatrices(stateSpace),
    ...feedForward?.kind === "dense" ? denseMatrices(feedForward) : [],
    ...input === null ? [] : [input.gate, input.output],
  ]);
  const { tokenInputs, output } = tensors;
  const ofInputs = tokenInputs === null ? [] : [tokenInputs.projection];
  return typesObstacle([...matrices, ...ofInputs, output], file);
}

function typesObstacle(
  matrices: readonly MatrixTensor[],
  file: { readonly tensors: ReadonlyMap<string, GgufTensor> },
): string | null {
  for (const { tensor: name, columns } of matrices) {
    const { type } = file.tensors.get(name)!;
    if (weightFormat(type, columns) !== undefined) continue;
    const known = dtypeByName(type) === undefined ? "unknown" : "not for GPUs yet";
    return `tensor "${name}" has type ${type}, which is ${known}`;
  }
  return null;
}
