/**
 * Convolutions over the grid of a tower's rows, in a plan: kernels, whole on every rank, and the
 * planes between them. Knows nothing of what reads them.
 */
import { alignUp } from "../../base/check.ts";
import { FLOAT_ROW_PAD_WEIGHTS, SUPERBLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import type { GridConvolution, GridConvolutionTensors } from "../../model/grid_convolutions.ts";
import { CONVOLVED_ROWS } from "./convolved_rows.ts";
import type { Placer } from "./plan_layer.ts";
import { norm } from "./plan_norm.ts";
import type { MatrixPlan, NormPlan } from "./plan_types.ts";
import type { KernelSizes } from "./plan_workspace.ts";
import { RegionPlaces } from "./region_places.ts";

export interface ConvolutionsShare {
  readonly config: readonly GridConvolution[];
  readonly tensors: readonly GridConvolutionTensors[];
  /** Most rows of a step. */
  readonly rowsMax: number;
}

/** Bytes behind where the region begins. */
export interface ConvolutionPlaces {
  /** f32 [places, stride]: what they give, in turns. */
  readonly planes: readonly [number, number];
  /** f32 [CONVOLVED_ROWS, columns] and what a product reads behind them; and as q8 tiles. */
  readonly windows: number;
  readonly windowsQ8: number;
}

export interface ConvolutionsPlan {
  readonly kernels: readonly { readonly matrix: MatrixPlan; readonly norm: NormPlan | null }[];
  readonly at: ConvolutionPlaces;
  /** Numbers of each plane, and of all windows. */
  readonly planeFloats: readonly [number, number];
  readonly windowFloats: number;
}

export function planConvolutions(
  place: Placer,
  share: ConvolutionsShare,
  sizes: KernelSizes,
): ConvolutionsPlan {
  const { at, planeFloats, windowFloats } = layOut(share, sizes);
  return {
    kernels: share.tensors.map(({ matrix, norm: own }) => ({
      matrix: place.matrix(matrix, {}),
      norm: norm(place, own),
    })),
    ...{ at, planeFloats, windowFloats },
  };
}

/** What they take of a step's workspace. */
export function convolutionsBytes(share: ConvolutionsShare | null, sizes: KernelSizes) {
  return share === null ? {} : { "projector.grid": layOut(share, sizes).bytes };
}

/** From one row to the next of what a convolution gives. */
export function planeStride(channels: number): number {
  return alignUp(channels, SUPERBLOCK_WEIGHTS);
}

function layOut({ config, tensors, rowsMax }: ConvolutionsShare, sizes: KernelSizes) {
  const planes: [number, number] = [0, 0];
  let places = rowsMax, columns = 0;
  tensors.forEach(({ matrix }, i) => {
    // A row and a column of an odd side are kept, too.
    if (config[i].stride > 1) places = Math.min(places, Math.ceil(places / 2) + 1);
    planes[i % 2] = Math.max(planes[i % 2], places * planeStride(matrix.rows));
    columns = Math.max(columns, matrix.columns);
  });
  const windowFloats = CONVOLVED_ROWS * columns + FLOAT_ROW_PAD_WEIGHTS;
  const region = new RegionPlaces(), { take } = region;
  const at: ConvolutionPlaces = {
    planes: [take(4 * planes[0]), take(4 * planes[1])],
    windows: take(4 * windowFloats),
    windowsQ8: take(sizes.q8_bytes(CONVOLVED_ROWS, columns)),
  };
  return { at, bytes: region.bytes, planeFloats: planes, windowFloats };
}
