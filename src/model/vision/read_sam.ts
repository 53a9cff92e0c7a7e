/**
 * SAM's tower, whose rows convolutions make fewer for a second one, of DeepSeek-OCR's projectors.
 * Knows names and shapes; no images.
 */
import type { GgufFile } from "../../gguf/mod.ts";
import type { GridConvolution, GridConvolutionTensors } from "../grid_convolutions.ts";
import { formatError, type Hyperparameters } from "../read/hyperparameters.ts";
import { rowsOf } from "../read/layer_reader.ts";
import type { LayerTensors, MatrixTensor, ModelConfig, ModelDescription } from "../types.ts";
import type { ImageConfig, ProjectorConfig } from "../vision_types.ts";
import { PLAIN } from "./plain_tower.ts";
import { readColours } from "./read_images.ts";
import { biasedMatrix, NOTHING, readNorm, type TowerReader } from "./read_tower.ts";
import type { VisionKind } from "./vision_kind.ts";

/** More than any file has. */
const [BLOCK_COUNT_MAX, PATCHES_MAX, PATCH_SIZE_MAX, TILES_MAX] = [1024, 65536, 1024, 256];
/** Of a whole image, and of all its tiles: each takes 15 bytes. */
const [PIXELS_MAX, TILED_PIXELS_MAX] = [2 ** 24, 2 ** 26];
/** No file says it. */
const SAM_EPSILON = 1e-6;
/** Layers that see all of an image; the others see windows of it. */
const WHOLE_LAYERS: readonly number[] = [2, 5, 8, 11];

const POSITIONS = "v.sam.pos_embd.weight";
const PATCHES = "v.sam.patch_embd.weight";

const CONVOLUTIONS = [
  { name: "neck.0", norm: "neck.1", side: 1, stride: 1 },
  { name: "neck.2", norm: "neck.3", side: 3, stride: 1 },
  { name: "net_2", norm: null, side: 3, stride: 2 },
  { name: "net_3", norm: null, side: 3, stride: 2 },
] as const;
/** Places on a side that become one. */
export const CONVOLVED_SIDE = 4;

/** Of its images, and of what it leaves. */
export interface SamLengths {
  /** Of patches, on a side of an image, and pixels on a side of one. */
  readonly side: number;
  readonly patchSize: number;
  /** Numbers of a row that its convolutions make. */
  readonly rowWidth: number;
}

/** What reads a tower of a file of two; keys: of its numbers. */
export function readerOf(
  keys: Hyperparameters,
  of: Pick<TowerReader, "file" | "checker">,
  { kind, widthKey, headsKey, kvHeadsKey }: {
    readonly kind: VisionKind;
    readonly widthKey: string;
    readonly headsKey: string;
    /** Left out: there are as many as heads. */
    readonly kvHeadsKey?: string;
  },
): TowerReader {
  const width = keys.integer(widthKey, { min: 1 });
  const heads = keys.integer(headsKey, { min: 1, max: width });
  if (width % heads !== 0) throw keys.wrong(headsKey, `a divisor of the width, ${width}`);
  const kvHeads = kvHeadsKey ? keys.integer(kvHeadsKey, { min: 1, max: heads }) : heads;
  if (heads % kvHeads !== 0) {
    throw keys.wrong(kvHeadsKey!, `a divisor of the number of heads, ${heads}`);
  }
  return { ...of, kind, prefix: "v", width, heads, kvHeads, headDim: width / heads };
}

/** The file's numbers are the other tower's own; SAM's patches are as its tensors say. */
export function readSizes(file: GgufFile): Pick<SamLengths, "side" | "patchSize"> {
  const side = file.tensors.get(POSITIONS)?.dims[1] ?? CONVOLVED_SIDE;
  const patchSize = file.tensors.get(PATCHES)?.dims[0] ?? 1;
  if (side % CONVOLVED_SIDE !== 0 || side ** 2 > PATCHES_MAX) {
    throw formatError(
      file,
      `Cannot use tensor "${POSITIONS}": it has positions of ${side} columns, and images are ` +
        `multiples of ${CONVOLVED_SIDE}, of ${PATCHES_MAX} patches at most: get the file again ` +
        "or convert the model again",
    );
  }
  const most = Math.min(PATCH_SIZE_MAX, Math.floor(Math.sqrt(PIXELS_MAX) / side));
  if (patchSize <= most) return { side, patchSize };
  throw formatError(
    file,
    `Cannot use tensor "${PATCHES}": its patches are ${patchSize} pixels long, ${most} are ` +
      `possible where ${side} are side by side: get the file again or convert the model again`,
  );
}

