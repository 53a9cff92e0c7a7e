/**
 * How the down projections of a model lie, and what that asks of loading: pure decisions over
 * tensors' types and the model's activation. Knows nothing of arenas.
 */
import { check } from "../../base/check.ts";
import { UnsupportedModelError } from "../../base/errors.ts";
import type { AddedProduct, GgufTensor } from "../../gguf/types.ts";
import { COLUMN_GROUP_ROWS } from "../../memory/column_layout.ts";
import { rowBytes } from "../../model/dtypes.ts";
import { isSilentKind } from "../../model/silent_kinds.ts";
import type { DenseTensors, LayerTensors, ModelDescription } from "../../model/types.ts";
import type { MatrixPart } from "./plan_layer.ts";
import type { MatrixLayout } from "./plan_types.ts";
import type { UnitPlan } from "./plan_units.ts";
import { lengthOf, type Range } from "./shard.ts";
import {
  canLieByColumns,
  isHalf,
  isQuantType,
  isWeightType,
  layoutByNeuron,
  WEIGHT_TYPES,
  type WeightType,
  writtenOut,
} from "./weight_types.ts";

/** A matrix for which a layout is chosen: which tensor, and how many outputs it has. */
interface Placed {
  readonly tensor: string;
  readonly rows: number;
}

export class MatrixLayouts {
  /** Neurons of some layer are silent as a rule, or by a threshold. */
  readonly isSilent: boolean;
  /** Silent neurons are left out. */
  readonly isSparse: boolean;
  /** What products read is summed up. */
  readonly measuresInputs: boolean;
  /** Rows of codebooks' types are written out. */
  readonly #writesOut: boolean;
  readonly #tensors: ReadonlyMap<string, GgufTensor>;
  readonly #blocks: readonly (DenseTensors & { readonly isSilent: boolean })[];
  readonly #isSilentIn: readonly boolean[];
  readonly #units: UnitPlan | null;
  readonly #hasTransposed: boolean;

  /** skips: silent neurons may be left out; hushes: so are quiet ones, of any activation. */
  constructor(
    model: ModelDescription,
    tensors: ReadonlyMap<string, GgufTensor>,
    { skips, hushes, units = null, measuresInputs = false, writesOut = false }: {
      readonly skips: boolean;
      readonly hushes: boolean;
      readonly units?: UnitPlan | null;
      readonly measuresInputs?: boolean;
      readonly writesOut?: boolean;
    },
  ) {
    this.measuresInputs = measuresInputs;
    this.#writesOut = writesOut;
    this.#units = units;
    this.#tensors = tensors;
    const { layers, projector } = model.tensors;
    this.#hasTransposed = projector?.isFirstTransposed ||
      layers.some(({ latent }) => latent?.isKeyUpTransposed);
    const areAll = hushes || isSilentKind(model.config.feedForward.activation);
    this.#isSilentIn = model.config.layers.map(({ gateCutoff }) =>
      areAll || gateCutoff !== undefined
    );
    this.#blocks = model.tensors.layers.flatMap((layer, index) =>
      blocksOf(layer).map((block) => ({ ...block, isSilent: this.#isSilentIn[index] }))
    );
    this.isSilent = this.#isSilentIn.includes(true);
    this.isSparse = this.isSilent && skips;
  }

  /** Those of a layer are. */
  isSilentIn(layer: number): boolean {
    return this.#isSilentIn[layer];
  }

  /** Floats lie neuron by neuron also where all are computed: sums have the same bits then. */
  layoutOf({ tensor, rows }: Placed, part: MatrixPart): MatrixLayout {
    const packed = part.hasSilentColumns === undefined ? null : this.#units?.layoutOf(tensor);
    if (packed) return packed;
    if (part.isTransposed) return "neurons";
    if (part.readsRelu) {
      const own = part.rows === undefined ? rows : lengthOf(part.rows);
      return canLieByColumns(this.typeOf(tensor), own) ? "columns" : "rows";
    }
    if (!part.hasSilentColumns) return "rows";
    const layout = layoutByNeuron(this.typeOf(tensor), rows);
    return layout === null || layout === "columns" && !this.isSparse ? "rows" : layout;
  }

  /** What adapters add to products with a tensor. */
  addedTo(tensor: string): readonly AddedProduct[] {
    return this.#tensors.get(tensor)?.added ?? [];
  }

  /** In how many matrices of a tensor, which may be one behind the other, these rows lie. */
  slabsOf(tensor: string, rows: Range): number {
    const { dims } = this.#tensors.get(tensor)!;
    if (dims.length <= 2 || lengthOf(rows) === 0) return 1;
    return Math.floor((rows.end - 1) / dims[1]) - Math.floor(rows.start / dims[1]) + 1;
  }

  /** True where some tensor is of halves. */
  get hasHalves(): boolean {
    return this.#tensors.values().some(({ type }) => isHalf(type));
  }

  /** True where some matrix lies neuron by neuron. */
  get hasNeurons(): boolean {
    return this.#hasTransposed ||
      this.#blocks.some(({ down, isSilent, isDownTransposed: isTransposed }) =>
        this.layoutOf(down, { hasSilentColumns: isSilent, isTransposed }) === "neurons"
      );
  }

  /** Bytes of file rows that are packed at a time: a group, where they are packed by columns. */
  get leastStagingBytes(): number {
    const downs = this.#blocks
      .filter(({ down, isSilent, isDownTransposed: isTransposed }) =>
        this.layoutOf(down, { hasSilentColumns: isSilent, isTransposed }) === "columns"
      )
      .map(({ down }) => rowBytes(this.typeOf(down.tensor), down.columns));
    return COLUMN_GROUP_ROWS * Math.max(0, ...downs);
  }

  /** Types of the downs that are cut by columns of the file. */
  get cutDownTypes(): WeightType[] {
    return this.#blocks.filter(({ isDownTransposed }) => !isDownTransposed)
      .map(({ down }) => this.typeOf(down.tensor));
  }

  /** What a matrix of the tensor is kept in. */
  keptType(tensor: string, { isWidened, isFloat }: MatrixPart, layout: MatrixLayout): WeightType {
    const type = this.typeOf(tensor);
    if (isWidened || isFloat && isQuantType(type)) return "F32";
    return this.#writesOut && layout === "rows" ? writtenOut(type) ?? type : type;
  }

  /**
   * The tensor's type.
   * @throws {UnsupportedModelError} when there are no kernels for it.
   */
  typeOf(name: string): WeightType {
    const tensor = this.#tensors.get(name);
    check(tensor !== undefined, `tensor ${name} was checked to exist`);
    if (!isWeightType(tensor.type)) {
      throw new UnsupportedModelError(
        `Cannot load tensor "${name}": its type ${tensor.type} is not supported yet: ` +
          `use a file quantised as one of ${WEIGHT_TYPES.join(", ")}`,
      );
    }
    return tensor.type;
  }
}

/** All feed-forward blocks of a layer: the dense one, or experts. */
function blocksOf({ feedForward }: LayerTensors): readonly DenseTensors[] {
  if (feedForward === null) return [];
  if (feedForward.kind === "dense") return [feedForward];
  const { experts, shared, companions = [] } = feedForward;
  return [...experts, ...shared === null ? [] : [shared], ...companions];
}
