/**
 * DeepSeek-OCR's projector: SAM's tower, whose rows convolutions make fewer, and CLIP's, which
 * looks at these; one matrix reads what both leave. Two models of one file. Knows names and shapes;
 * no images.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { GgufFile } from "../../gguf/mod.ts";
import { dtypeByName } from "../dtypes.ts";
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

export const DEEPSEEK_OCR = "deepseekocr";

/** No file says it. */
const CLIP_EPSILON = 1e-5;
/** 640 of 1024 pixels. */
const TILES = { min: 2, max: 9, share: 5 / 8 };

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

/**
 * @throws {ModelFormatError} when metadata or tensors are missing, senseless or contradictory.
 * @throws {UnsupportedModelError} when the file is sound but this version cannot run it.
 */
export function readDeepseekOcr(file: GgufFile): VisionModel {
  const keys = new Hyperparameters(file, "clip.vision");
  const checker = new TensorChecker(file);
  const [sam, clip] = ([
    ["sam.embedding_length", "sam.head_count"],
    ["embedding_length", "attention.head_count"],
  ] as const).map(([widthKey, headsKey]) =>
    readerOf(keys, { file, checker }, { kind: KIND, widthKey, headsKey })
  );
  const { width } = clip;
  const lengths = { ...readSizes(file), rowWidth: width };
  const rows = checker.rowCount("mm.model.fc.weight") ?? 1;
  const last = biasedMatrix(clip, "mm.model.fc", { rows, columns: 2 * width });
  checker.vector("mm.model.fc.bias", rows);
  requireBlocks(file, last, width);
  for (const row of Object.values(LINES)) checker.vector(row, rows);
  const description = readSam(keys, sam, {
    ...{ lengths, first: last },
    projector: { columns: { start: width, end: 2 * width }, outputLength: width + rows },
  });
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

function readClip(
  keys: Hyperparameters,
  reader: TowerReader,
  { lengths: { side, rowWidth: clipWidth }, last }: {
    readonly lengths: SamLengths;
    /** What reads what both towers leave: CLIP's rows first. */
    readonly last: MatrixTensor;
  },
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

function readImages(
  keys: Hyperparameters,
  reader: TowerReader,
  { rowWidth: clipWidth, ...sizes }: SamLengths,
): ImageConfig {
  const { checker } = reader;
  const found = checker.rowCount(CLIP_POSITIONS) ?? 1;
  const count = Math.floor(Math.sqrt(Math.max(1, found - 1))) ** 2 + 1;
  checker.matrix(CLIP_POSITIONS, { rows: count, columns: clipWidth });
  checker.vector(CLASS_TOKEN, clipWidth);
  return {
    ...readSamImages(keys, reader, { ...sizes, tiles: TILES }),
    ...{ projector: DEEPSEEK_OCR, behindLines: LINES },
    second: {
      positions: { tensor: CLIP_POSITIONS, count, classRow: 0, resize: "bicubic" },
      ...{ classTokens: CLASS_TOKEN, classTokenCount: 1 },
    },
  };
}
