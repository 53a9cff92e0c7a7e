/**
 * Queries of windows of what some of a tower's layers leave (Granite 4 Vision): their numbers and
 * tensors, checked. Knows no layers.
 */
import { getNumbers, type GgufFile } from "../../gguf/mod.ts";
import { formatError, type Hyperparameters } from "../read/hyperparameters.ts";
import type { MatrixTensor } from "../types.ts";
import type { ProjectorConfig, ProjectorTensors } from "../vision_types.ts";
import type { LayerQueriesTensors } from "../window_queries.ts";
import { QUERIES_EPSILON, readQueriesBlock } from "./read_queries_block.ts";
import { biasedMatrix, readNorm, type TowerReader } from "./read_tower.ts";

/** Numbers of a head that asks: no file says them. */
const HEAD_DIM = 64;
/** More than any file has: parts of a row, and rows on a side of a window. */
const [PARTS_MAX, WINDOW_SIDE_MAX] = [64, 64];
/** Rows of a block on a side where one of them is taken. */
const TAKEN_SIDE = 2;
const LAYERS = "clip.vision.feature_layer";
const OFFSETS = "clip.vision.projector.spatial_offsets";

/** Rows on a side of a window that queries ask, and of a block of it, of which each has one. */
export interface AskedWindows {
  readonly windowSide: number;
  readonly blockSide: number;
}

/** @throws {ModelFormatError} when they make no whole blocks. */
export function askedWindows(keys: Hyperparameters): AskedWindows {
  const windowSide = keys.integer("projector.window_side", { min: 1, max: WINDOW_SIDE_MAX });
  const queries = keys.integer("projector.query_side", { min: 1, max: windowSide });
  if (windowSide % queries === 0) return { windowSide, blockSide: windowSide / queries };
  throw keys.wrong("projector.query_side", `a divisor of a window's side, ${windowSide}`);
}

/**
 * Layers whose outcomes are asked, a part of a row each, of `blockCount`.
 * @throws {ModelFormatError} when there is none, or one is not there.
 */
export function askedLayers(file: GgufFile, blockCount: number): readonly number[] {
  const layers = Array.from(getNumbers(file.metadata, LAYERS));
  const isLayer = (layer: number) => Number.isInteger(layer) && layer >= 0 && layer < blockCount;
  if (layers.length > 0 && layers.length <= PARTS_MAX && layers.every(isLayer)) return layers;
  throw formatError(
    file,
    `Cannot use metadata "${LAYERS}": it must be 1 to ${PARTS_MAX} layers from 0 to ` +
      `${blockCount - 1}: get the file again or convert the model again`,
  );
}

/** The projector of a kind that asks layers. */
export function readLayerQueries(
  keys: Hyperparameters,
  reader: TowerReader,
): { readonly config: ProjectorConfig; readonly tensors: ProjectorTensors } {
  const { file, checker, width, kind } = reader;
  if (width % HEAD_DIM !== 0) {
    throw keys.wrong("embedding_length", `a multiple of ${HEAD_DIM}, for heads of queries`);
  }
  const { windowSide, blockSide } = askedWindows(keys);
  const layers = askedLayers(file, keys.integer("block_count", { min: 1 }));
  const taken = takenRows(file, { count: layers.length, blockSide });
  const numbers = {
    ...{ rows: windowSide ** 2, queryCount: (windowSide / blockSide) ** 2, width },
    ...{ headDim: HEAD_DIM, epsilon: QUERIES_EPSILON, activation: "geluErf" as const },
  };
  const rows = checker.rowCount(`${partOf(0)}linear.weight`) ?? 1;
  const matrices = layers.map((_, part): MatrixTensor =>
    biasedMatrix(reader, `${partOf(part)}linear`, { rows, columns: width })
  );
  const parts = layers.map((_, part) => readPart(reader, partOf(part), numbers));
  checker.leave(`${kind.lastNorm}.weight`, `${kind.lastNorm}.bias`);
  return {
    config: {
      ...{ lacksLastNorm: true, mergedRows: blockSide ** 2, merge: "concat" },
      ...{ norm: null, activation: null },
      layerQueries: layers.map((layer, part) => ({ ...numbers, layer, taken: taken[part] })),
      outputLength: rows * layers.length,
    },
    tensors: {
      ...{ norm: null, first: matrices[0], second: null, layerQueries: parts },
      ...parts.length > 1 && {
        deep: matrices.slice(1).map((first) => ({ norm: null, first, second: null })),
      },
    },
  };
}

function partOf(part: number): string {
  return `v.proj_blk.${part}.`;
}

/** Of each part the row of a block that is taken, or null: the mean. */
function takenRows(
  file: GgufFile,
  { count, blockSide }: { readonly count: number; readonly blockSide: number },
): readonly (number | null)[] {
  const offsets = Array.from(getNumbers(file.metadata, OFFSETS));
  const most = blockSide === TAKEN_SIDE ? TAKEN_SIDE ** 2 - 1 : -1;
  const isSound = (offset: number) => Number.isInteger(offset) && offset >= -1 && offset <= most;
  if (offsets.length === count && offsets.every(isSound)) {
    return offsets.map((offset) => offset < 0 ? null : offset);
  }
  throw formatError(
    file,
    `Cannot use metadata "${OFFSETS}": it must be ${count} numbers, one for each of ` +
      `"${LAYERS}", from -1 to ${most}: get the file again or convert the model again`,
  );
}

function readPart(
  reader: TowerReader,
  at: string,
  { rows, queryCount, width }: Readonly<Record<"rows" | "queryCount" | "width", number>>,
): LayerQueriesTensors {
  const { checker } = reader;
  return {
    norm: readNorm(reader, `${at}norm`, width),
    positions: checker.matrix(`${at}img_pos`, { rows, columns: width }),
    queries: checker.matrix(`${at}query`, { rows: queryCount, columns: width }),
    queryNorm: readNorm(reader, `${at}post_norm`, width),
    blocks: [readQueriesBlock(reader, at)],
  };
}
