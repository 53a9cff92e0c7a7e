/**
 * DeepSeek-OCR's projector: SAM's tower, whose rows convolutions make fewer, and CLIP's, which
 * looks at these; one matrix reads what both leave. Two models of one file. Knows names and shapes;
 * no images.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { GgufFile } from "../../gguf/mod.ts";
import { dtypeByName } from "../dtypes.ts";
import type { GridConvolution, GridConvolutionTensors } from "../grid_convolutions.ts";
import { formatError, Hyperparameters } from "../read/hyperparameters.ts";
import { rowsOf } from "../read/layer_reader.ts";
import { TensorChecker } from "../read/tensor_checker.ts";
import type { LayerTensors, MatrixTensor, ModelConfig, ModelDescription } from "../types.ts";
import type { ImageConfig, VisionModel } from "../vision_types.ts";
import { PLAIN } from "./plain_tower.ts";
import { readColours } from "./read_images.ts";
import {
  biasedMatrix,
  neuronCount,
  NOTHING,
  readLayer,
  readNorm,
  type TowerReader,
} from "./read_tower.ts";
import { COMMON, type VisionKind } from "./vision_kind.ts";

export const DEEPSEEK_OCR = "deepseekocr";

/** More than any file has. */
const [BLOCK_COUNT_MAX, PATCHES_MAX, PATCH_SIZE_MAX, TILES_MAX] = [1024, 65536, 1024, 256];
/** Of a whole image, and of all its tiles: each takes 15 bytes. */
const [PIXELS_MAX, TILED_PIXELS_MAX] = [2 ** 24, 2 ** 26];
/** No file says them. */
const [SAM_EPSILON, CLIP_EPSILON] = [1e-6, 1e-5];
/** SAM's layers that see all of an image; the others see windows of it. */
const WHOLE_LAYERS: readonly number[] = [2, 5, 8, 11];
const TILES = { min: 2, max: 9 };

const POSITIONS = "v.sam.pos_embd.weight";
const PATCHES = "v.sam.patch_embd.weight";
const CLASS_TOKEN = "v.class_embd";
const CLIP_POSITIONS = "v.position_embd.weight";
const LINES = { line: "v.image_newline", image: "v.view_seperator" };

/** What CLIP's layers are read by. */
const KIND: VisionKind = {
  ...{ ...COMMON, name: DEEPSEEK_OCR },
  projector: {
    ...{ norm: null, stages: [], first: "mm.model.fc", isFirstTransposed: false, second: null },
    ...{ biases: "required", activation: null },
  },
};

const CONVOLUTIONS = [
  { name: "neck.0", norm: "neck.1", side: 1, stride: 1 },
  { name: "neck.2", norm: "neck.3", side: 3, stride: 1 },
  { name: "net_2", norm: null, side: 3, stride: 2 },
  { name: "net_3", norm: null, side: 3, stride: 2 },
] as const;
/** Places on a side that become one. */
const CONVOLVED_SIDE = 4;

interface Lengths {
  /** Of patches, on a side of an image, and pixels on a side of one. */
  readonly side: number;
  readonly patchSize: number;
  readonly clipWidth: number;
}

/**
 * @throws {ModelFormatError} when metadata or tensors are missing, senseless or contradictory.
 * @throws {UnsupportedModelError} when the file is sound but this version cannot run it.
 */
export function readDeepseekOcr(file: GgufFile): VisionModel {
  const keys = new Hyperparameters(file, "clip.vision");
  const checker = new TensorChecker(file);
  const sam = readerOf(keys, { file, checker }, "sam.embedding_length", "sam.head_count");
  const clip = readerOf(keys, { file, checker }, "embedding_length", "attention.head_count");
  const lengths = { ...readSizes(file), clipWidth: clip.width };
  const rows = checker.rowCount("mm.model.fc.weight") ?? 1;
  const last = biasedMatrix(clip, "mm.model.fc", { rows, columns: 2 * clip.width });
  checker.vector("mm.model.fc.bias", rows);
  requireBlocks(file, last, clip.width);
  for (const row of Object.values(LINES)) checker.vector(row, rows);
  const description = readSam(keys, sam, { lengths, last });
  const second = readClip(keys, clip, { lengths, last });
  const images = readImages(keys, clip, lengths);
  // CLIP's own patches, which nothing is made of.
  checker.leave("v.patch_embd.weight", "v.patch_embd.bias");
  checker.refuseUnused({ start: 0, end: 0 });
  return { description, second, images };
}