/**
 * SAM's tower and the convolutions behind it. of: what reads the rows that they make, of which a
 * matrix may read some numbers, too.
 */
export function readSam(
  keys: Hyperparameters,
  reader: TowerReader,
  { lengths: { side, patchSize, rowWidth }, projector, first }: {
    readonly lengths: SamLengths;
    readonly projector: Pick<ProjectorConfig, "columns" | "outputLength">;
    readonly first: MatrixTensor;
  },
): ModelDescription {
  const { checker, width } = reader;
  const blockCount = readBlockCount(keys, reader, "sam.block_count");
  const windowSide = keys.integer("window_size", { min: 1, max: side });
  const count = side * side;
  checker.matrix(POSITIONS, { rows: side, columns: width, count: side });
  const neurons = checker.rowCount("v.sam.blk.0.mlp.lin1.weight") ?? 1;
  const layers = Array.from(
    { length: blockCount },
    (_, index) => readSamLayer(reader, index, neurons),
  );
  const neck = readNeck(reader, rowWidth);
  const tokenEmbedding = {
    ...checker.kernel(PATCHES, { rows: width, side: patchSize, channels: 3 }),
    bias: checker.vector("v.sam.patch_embd.bias", width),
  };
  return {
    config: {
      ...commonConfig(reader, { blockCount, neurons, count }),
      patches: { length: 3 * patchSize ** 2, countMax: count },
      norm: { kind: "layer", epsilon: SAM_EPSILON },
      layers: layers.map((_, index) => ({
        ...{ slidingWindow: 0, rope: null },
        offsets: WHOLE_LAYERS.includes(index)
          ? { side, areWindows: false }
          : { side: windowSide, areWindows: true },
      })),
      feedForward: { ...PLAIN_NEURONS, activation: "geluErf" },
      projector: {
        ...{ lacksLastNorm: true, norm: null, activation: null },
        ...{ mergedRows: CONVOLVED_SIDE ** 2, merge: "concat", passesOn: true },
        ...{ convolutions: neck.config, ...projector },
      },
    },
    tensors: {
      ...{ tokenEmbedding, output: tokenEmbedding, positionEmbedding: null, altUp: null },
      ...{ embeddingNorm: null, tokenInputs: null, outputNorm: { weight: null, bias: null } },
      layers,
      projector: { norm: null, convolutions: neck.tensors, first, second: null },
    },
  };
}

/** Of neither. */
export const PLAIN_NEURONS = { isGated: false, activatesUp: false, firingThreshold: 0 };

/** What both towers have. */
export function commonConfig(
  { width, heads, kvHeads, headDim }: TowerReader,
  { blockCount, neurons, count }: Readonly<Record<"blockCount" | "neurons" | "count", number>>,
): Omit<ModelConfig, "norm" | "layers" | "feedForward"> {
  return {
    ...{ architecture: "clip", blockCount, embeddingLength: width, feedForwardLength: neurons },
    ...{ headCount: heads, headCountKv: kvHeads, headDim, valueDim: headDim },
    ...{ vocabSize: 0, contextLength: count, isEncoder: true },
    ...{ attentionScale: 1 / Math.sqrt(headDim), ropes: [] },
    ...PLAIN,
  };
}

/** Layers of a tower. */
export function readBlockCount(keys: Hyperparameters, { file }: TowerReader, key: string): number {
  const count = keys.integer(key, { min: 1, max: BLOCK_COUNT_MAX });
  if (count <= file.tensors.size) return count;
  throw keys.wrong(key, `at most the number of tensors, ${file.tensors.size}`);
}

