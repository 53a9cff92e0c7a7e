/**
 * Where a tower's rows become fewer between two layers: MiniCPM-V 4.6. What is there is a layer of
 * attention within each block of patches, without neurons, and behind it what makes one row of a
 * block. Knows names and shapes; no images.
 */
import { getNumbers } from "../../gguf/mod.ts";
import type { Hyperparameters } from "../read/hyperparameters.ts";
import type { LayerTensors } from "../types.ts";
import type { DeepProjectorTensors } from "../vision_types.ts";
import { biasedMatrix, readAttention, readNorm, type TowerReader } from "./read_tower.ts";

const AT = "v.vit_merger.";
const SIDE = 2;
/** Of blocks that become one row: with what is behind the layers, and of that alone. */
const [BOTH, BEHIND] = [4, 2];

/** Patches on a side of a block that becomes one row between layers; 1: none does. */
export function readFoldSide(
  keys: Hyperparameters,
  { kind }: TowerReader,
  mergeSide: number,
): number {
  if (!kind.foldsRows) return 1;
  if (mergeSide === BOTH) return SIDE;
  if (mergeSide === BEHIND) return 1;
  throw keys.wrong(kind.side!.key, `${BEHIND} or ${BOTH}`);
}

/** Number of the added layer, of which there is one more than the file counts. */
export function readFoldPlace(
  keys: Hyperparameters,
  { file }: TowerReader,
  blockCount: number,
): number {
  const key = "wa_layer_indexes";
  const [before = 0] = keys.has(key) ? getNumbers(file.metadata, `clip.vision.${key}`) : [];
  const isLayer = Number.isInteger(before) && before >= 0 && before < blockCount;
  if (!isLayer) throw keys.wrong(key, `a layer from 0 to ${blockCount - 1}`);
  return before + 1;
}

/** How the added layer is within a tower's: patches of a block follow one another. */
export const FOLDING_LAYER = { slidingWindow: 0, rope: null, attentionChunk: SIDE * SIDE } as const;

export function readFoldingLayer(reader: TowerReader): LayerTensors {
  return readAttention(reader, AT);
}

/** What makes one row of a block. */
export function readFold(
  reader: TowerReader,
): { readonly rows: number; readonly tensors: DeepProjectorTensors } {
  const { checker, width: d } = reader;
  const rows = SIDE * SIDE;
  const neurons = checker.rowCount(`${AT}ds_ffn_up.weight`) ?? 1;
  const columns = rows * d;
  return {
    rows,
    tensors: {
      norm: readNorm(reader, `${AT}ds_ln`, columns),
      first: biasedMatrix(reader, `${AT}ds_ffn_up`, { rows: neurons, columns }),
      second: biasedMatrix(reader, `${AT}ds_ffn_down`, { rows: d, columns: neurons }),
    },
  };
}

/** Files that fold nothing may have its tensors. */
export function tensorsOfFold({ file }: TowerReader): string[] {
  return [...file.tensors.keys()].filter((name) => name.startsWith(AT));
}