/** Each tower reads half of a row. */
function requireBlocks(file: GgufFile, { tensor }: MatrixTensor, half: number): void {
  const { type } = file.tensors.get(tensor)!;
  if (half % dtypeByName(type)!.blockElements === 0) return;
  throw new UnsupportedModelError(
    `Cannot use this projector: tensor "${tensor}" has the type ${type}, of which ${half} ` +
      "numbers are no whole blocks: use a file of another type",
  );
}

function readerOf(
  keys: Hyperparameters,
  of: Pick<TowerReader, "file" | "checker">,
  widthKey: string,
  headsKey: string,
): TowerReader {
  const width = keys.integer(widthKey, { min: 1 });
  const heads = keys.integer(headsKey, { min: 1, max: width });
  if (width % heads !== 0) throw keys.wrong(headsKey, `a divisor of the width, ${width}`);
  const headDim = width / heads;
  return { ...of, kind: KIND, prefix: "v", width, heads, kvHeads: heads, headDim };
}

/** The file's numbers are CLIP's own; SAM's patches are as its tensors say. */
function readSizes(file: GgufFile): Pick<Lengths, "side" | "patchSize"> {
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

interface Behind {
  readonly lengths: Lengths;
  /** What reads what both towers leave: CLIP's rows first. */
  readonly last: MatrixTensor;
}

function readSam(
  keys: Hyperparameters,
  reader: TowerReader,
  { lengths: { side, patchSize, clipWidth }, last }: Behind,
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
  const neck = readNeck(reader, clipWidth);
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
        convolutions: neck.config,
        columns: { start: clipWidth, end: 2 * clipWidth },
        outputLength: clipWidth + last.rows,
      },
    },
    tensors: {
      ...{ tokenEmbedding, output: tokenEmbedding, positionEmbedding: null, altUp: null },
      ...{ embeddingNorm: null, tokenInputs: null, outputNorm: { weight: null, bias: null } },
      layers,
      projector: { norm: null, convolutions: neck.tensors, first: last, second: null },
    },
  };
}

function readClip(
  keys: Hyperparameters,
  reader: TowerReader,
  { lengths: { side, clipWidth }, last }: Behind,
): ModelDescription {
  const { checker } = reader;
  const blockCount = readBlockCount(keys, reader, "block_count");
  const count = (side / CONVOLVED_SIDE) ** 2 + 1;
  const has = (name: string) => checker.has(`${name}.weight`);
  const normOf = (name: string) => has(name) ? readNorm(reader, name, clipWidth) : null;
  const nothing = rowsOf({ ...last, bias: null }, 0, 0);
  const layers = Array.from({ length: blockCount }, (_, index) => readLayer(reader, index));
  return {
    config: {
      ...commonConfig(reader, { blockCount, neurons: neuronCount(reader), count }),
      patches: { length: clipWidth, countMax: count, areRows: true },
      norm: { kind: "layer", epsilon: CLIP_EPSILON },
      layers: layers.map(() => ({ slidingWindow: 0, rope: null })),
      feedForward: { ...PLAIN_NEURONS, activation: "quickGelu" },
      projector: {
        ...!has("v.post_ln") && { lacksLastNorm: true },
        ...{ norm: null, activation: null, mergedRows: 1, merge: "concat" },
        columns: { start: 0, end: clipWidth },
        outputLength: last.rows,
      },
    },
    tensors: {
      ...{ tokenEmbedding: nothing, output: nothing, positionEmbedding: null, altUp: null },
      ...{ embeddingNorm: normOf("v.pre_ln"), tokenInputs: null },
      outputNorm: normOf("v.post_ln") ?? { weight: null, bias: null },
      layers,
      projector: { norm: null, first: { ...last, bias: null }, second: null },
    },
  };
}