function readSamLayer(reader: TowerReader, index: number, neurons: number): LayerTensors {
  const { checker, width: d, headDim } = reader;
  const at = `v.sam.blk.${index}.`;
  const fused = biasedMatrix(reader, `${at}attn.qkv`, { rows: 3 * d, columns: d });
  const offsets = (name: string) => {
    const count = checker.rowCount(`${at}attn.${name}.weight`) ?? 1;
    return checker.vector(`${at}attn.${name}.weight`, headDim, count);
  };
  return {
    ...NOTHING,
    attentionNorm: readNorm(reader, `${at}pre_ln`, d),
    ...{ query: rowsOf(fused, 0, d), key: rowsOf(fused, d, d), value: rowsOf(fused, 2 * d, d) },
    ...{ queryNorm: null, keyNorm: null, valueNorm: null, attentionPostNorm: null },
    offsets: { rows: offsets("pos_h"), columns: offsets("pos_w") },
    attentionOutput: biasedMatrix(reader, `${at}attn.out`, { rows: d, columns: d }),
    feedForwardNorm: readNorm(reader, `${at}post_ln`, d),
    feedForward: {
      kind: "dense",
      gate: null,
      up: biasedMatrix(reader, `${at}mlp.lin1`, { rows: neurons, columns: d }),
      down: biasedMatrix(reader, `${at}mlp.lin2`, { rows: d, columns: neurons }),
      ...{ isDownTransposed: false, predictor: null },
    },
    feedForwardPostNorm: null,
  };
}

/** Behind SAM's layers; its last kernels are as many as rows are long. */
function readNeck(
  reader: TowerReader,
  rowWidth: number,
): { readonly config: GridConvolution[]; readonly tensors: GridConvolutionTensors[] } {
  const { checker, file, width } = reader;
  let channels = width;
  const tensors = CONVOLUTIONS.map(({ name, norm, side }, index) => {
    const of = `v.sam.${name}.weight`;
    const isLast = index === CONVOLUTIONS.length - 1;
    const rows = isLast ? rowWidth : file.tensors.get(of)?.dims[3] ?? 1;
    const matrix = checker.kernel(of, { rows, side, channels });
    channels = rows;
    return { matrix, norm: norm && readNorm(reader, `v.sam.${norm}`, rows) };
  });
  const config = CONVOLUTIONS.map(({ side, stride, norm }) => (
    { side, stride, epsilon: norm === null ? null : SAM_EPSILON }
  ));
  return { config, tensors };
}

/** Sizes and colours of its images and tiles; tiles: where a file is silent, and a tile's share. */
export function readSamImages(
  keys: Hyperparameters,
  { file }: Pick<TowerReader, "file">,
  { side, patchSize, tiles }: Pick<SamLengths, "side" | "patchSize"> & {
    readonly tiles: Readonly<Record<"min" | "max" | "share", number>>;
  },
): Omit<ImageConfig, "projector"> & Readonly<Record<"tileSize" | "convolvedSide", number>> {
  const block = CONVOLVED_SIDE * patchSize;
  const imageSize = side * patchSize;
  const tileSize = Math.max(1, Math.floor(tiles.share * imageSize / block)) * block;
  const most = Math.min(TILES_MAX, Math.floor(TILED_PIXELS_MAX / tileSize ** 2));
  const tilesMax = keys.integer("preproc_max_tiles", {
    ...{ min: 1, max: most, absent: Math.min(tiles.max, most) },
  });
  const tilesMin = keys.integer("preproc_min_tiles", {
    ...{ min: 0, max: tilesMax, absent: Math.min(tiles.min, tilesMax) },
  });
  return {
    ...{ imageSize, patchSize, mergeSide: 1 },
    mean: readColours(keys, { file }, "image_mean"),
    deviation: readColours(keys, { file }, "image_std"),
    positions: { tensor: POSITIONS, count: side * side, classRow: null, resize: "bicubic" },
    ...{ classTokens: null, classTokenCount: 0, patchBias: null, firstPosition: 0 },
    ...{ windowSide: null, lineBreak: null, pixelsMin: null, pixelsMax: null, longestEdge: null },
    ...{ tilesMin, tilesMax, gridSizes: [], convolvedSide: CONVOLVED_SIDE, tileSize },
  };
}
