/**
 * A model's units and how a neuron of each lies in a bundle: follows from the tensors' types and
 * shapes, and from nothing else. Knows no files.
 */
import { alignUp, check } from "../base/check.ts";
import { UnsupportedModelError } from "../base/errors.ts";
import type { GgufTensor } from "../gguf/types.ts";
import type { DenseTensors, MatrixTensor, ModelDescription } from "../model/types.ts";
import {
  byColumnsRowBytes,
  columnQuantBytes,
  columnsOfPiece,
  isWeightType,
  layoutByNeuron,
  packedRowBytes,
  type WeightType,
} from "../rank/plan/weight_types.ts";
import type { BundlePart, BundleUnit } from "./types.ts";

/** A unit without its place in a file and the order of its neurons. */
export type UnitShape = Omit<
  BundleUnit,
  "offsetBytes" | "factorsOffsetBytes" | "order" | "rates"
>;

/** Where a unit's weights come from. */
export interface UnitSource extends Pick<BundleUnit, "layer" | "expert"> {
  readonly tensors: DenseTensors;
}

/** More are not worth it: parts of a unit that ranks can take whole. */
const STRIPES_MAX = 16;
/** Neurons that share factors of down, at least: stripes are multiples. */
const BLOCK_NEURONS = 32;

type Tensors = ReadonlyMap<string, GgufTensor>;

/**
 * Of a model that can be packed: by layer, then by expert, the shared one last.
 * @throws {UnsupportedModelError} when no layer has neurons, or gates depend on one another.
 */
export function unitSources(model: ModelDescription): UnitSource[] {
  const obstacle = unitObstacle(model);
  if (obstacle !== null) throw new UnsupportedModelError(obstacle);
  return listUnits(model);
}

/** The same of any model; none where layers have no neurons. */
export function listUnits({ tensors }: ModelDescription): UnitSource[] {
  return tensors.layers.flatMap(({ feedForward }, layer): UnitSource[] => {
    if (feedForward === null) return [];
    if (feedForward.kind === "dense") return [{ layer, expert: null, tensors: feedForward }];
    const { experts, shared } = feedForward;
    return [
      ...experts.map((tensors, expert) => ({ layer, expert, tensors })),
      ...shared === null ? [] : [{ layer, expert: "shared" as const, tensors: shared }],
    ];
  });
}

/** Why a packed file could not bring its neurons one by one; null: nothing says so. */
export function unitObstacle(model: ModelDescription): string | null {
  if (model.config.isEncoder) {
    return "Cannot sort this model's neurons for a packed file: it is an encoder, which computes " +
      "a whole text at once by all of them: use the .gguf file as it is";
  }
  if (model.config.fill) {
    return "Cannot sort this model's neurons for a packed file: it fills in a text, all of which " +
      "it computes at once by all of them: use the .gguf file as it is";
  }
  if (model.config.source) {
    return "Cannot sort this model's neurons for a packed file: it reads a source at once, by " +
      "all neurons of its first layers: use the .gguf file as it is";
  }
  if (model.config.layers.some(({ gateCutoff }) => gateCutoff !== undefined)) {
    return "Cannot sort this model's neurons for a packed file: where its gates are cut off " +
      "depends on all gates of a layer, and a packed file brings them one by one: use the .gguf " +
      "file as it is";
  }
  if (model.config.layers.some(({ block }) => block !== undefined)) {
    return "Cannot sort this model's neurons for a packed file: its layers are used several " +
      "times, and a packed file would have them as often: use the .gguf file as it is";
  }
  if (model.config.feedForward.softCaps !== undefined) {
    return "Cannot sort this model's neurons for a packed file: its neurons are capped, which is " +
      "computed of whole blocks only: use the .gguf file as it is";
  }
  if (listUnits(model).length > 0) return null;
  return "Cannot sort this model's neurons for a packed file: its layers have none, all of it is " +
    "read for every token: use the .gguf file as it is";
}

/**
 * How the unit's neurons lie.
 * @throws {UnsupportedModelError} when a tensor has no kernels, or none that can leave out single
 *   neurons.
 */
export function unitShape(source: UnitSource, tensors: Tensors, alignBytes: number): UnitShape {
  const { layer, expert, tensors: { gate, up, down, isDownTransposed } } = source;
  const neurons = up.rows;
  const gatePart = gate === null ? null : rowPart(gate, tensors, 0);
  const gateBytes = gatePart?.sizeBytes ?? 0;
  const upPart = rowPart(up, tensors, gateBytes);
  const type = typeOf(down.tensor, tensors);
  const width = isDownTransposed ? down.columns : down.rows;
  const downLayout = isDownTransposed ? "neurons" : layoutByNeuron(type, width);
  if (downLayout === null) throw notByNeuron(down.tensor, type, width);
  const downPart: BundlePart = {
    type,
    tensor: down.tensor,
    offsetBytes: upPart.offsetBytes + upPart.sizeBytes,
    sizeBytes: downLayout === "columns"
      ? columnQuantBytes(type, width)
      : packedRowBytes(type, width),
  };
  const isBlocked = downLayout === "columns";
  return {
    layer,
    expert,
    neurons,
    stripes: stripeCount(neurons, isBlocked ? columnsOfPiece(type) : BLOCK_NEURONS),
    gate: gatePart,
    up: upPart,
    down: downPart,
    downLayout,
    restOffsetBytes: gateBytes - gateBytes % alignBytes,
    bundleBytes: alignUp(downPart.offsetBytes + downPart.sizeBytes, alignBytes),
    factorsSizeBytes: isBlocked
      ? byColumnsRowBytes(type, neurons) * width - neurons * downPart.sizeBytes
      : 0,
  };
}

/** Whether their neurons can come one by one: gates, or predictors of these, name who fires. */
export function haveGates(units: readonly Pick<UnitShape, "gate">[]): boolean {
  return units.some(({ gate }) => gate !== null);
}

/** "layer 3", "layer 3, expert 5": for messages. */
export function nameOfUnit({ layer, expert }: Pick<BundleUnit, "layer" | "expert">): string {
  if (expert === null) return `layer ${layer}`;
  return `layer ${layer}, ${expert === "shared" ? "shared expert" : `expert ${expert}`}`;
}

function rowPart(matrix: MatrixTensor, tensors: Tensors, offsetBytes: number): BundlePart {
  const { tensor, columns } = matrix;
  const type = typeOf(tensor, tensors);
  return { type, tensor, offsetBytes, sizeBytes: packedRowBytes(type, columns) };
}

function stripeCount(neurons: number, block: number): number {
  let stripes = STRIPES_MAX;
  while (stripes > 1 && neurons % (stripes * block) !== 0) stripes /= 2;
  return stripes;
}

function typeOf(name: string, tensors: Tensors): WeightType {
  const tensor = tensors.get(name);
  check(tensor !== undefined, `tensor ${name} was checked to exist`);
  if (isWeightType(tensor.type)) return tensor.type;
  throw new UnsupportedModelError(
    `Cannot pack tensor "${name}": its type ${tensor.type} is not supported yet: ${QUANTIZE}`,
  );
}

function notByNeuron(name: string, type: string, rows: number): UnsupportedModelError {
  return new UnsupportedModelError(
    `Cannot pack tensor "${name}": single neurons cannot be read from ${rows} rows of ` +
      `${type}: ${QUANTIZE}`,
  );
}

const QUANTIZE = "make a file of another type first, with `quantize MODEL OUT --type Q4_0` " +
  "(or Q5_0, Q8_0, Q4_K, Q6_K)";