const PLAIN_NEURONS = { isGated: false, activatesUp: false, firingThreshold: 0 };

function commonConfig(
  { width, heads, headDim }: TowerReader,
  { blockCount, neurons, count }: Readonly<Record<"blockCount" | "neurons" | "count", number>>,
): Omit<ModelConfig, "norm" | "layers" | "feedForward"> {
  return {
    ...{ architecture: "clip", blockCount, embeddingLength: width, feedForwardLength: neurons },
    ...{ headCount: heads, headCountKv: heads, headDim, valueDim: headDim },
    ...{ vocabSize: 0, contextLength: count, isEncoder: true },
    ...{ attentionScale: 1 / Math.sqrt(headDim), ropes: [] },
    ...PLAIN,
  };
}

function readBlockCount(keys: Hyperparameters, { file }: TowerReader, key: string): number {
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

/** Behind SAM's layers; its last kernels are as many as CLIP's rows are long. */
function readNeck(
  reader: TowerReader,
  clipWidth: number,
): { readonly config: GridConvolution[]; readonly tensors: GridConvolutionTensors[] } {
  const { checker, file, width } = reader;
  let channels = width;
  const tensors = CONVOLUTIONS.map(({ name, norm, side }, index) => {
    const of = `v.sam.${name}.weight`;
    const isLast = index === CONVOLUTIONS.length - 1;
    const rows = isLast ? clipWidth : file.tensors.get(of)?.dims[3] ?? 1;
    const matrix = checker.kernel(of, { rows, side, channels });
    channels = rows;
    return { matrix, norm: norm && readNorm(reader, `v.sam.${norm}`, rows) };
  });
  const config = CONVOLUTIONS.map(({ side, stride, norm }) => (
    { side, stride, epsilon: norm === null ? null : SAM_EPSILON }
  ));
  return { config, tensors };
}

function readImages(
  keys: Hyperparameters,
  reader: TowerReader,
  { side, patchSize, clipWidth }: Lengths,
): ImageConfig {
  const { checker, file } = reader;
  const found = checker.rowCount(CLIP_POSITIONS) ?? 1;
  const count = Math.floor(Math.sqrt(Math.max(1, found - 1))) ** 2 + 1;
  checker.matrix(CLIP_POSITIONS, { rows: count, columns: clipWidth });
  checker.vector(CLASS_TOKEN, clipWidth);
  const block = CONVOLVED_SIDE * patchSize;
  const imageSize = side * patchSize;
  // 640 of 1024 pixels.
  const tileSize = Math.max(1, Math.floor(5 / 8 * imageSize / block)) * block;
  const most = Math.min(TILES_MAX, Math.floor(TILED_PIXELS_MAX / tileSize ** 2));
  const tilesMax = keys.integer("preproc_max_tiles", {
    ...{ min: 1, max: most, absent: Math.min(TILES.max, most) },
  });
  const tilesMin = keys.integer("preproc_min_tiles", {
    ...{ min: 0, max: tilesMax, absent: Math.min(TILES.min, tilesMax) },
  });
  return {
    ...{ projector: DEEPSEEK_OCR, imageSize, patchSize, mergeSide: 1 },
    mean: readColours(keys, { file }, "image_mean"),
    deviation: readColours(keys, { file }, "image_std"),
    positions: { tensor: POSITIONS, count: side * side, classRow: null, resize: "bicubic" },
    ...{ classTokens: null, classTokenCount: 0, patchBias: null, firstPosition: 0 },
    ...{ windowSide: null, lineBreak: null, pixelsMin: null, pixelsMax: null, longestEdge: null },
    ...{ tilesMin, tilesMax, gridSizes: [], convolvedSide: CONVOLVED_SIDE, behindLines: LINES },
    tileSize,
    second: {
      positions: { tensor: CLIP_POSITIONS, count, classRow: 0, resize: "bicubic" },
      ...{ classTokens: CLASS_TOKEN, classTokenCount: 1 },
    },
  };
}
