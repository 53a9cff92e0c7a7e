/** What of towers a GPU cannot do yet, told before anything is loaded. */
import { weightFormat } from "../../../gpu/planning.ts";
import type { GgufTensor } from "../../gguf/types.ts";
import type { MatrixTensor, ModelDescription } from "../../model/types.ts";
import { gpuObstacle } from "./obstacle.ts";

/** The most workgroups of a grid's dimension, everywhere: a row has one. */
const ROWS_MAX = 65_535;
/** What must be even for kernels that read four floats at a time. */
const WIDTH_UNIT = 4;

/** Why a GPU can have nothing of this tower; null: it can have all of it. */
export function towerObstacle(
  model: ModelDescription,
  file: { readonly tensors: ReadonlyMap<string, GgufTensor> },
): string | null {
  const {
    config: { patches, projector, layers, ropes, limitsProducts, embeddingLength, feedForward },
    tensors,
  } = model;
  const { areConvolved, areRows, network, plane, subsampling } = patches!;
  if (network) return "networks of convolutions are the threads'";
  if (projector!.columns) return "towers in two parts are the threads'";
  if (projector!.convolutions) return "convolutions over rows of images are the threads'";
  const hears = areConvolved || areRows || plane || subsampling || model.config.relative;
  if (hears) return "towers that hear are the threads'";
  if (limitsProducts) return "products that have limits are the threads'";
  const turnsByHalves = layers.some(({ secondRope }) => secondRope !== undefined) ||
    ropes.some(({ start = 0 }) => start > 0);
  if (turnsByHalves) return "heads of images that are turned in parts are the threads'";
  if (tensors.projector!.standard !== undefined) {
    return "rows of images that are made alike by a mean and gains are the threads'";
  }
  if (layers.length === 0) return "towers without layers are the threads'";
  if (tensors.patchNorm) return "patches that are normalised first are the threads'";
  if (projector!.resampler ?? projector!.layerQueries) {
    return "queries that rows are asked by are the threads'";
  }
  if (projector!.rowStages) return "rows that are changed before they are merged are the threads'";
  if (projector!.fold) return "rows that become fewer between layers are the threads'";
  if ([projector!.activation, feedForward.activation].includes("geluErf")) {
    return "gelu by the error function is the threads'";
  }
  if (tensors.projector!.gate !== undefined) return "gates of projectors are the threads'";
  if (layers.some(({ slidingWindow }) => slidingWindow > 0)) {
    return "windows along lines and columns of images are the threads'";
  }
  if (layers.some(({ windowSide }) => windowSide !== undefined)) {
    return "windows that edges of images cut off are the threads'";
  }
  if (tensors.projector!.frame) return "rows around those of images are the threads'";
  const { stages = [] } = projector!;
  // One that only makes a row of merged ones, and nothing between them.
  const arePlain =
    stages.every(({ epsilon, activation }) => epsilon === null && activation === null) &&
    tensors.projector!.stages?.every(({ matrix: { rows } }) => rows === embeddingLength);
  if (stages.length > 1 || stages.length === 1 && !arePlain) {
    return "stages of projectors are the threads'";
  }
  if (patches!.countMax > ROWS_MAX) {
    return `images of ${patches!.countMax} patches are the threads'`;
  }
  const { first, second, stages: joins = [], deep = [], isFirstTransposed } = tensors.projector!;
  const widths = [patches!.length, projector!.outputLength / (1 + deep.length), first.rows];
  const odd = widths.find((width) => width % WIDTH_UNIT !== 0);
  if (odd !== undefined) return `a width of ${odd} is no multiple of ${WIDTH_UNIT}`;
  const matrices = [
    tensors.tokenEmbedding,
    ...isFirstTransposed ? [] : [first],
    ...[second, ...joins.map(({ matrix }) => matrix), tensors.secondFrame].filter((each) =>
      each !== undefined && each !== null
    ),
    ...deep.flatMap(({ first, second }) => [first, second ?? []].flat()),
  ];
  return matrices.map((each) => typeObstacle(each, file)).find((each) => each !== null) ??
    gpuObstacle({ model, file }, {});
}

function typeObstacle(
  { tensor, columns }: MatrixTensor,
  file: { readonly tensors: ReadonlyMap<string, GgufTensor> },
): string | null {
  const { type } = file.tensors.get(tensor)!;
  if (weightFormat(type, columns) !== undefined) return null;
  return `tensor "${tensor}" has type ${type}, of which a GPU has no rows of ${columns}`;
}
