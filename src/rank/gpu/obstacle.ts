/** What a GPU rank cannot do yet, told before anything is loaded. */
import { weightFormat } from "../../../gpu/mod.ts";
import type { GgufTensor } from "../../gguf/types.ts";
import { dtypeByName } from "../../model/dtypes.ts";
import type { ModelDescription } from "../../model/types.ts";

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
    readonly quiet?: unknown;
    readonly predictor?: string;
  },
): string | null {
  const { model, file } = of;
  if (of.packed !== undefined && of.packed !== null) {
    return "the neurons of a packed file lie as threads read them; a GPU takes the .gguf file " +
      "that it was packed from";
  }
  if ((options.observe?.length ?? 0) > 0) return "neurons that are observed are the threads'";
  if (options.quiet !== undefined) return "quiet neurons are left out by threads only";
  if (options.predictor === "on") return "predictors are asked by threads only";
  return modelObstacle(model) ?? layersObstacle(model) ?? weightsObstacle(model, file);
}

/** Of the model as a whole. */
function modelObstacle({ config, tensors }: ModelDescription): string | null {
  if (config.alibiMaxBias > 0) return "scores have slopes by threads only";
  if (config.projectionClamp > 0) return "queries, keys and values are cut off by threads only";
  if (tensors.embeddingNorm !== null) return "embeddings are normalised by threads only";
  if (tensors.outputNorm.weight === null) return "norms have no weights by threads only";
  if (config.layers.some(({ attentionChunk }) => attentionChunk !== undefined)) {
    return "attention is to chunks by threads only";
  }
  if (config.norm.kind === "rms" && tensors.outputNorm.bias !== null) {
    return "norms by root mean squares have biases by threads only";
  }
  if (config.latent !== null) return "keys and values are made of latents by threads only";
  return null;
}

/** Of what layers have. */
function layersObstacle({ config, tensors }: ModelDescription): string | null {
  if (tensors.layers.some(({ innerNorm }) => innerNorm !== undefined)) {
    return "norms inside of blocks are the threads'";
  }
  if (config.normalizesTurnedHeads) {
    return "heads are normalised behind their rotation by threads only";
  }
  if (config.stateSpace !== null) return "layers that keep states of a text are the threads'";
  if (config.feedForward.activation === "xielu") return "xIELU is computed by threads only";
  if (config.gatesAttention) return "heads are gated by threads only";
  if (config.layers.some(({ convolutionTaps }) => convolutionTaps !== undefined)) {
    return "layers that convolve are the threads'";
  }
  if (config.layers.some(({ queryRope }) => queryRope !== undefined)) {
    return "queries are lengthened by their positions by threads only";
  }
  if (config.altUp !== null) return "several residual streams are the threads'";
  if (config.layers.some(({ shape }) => shape !== undefined)) {
    return "layers whose heads differ are the threads'";
  }
  return null;
}

/** Of weights and their widths. */
function weightsObstacle(
  { config, tensors }: ModelDescription,
  file: { readonly tensors: ReadonlyMap<string, GgufTensor> },
): string | null {
  const widths = [config.embeddingLength, config.headDim, config.feedForwardLength];
  const odd = widths.find((width) => width % WIDTH_UNIT !== 0);
  if (odd !== undefined) return `a width of ${odd} is no multiple of ${WIDTH_UNIT}`;
  const matrices = tensors.layers.flatMap(({ query, key, value, attentionOutput, feedForward }) => [
    ...[query, key, value, attentionOutput].filter((each) => each !== null),
    ...feedForward?.kind === "dense"
      ? [feedForward.up, feedForward.down, ...feedForward.gate === null ? [] : [feedForward.gate]]
      : [],
  ]);
  for (const { tensor: name, columns } of [...matrices, tensors.output]) {
    const { type } = file.tensors.get(name)!;
    if (weightFormat(type, columns) !== undefined) continue;
    const known = dtypeByName(type) === undefined ? "unknown" : "not for GPUs yet";
    return `tensor "${name}" has type ${type}, which is ${known}`;
  }
  return null;
}
