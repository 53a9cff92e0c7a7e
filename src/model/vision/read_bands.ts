/**
 * Layers that attend to so many patches before and behind each, along lines of an image or along
 * its columns (MiMo-VL): what a file says of them, checked.
 */
import { getNumbers } from "../../gguf/mod.ts";
import { formatError, type Hyperparameters } from "../read/hyperparameters.ts";
import type { LayerConfig, VectorTensor } from "../types.ts";
import type { TowerReader } from "./read_tower.ts";

const KEY = "clip.vision.wa_pattern_mode";
/** How a layer's windows are. */
const [WHOLE, LINES, COLUMNS] = [-1, 0, 1];
/** Patches on either side: more than any image has. */
const WINDOW_MAX = 65_536;

/**
 * Of each layer what it attends to.
 * @throws {ModelFormatError} when the file's list is none of its layers.
 */
export function readBands(
  keys: Hyperparameters,
  { file }: Pick<TowerReader, "file">,
  blockCount: number,
): Pick<LayerConfig, "slidingWindow" | "byColumns">[] {
  const modes = modesOf(file, blockCount);
  const isCut = modes.some((mode) => mode !== WHOLE);
  // A window of a token's own and as many before it, which an encoder has behind it, too.
  const window = isCut ? 1 + keys.integer("window_size", { min: 1, max: WINDOW_MAX }) : 0;
  return modes.map((mode) => ({
    slidingWindow: mode === WHOLE ? 0 : window,
    ...mode === COLUMNS && { byColumns: true },
  }));
}

/** What scores of a layer compete with, head by head; null: the layer sees all. */
export function readSinks(
  { checker, heads }: Pick<TowerReader, "checker" | "heads">,
  { slidingWindow }: Pick<LayerConfig, "slidingWindow">,
  index: number,
): VectorTensor | null {
  const name = `v.blk.${index}.attn_sinks`;
  if (slidingWindow > 0) return checker.vector(name, heads);
  checker.leave(name);
  return null;
}

/** Numbers of a head, of which a matrix has those of queries, keys and values below each other. */
export function fusedHeadDim(
  keys: Hyperparameters,
  { checker, heads, kvHeads }: Pick<TowerReader, "checker" | "heads" | "kvHeads">,
): number {
  const headDim = (checker.rowCount("v.blk.0.attn_qkv.weight") ?? 0) / (heads + 2 * kvHeads);
  if (Number.isInteger(headDim) && headDim > 0) return headDim;
  throw keys.wrong(
    "attention.head_count",
    'so many that rows of "v.blk.0.attn_qkv.weight" are those of whole heads',
  );
}

function modesOf(file: TowerReader["file"], blockCount: number): readonly number[] {
  const modes = Array.from(getNumbers(file.metadata, KEY));
  const isMode = (mode: number) => mode === WHOLE || mode === LINES || mode === COLUMNS;
  if (modes.length === blockCount && modes.every(isMode)) return modes;
  throw formatError(
    file,
    `Cannot use metadata "${KEY}": it must be ${blockCount} numbers, one for each layer, from ` +
      `${WHOLE} to ${COLUMNS}: get the file again or convert the model again`,
  );
}
