/**
 * DeepSeek-OCR 2's projector: SAM's tower, whose rows convolutions make fewer, and Qwen 2's, in
 * which learned queries follow these rows; one matrix reads what the queries have become. Two
 * models of one file. Knows names and shapes; no images.
 */
import type { GgufFile } from "../../gguf/mod.ts";
import { Hyperparameters } from "../read/hyperparameters.ts";
import { rowsOf } from "../read/layer_reader.ts";
import { TensorChecker } from "../read/tensor_checker.ts";
import type { MatrixTensor, ModelDescription } from "../types.ts";
import type { ImageConfig, VisionModel } from "../vision_types.ts";
import {
  commonConfig,
  CONVOLVED_SIDE,
  PLAIN_NEURONS,
  readBlockCount,
  readerOf,
  readSam,
  readSamImages,
  readSizes,
  type SamLengths,
} from "./read_sam.ts";
import { biasedMatrix, neuronCount, readLayer, readNorm, type TowerReader } from "./read_tower.ts";
import { COMMON, type VisionKind } from "./vision_kind.ts";

export const DEEPSEEK_OCR_2 = "deepseekocr2";

/** 768 of 1024 pixels. */
const TILES = { min: 2, max: 6, share: 3 / 4 };
/** Qwen 2's; no file says it. */
const ROPE_BASE = 1_000_000;
const UNSCALED = {
  ...{ type: "none" as const, factor: 1, originalContextLength: 0, attentionFactor: 1 },
  ...{ extrapolation: 1, betaFast: 32, betaSlow: 1 },
};
/** By the pixels of the images that the authors' have them for. */
const [OF_WHOLE, OF_TILE] = ["v.resample_query_1024.weight", "v.resample_query_768.weight"];
const BEHIND_WHOLE = "v.view_seperator";

/** What Qwen 2's layers are read by. */
const KIND: VisionKind = {
  ...{ ...COMMON, name: DEEPSEEK_OCR_2 },
  projector: {
    ...{ norm: null, stages: [], first: "mm.model.fc", isFirstTransposed: false, second: null },
    ...{ biases: "required", activation: null },
  },
};

/**
 * @throws {ModelFormatError} when metadata or tensors are missing, senseless or contradictory.
 * @throws {UnsupportedModelError} when the file is sound but this version cannot run it.
 */
export function readDeepseekOcr2(file: GgufFile): VisionModel {
  const keys = new Hyperparameters(file, "clip.vision");
  const checker = new TensorChecker(file);
  const sam = readerOf(keys, { file, checker }, {
    ...{ kind: KIND, widthKey: "sam.embedding_length", headsKey: "sam.head_count" },
  });
  const qwen = readerOf(keys, { file, checker }, {
    ...{ kind: KIND, widthKey: "embedding_length", headsKey: "attention.head_count" },
    kvHeadsKey: "attention.head_count_kv",
  });
  if (qwen.headDim % 2 !== 0) throw keys.wrong("attention.head_count", "so that heads are even");
  const lengths = { ...readSizes(file), rowWidth: qwen.width };
  const rows = checker.rowCount("mm.model.fc.weight") ?? 1;
  const last = biasedMatrix(qwen, "mm.model.fc", { rows, columns: qwen.width });
  checker.vector("mm.model.fc.bias", rows);
  checker.vector(BEHIND_WHOLE, rows);
  const description = readSam(keys, sam, {
    lengths,
    // Rows of the convolutions come out, and no others.
    first: rowsOf({ ...last, bias: null }, 0, 0),
    projector: { outputLength: qwen.width },
  });
  const second = readQwen(keys, qwen, { lengths, last });
  const images = readImages(keys, qwen, lengths);
  // Patches of the second tower, which nothing is made of, and a row that this kind does not have.
  checker.leave("v.patch_embd.weight", "v.patch_embd.bias", "v.image_newline");
  checker.refuseUnused({ start: 0, end: 0 });
  return { description, second, images };
}

function readQwen(
  keys: Hyperparameters,
  reader: TowerReader,
  { lengths: { side, rowWidth: width }, last }: {
    readonly lengths: SamLengths;
    readonly last: MatrixTensor;
  },
): ModelDescription {
  const blockCount = readBlockCount(keys, reader, "block_count");
  const count = 2 * (side / CONVOLVED_SIDE) ** 2;
  const nothing = rowsOf({ ...last, bias: null }, 0, 0);
  const layers = Array.from({ length: blockCount }, (_, index) => readLayer(reader, index));
  return {
    config: {
      ...commonConfig(reader, { blockCount, neurons: neuronCount(reader), count }),
      patches: { length: width, countMax: count, areRows: true, areAsked: true },
      norm: { kind: "rms", epsilon: keys.float("attention.layer_norm_epsilon", { min: 0 }) },
      ropes: [{
        ...{ kind: "neox", dimensionCount: reader.headDim, frequencyBase: ROPE_BASE },
        ...{ scaling: UNSCALED, factors: null },
      }],
      layers: layers.map(() => ({ slidingWindow: 0, rope: 0 })),
      feedForward: { ...PLAIN_NEURONS, activation: "silu", isGated: true },
      projector: {
        ...{ norm: null, activation: null, mergedRows: 1, merge: "concat" },
        outputLength: last.rows,
      },
    },
    tensors: {
      ...{ tokenEmbedding: nothing, output: nothing, positionEmbedding: null, altUp: null },
      ...{ embeddingNorm: null, tokenInputs: null },
      outputNorm: readNorm(reader, "v.post_ln", width),
      layers,
      projector: { norm: null, first: last, second: null },
    },
  };
}

/** As many queries as convolutions leave rows, of the whole image and of a tile. */
function readImages(
  keys: Hyperparameters,
  reader: TowerReader,
  { rowWidth: columns, ...sizes }: SamLengths,
): ImageConfig {
  const images = readSamImages(keys, reader, { ...sizes, tiles: TILES });
  const block = CONVOLVED_SIDE * sizes.patchSize;
  const queries = ([[OF_WHOLE, images.imageSize], [OF_TILE, images.tileSize]] as const)
    .map(([tensor, pixels]) => {
      const count = (pixels / block) ** 2;
      reader.checker.matrix(tensor, { rows: count, columns });
      return { tensor, count };
    });
  return {
    ...images,
    ...{ projector: DEEPSEEK_OCR_2, behindWhole: BEHIND_WHOLE },
    second: { positions: null, classTokens: null, classTokenCount: 0, queries },
  };
}
