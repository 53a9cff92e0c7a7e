/**
 * Plans of what only some models have: inputs that tokens give layers, experts with norms of their
 * own, and what makes rows of images' patches. Knows shards and tensors.
 */
import { check } from "../../base/check.ts";
import { planSubsampling } from "./plan_conformer.ts";
import type { GgufTensor } from "../../gguf/types.ts";
import { rowBytes } from "../../model/dtypes.ts";
import type {
  ApartTensors,
  LayerTensors,
  MatrixTensor,
  ModelDescription,
  ModelTensors,
} from "../../model/types.ts";
import type { Placer } from "./plan_layer.ts";
import { type NetworkShare, planNetwork } from "./plan_network.ts";
import { norm } from "./plan_norm.ts";
import type { MatrixPlan, NormPlan, RankPlan, VectorPlan } from "./plan_types.ts";
import type { KernelSizes } from "./plan_workspace.ts";
import { lengthOf, type Range, scale, type Shard } from "./shard.ts";

/** What a layer makes of what a token gives it: a rank's share, as of neurons. */
export interface LayerInputPlan {
  /** Own rows, [own numbers, d]. */
  readonly gate: MatrixPlan;
  /** Own columns, [d, own numbers]. */
  readonly output: MatrixPlan;
  readonly norm: NormPlan;
}

/**
 * What tokens give layers. A rank makes it for some layers: it reads their part of a token's row in
 * the file, where the table stays.
 */
export interface TokenInputsPlan {
  readonly layers: Range;
  /** Numbers of a layer's input. */
  readonly length: number;
  /** Of each layer's input, those that this rank's share of layers reads. */
  readonly numbers: Range;
  /** Own layers' rows, [own layers · length, d]. */
  readonly projection: MatrixPlan;
  /** [length]. */
  readonly norm: VectorPlan;
  readonly table: RowPartsInFile;
}

/** Where a part of each row is in a tensor. */
export interface RowPartsInFile {
  readonly tensor: string;
  readonly rowBytes: number;
  readonly startBytes: number;
  readonly sizeBytes: number;
}

/** Norms of what chooses experts, of the shared one, and of what it and the others give. */
export interface ApartPlan {
  readonly routerNorm: NormPlan;
  readonly sharedNorm: NormPlan;
  readonly sharedPostNorm: NormPlan;
  readonly expertsPostNorm: NormPlan;
}

export function planApart(place: Placer, tensors: ApartTensors | null): ApartPlan | null {
  return tensors && {
    routerNorm: norm(place, tensors.routerNorm),
    sharedNorm: norm(place, tensors.sharedNorm),
    sharedPostNorm: norm(place, tensors.sharedPostNorm),
    expertsPostNorm: norm(place, tensors.expertsPostNorm),
  };
}

export function planLayerInput(
  place: Placer,
  tensors: LayerTensors["input"],
  { inputNumbers: own }: Shard,
): LayerInputPlan | null {
  return tensors && {
    gate: place.matrix(tensors.gate, { rows: own }),
    output: place.matrix(tensors.output, { columns: own }),
    norm: norm(place, tensors.norm),
  };
}

export function planTokenInputs(
  place: Placer,
  { config: { layerInputLength: length }, tensors: { tokenInputs } }: ModelDescription,
  { shard, tensors }: { shard: Shard; tensors: ReadonlyMap<string, GgufTensor> },
): TokenInputsPlan | null {
  if (tokenInputs === null) return null;
  const { inputLayers: layers } = shard;
  const table = tensors.get(tokenInputs.table.tensor);
  check(table !== undefined, "the table was checked");
  const columns = scale(layers, length);
  return {
    ...{ layers, length, numbers: shard.inputNumbers },
    projection: place.matrix(tokenInputs.projection, { rows: columns }),
    norm: place.vector(tokenInputs.norm),
    table: {
      tensor: table.name,
      rowBytes: rowBytes(table.type, tokenInputs.table.columns),
      startBytes: rowBytes(table.type, columns.start),
      sizeBytes: rowBytes(table.type, lengthOf(columns)),
    },
  };
}

type OfPatches = Pick<
  RankPlan,
  | ("secondFrame" | "secondConvolution" | "planeMatrices" | "subsampling" | "network")
  | ("patchNorm" | "pixelNorm")
>;

/** What makes rows of patches beside the first matrix; rows: the rank's of that. */
export function planPatches(
  place: Placer,
  tensors: ModelTensors,
  { rows, share, sizes }: {
    readonly rows: Range;
    /** Null: the model is no tower. */
    readonly share: { readonly network: NetworkShare | null } | null;
    readonly sizes: KernelSizes;
  },
): OfPatches {
  const { secondFrame, secondConvolution, planeMatrices = [], patchNorm, pixelNorm } = tensors;
  const isLeader = rows.end > 0;
  const own = (matrix?: MatrixTensor) =>
    matrix === undefined ? null : place.matrix(matrix, { rows });
  return {
    secondFrame: own(secondFrame),
    secondConvolution: own(secondConvolution),
    planeMatrices: planeMatrices.map((matrix) =>
      place.matrix(matrix, { rows: { start: 0, end: isLeader ? matrix.rows : 0 } })
    ),
    subsampling: planSubsampling(place, tensors, rows),
    network: share?.network ? planNetwork(place, share.network, sizes) : null,
    patchNorm: norm(place, patchNorm ?? null),
    pixelNorm: norm(place, pixelNorm ?? null),
  };
}
