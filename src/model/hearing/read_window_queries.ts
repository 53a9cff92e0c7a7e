/** Queries of windows behind a tower that hears: their numbers and tensors, checked. */
import { formatError, type Hyperparameters } from "../read/hyperparameters.ts";
import { QUERIES_EPSILON, readQueriesBlock } from "../vision/read_queries_block.ts";
import { readNorm, type TowerReader } from "../vision/read_tower.ts";
import type {
  WindowQueriesBlock,
  WindowQueriesConfig,
  WindowQueriesTensors,
} from "../window_queries.ts";

/** More than any file has. */
const WINDOW_MAX = 1024;
const HEADS_MAX = 65_536;

/** As the file has them. */
export interface WindowNumbers {
  readonly rows: number;
  readonly queryCount: number;
  readonly heads: number;
}

/** @throws {ModelFormatError} when one is missing, or senseless. */
export function windowNumbers(keys: Hyperparameters): WindowNumbers {
  const rows = keys.integer("projector.window_size", { min: 1, max: WINDOW_MAX });
  const fewer = keys.integer("projector.downsample_rate", { min: 1, max: rows });
  const heads = keys.integer("projector.head_count", { min: 1, max: HEADS_MAX });
  return { rows, queryCount: Math.floor(rows / fewer), heads };
}

/** @throws {ModelFormatError} when a tensor is missing, or of another shape. */
export function readWindowQueries(
  reader: TowerReader,
  { heads, ...numbers }: WindowNumbers,
): { readonly config: WindowQueriesConfig; readonly tensors: WindowQueriesTensors } {
  const { checker, file, prefix, width } = reader;
  if (width % heads !== 0) {
    throw formatError(
      file,
      `Cannot use metadata "clip.audio.projector.head_count": it must be a divisor of the width, ` +
        `${width}, the file says ${heads}: get the file again or convert the model again`,
    );
  }
  const { queryCount: rows } = numbers;
  const ofBlock = new RegExp(`^${prefix}\\.proj_blk\\.(\\d+)\\.`);
  const last = [...file.tensors.keys()].reduce(
    (most, name) => Math.max(most, Number(ofBlock.exec(name)?.[1] ?? 0)),
    0,
  );
  const blocks: WindowQueriesBlock[] = [];
  // The first one that is missing ends it.
  while (blocks.length <= last) {
    blocks.push(readQueriesBlock(reader, `${prefix}.proj_blk.${blocks.length}.`));
  }
  return {
    config: { ...numbers, width, headDim: width / heads, epsilon: QUERIES_EPSILON },
    tensors: {
      queries: checker.matrix(`${prefix}.proj_query`, { rows, columns: width }),
      queryNorm: readNorm(reader, `${prefix}.proj_norm`, width),
      blocks,
    },
  };
}
