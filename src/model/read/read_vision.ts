/**
 * From the parsed header of a projector's file (llama.cpp's mmproj, of architecture "clip") to the
 * description of its tower: an encoder that patches go into, and a projector behind it. Knows names
 * and shapes; reads no weights.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import { getNumbers, getString, type GgufFile } from "../../gguf/mod.ts";
import { formatError, Hyperparameters } from "./hyperparameters.ts";
import { TensorChecker } from "./tensor_checker.ts";
import type { ModelConfig, ModelTensors } from "../types.ts";
import { KINDS } from "../vision/kinds.ts";
import { PLAIN } from "../vision/plain_tower.ts";
import { fusedHeadDim, readBands, readSinks } from "../vision/read_bands.ts";
import { DEEPSEEK_OCR, readDeepseekOcr } from "../vision/read_deepseekocr.ts";
import { DEEPSEEK_OCR_2, readDeepseekOcr2 } from "../vision/read_deepseekocr2.ts";
import {
  FOLDING_LAYER,
  readFoldingLayer,
  readFoldPlace,
  readFoldSide,
  tensorsOfFold,
} from "../vision/read_fold.ts";
import { GEMMA_3N, readGemma3n } from "../vision/read_gemma3n.ts";
import { readImages } from "../vision/read_images.ts";
import { askedLayers, readLayerQueries } from "../vision/read_layer_queries.ts";
import { readMergeSide, readProjector } from "../vision/read_projector.ts";
import {
  isGated,
  neuronCount,
  readLayer,
  readNorm,
  type TowerReader,
} from "../vision/read_tower.ts";
import { tensorsOfSounds } from "../vision/tensors_of_sounds.ts";
import { towerRopes } from "../vision/tower_ropes.ts";
import type { VisionKind } from "../vision/vision_kind.ts";
import type { VisionModel } from "../vision_types.ts";

/** Values of `clip.projector_type` that this version runs. */
export const VISION_KINDS: readonly string[] = [
  ...KINDS.map(({ name }) => name),
  ...[DEEPSEEK_OCR, DEEPSEEK_OCR_2, GEMMA_3N],
].sort();

/** `general.architecture` of files of projectors. */
export const CLIP = "clip";

/** Of files of 2023, which do not name their kind. */
const FIRST_KIND = "mlp";

/** What files that hear, too, call a kind. */
const WITH_SOUNDS: Readonly<Record<string, string>> = { "qwen2.5o": "qwen2.5vl_merger" };

/** More blocks than any tower has. */
const BLOCK_COUNT_MAX = 1024;
/** Patches are rows of a step: more of them would fill the memory. */
const PATCHES_MAX = 65536;

const EPSILON = "attention.layer_norm_epsilon";

/**
 * What a file's tower is and where its tensors are.
 * @throws {ModelFormatError} when metadata or tensors are missing, senseless or contradictory.
 * @throws {UnsupportedModelError} when the file is sound but this version cannot run it.
 */
export function readVision(file: GgufFile): VisionModel {
  const name = kindName(file);
  if (name === DEEPSEEK_OCR) return readDeepseekOcr(file);
  if (name === DEEPSEEK_OCR_2) return readDeepseekOcr2(file);
  if (name === GEMMA_3N) return readGemma3n(file);
  const kind = findKind(name);
  const keys = new Hyperparameters(file, "clip.vision");
  const width = keys.integer("embedding_length", { min: 1 });
  const heads = kind.hasLayers ? keys.integer("attention.head_count", { min: 1, max: width }) : 1;
  if (!keys.has("attention.head_dim") && width % heads !== 0 && !kind.hasBands) {
    throw keys.wrong("attention.head_count", `a divisor of the width, ${width}`);
  }
  const kvHeads = keys.integer("attention.head_count_kv", { min: 0, absent: 0 }) || heads;
  if (heads % kvHeads !== 0) {
    throw keys.wrong("attention.head_count_kv", `a divisor of the number of heads, ${heads}`);
  }
  const checker = new TensorChecker(file);
  const headDim = kind.hasBands
    ? fusedHeadDim(keys, { checker, heads, kvHeads })
    : keys.integer("attention.head_dim", { min: 1, absent: width / heads });
  const reader: TowerReader = { file, checker, kind, prefix: "v", width, heads, kvHeads, headDim };
  const blockCount = readBlockCount(file, keys, kind);
  const mergeSide = readMergeSide(keys, reader);
  const foldSide = readFoldSide(keys, reader, mergeSide);
  const foldedBehind = foldSide > 1 ? readFoldPlace(keys, reader, blockCount) : null;
  const images = readImages(keys, reader, { mergeSide, foldSide });
  const config = readConfig(keys, reader, { blockCount, images, foldedBehind });
  const projector = kind.asksLayers ? readLayerQueries(keys, reader) : readProjector(reader, {
    ...{ mergeSide: mergeSide / foldSide, foldedBehind },
    blockCount,
    epsilon: keys.float(EPSILON, { min: 0 }),
    activation: config.feedForward.activation,
  });
  const { lineBreak, around, behindParts } = images;
  if (behindParts) checker.vector(behindParts, projector.tensors.first.rows);
  for (const row of [lineBreak, around?.begin, around?.end]) {
    if (row) checker.vector(row, projector.config.outputLength);
  }
  const tensors: ModelTensors = {
    ...readTower(reader, config, foldedBehind),
    projector: projector.tensors,
  };
  checker.leave(...kind.unused, ...laterLayers(file, blockCount), ...tensorsOfSounds(file));
  if (kind.foldsRows && foldedBehind === null) checker.leave(...tensorsOfFold(reader));
  checker.refuseUnused({ start: 0, end: 0 });
  const description = { config: { ...config, projector: projector.config }, tensors };
  const { resampler } = projector.config;
  if (resampler === undefined) return { description, images };
  return { description, images: { ...images, tileRows: resampler.queryCount } };
}

/**
 * The error for a file that is asked to be a text model, where it is a projector.
 * @throws {UnsupportedModelError} when it is one.
 */
export function refuseProjector(architecture: string): void {
  if (architecture !== CLIP) return;
  throw new UnsupportedModelError(
    'Cannot run a model of architecture "clip" by itself: it is the projector of a model that ' +
      "looks at images or hears: give the model's own file, and this one with --mmproj",
  );
}

function kindName(file: GgufFile): string | undefined {
  const architecture = getString(file.metadata, "general.architecture");
  if (architecture !== CLIP) {
    throw formatError(
      file,
      `Cannot look at images with a model of architecture ${JSON.stringify(architecture)}: ` +
        'projectors are of architecture "clip": give the mmproj file that belongs to the model',
    );
  }
  const keys = new Hyperparameters(file, CLIP);
  if (!keys.flag("has_vision_encoder", true)) {
    throw new UnsupportedModelError(
      "Cannot look at images with this projector: it is of sounds, or of nothing: use one of " +
        "images",
    );
  }
  return keys.text("projector_type") || keys.text("vision.projector_type") ||
    (keys.flag("has_llava_projector", false)
      ? FIRST_KIND
      : getString(file.metadata, "clip.projector_type"));
}

function findKind(name: string | undefined): VisionKind {
  const kind = KINDS.find((each) => each.name === (WITH_SOUNDS[name ?? ""] ?? name));
  if (kind !== undefined) return kind;
  throw new UnsupportedModelError(
    `Cannot use a projector of type ${JSON.stringify(name)}: this version runs ` +
      VISION_KINDS.join(", "),
  );
}

/** Layers that are computed. */
function readBlockCount(file: GgufFile, keys: Hyperparameters, kind: VisionKind): number {
  if (!kind.hasLayers) return 0;
  const all = keys.integer("block_count", { min: 1, max: BLOCK_COUNT_MAX });
  if (all > file.tensors.size) {
    throw keys.wrong("block_count", `at most the number of tensors, ${file.tensors.size}`);
  }
  if (kind.asksLayers) return 1 + Math.max(...askedLayers(file, all));
  const key = "feature_layer";
  if (!kind.namesLayers || !keys.has(key)) return all;
  const layers = getNumbers(file.metadata, `clip.vision.${key}`);
  if (layers.length !== 1) {
    throw new UnsupportedModelError(
      `Cannot use this projector: it reads ${layers.length} layers of its tower at once, which ` +
        "this version does not compute: use another model",
    );
  }
  const [layer] = layers;
  if (Number.isInteger(layer) && layer >= 1 && layer <= all) return layer;
  throw formatError(
    file,
    `Cannot use metadata "clip.vision.${key}": it must be a layer from 1 to ${all}, the file ` +
      `says ${layer}: get the file again or convert the model again`,
  );
}

function* laterLayers(file: GgufFile, blockCount: number): Iterable<string> {
  for (const name of file.tensors.keys()) {
    if (Number(/^v\.blk\.(\d+)\./.exec(name)?.[1] ?? -1) >= blockCount) yield name;
  }
}

function readConfig(
  keys: Hyperparameters,
  reader: TowerReader,
  { blockCount, images, foldedBehind }: {
    readonly blockCount: number;
    readonly images: VisionModel["images"];
    readonly foldedBehind: number | null;
  },
): ModelConfig {
  const { kind, width, heads, kvHeads, headDim, file } = reader;
  const patchLength = 3 * images.patchSize ** 2;
  const countMax = patchCountMax(keys, images);
  const norm = typeof kind.norm === "string"
    ? kind.norm
    : kind.norm({ embeddingLength: width, blockCount });
  const layers = [...readLayers(keys, reader, { blockCount, images })];
  if (foldedBehind !== null) layers.splice(foldedBehind, 0, FOLDING_LAYER);
  return {
    architecture: CLIP,
    blockCount: layers.length,
    embeddingLength: width,
    feedForwardLength: neuronCount(reader),
    headCount: heads,
    headCountKv: kvHeads,
    headDim,
    valueDim: headDim,
    vocabSize: 0,
    contextLength: countMax,
    isEncoder: true,
    patches: { length: patchLength, countMax },
    norm: { kind: norm, epsilon: kind.epsilon ?? keys.float(EPSILON, { min: 0 }) },
    attentionScale: kind.normalizesValues ? 1 : 1 / Math.sqrt(headDim),
    ropes: kind.rope === null ? [] : towerRopes(kind.rope, headDim, keys),
    layers,
    feedForward: {
      activation: kind.activation ?? readActivation(file),
      isGated: isGated(reader),
      activatesUp: false,
      firingThreshold: 0,
    },
    ...PLAIN,
    ...kind.mayLimitProducts && hasLimits(file) && { limitsProducts: true },
  };
}

function hasLimits({ tensors }: GgufFile): boolean {
  return [...tensors.keys()].some((name) => /\.(input|output)_(min|max)$/.test(name));
}

/** All layers see the whole image, or the last one of so many, and the others windows of it. */
function readLayers(
  keys: Hyperparameters,
  { kind, file }: TowerReader,
  { blockCount, images }: { blockCount: number; images: VisionModel["images"] },
): ModelConfig["layers"] {
  // Queries' windows are none of the layers'.
  const windowSide = kind.asksLayers ? null : images.windowSide;
  const rope = kind.rope === null ? null : 0;
  if (kind.hasBands) {
    return readBands(keys, { file }, blockCount).map((band) => ({ ...band, rope }));
  }
  if (kind.namesWindows || kind.hasWindowsOfPositions) {
    const whole = kind.namesWindows ? wholeLayers(file, blockCount) : fourthLayers(blockCount);
    return Array.from({ length: blockCount }, (_, index) => ({
      ...{ slidingWindow: 0, rope },
      ...!whole.has(index) && { windowSide: windowSide! },
    }));
  }
  const period = windowSide === null ? 1 : keys.integer("n_wa_pattern", { min: 0 }) || 1;
  return Array.from({ length: blockCount }, (_, index) => ({
    slidingWindow: 0,
    rope,
    ...(kind.rope?.isByHalves || kind.rope?.isByThirds) && { secondRope: 1 },
    ...windowSide !== null && (index + 1) % period !== 0 && { attentionChunk: windowSide ** 2 },
  }));
}

/** Each fourth one, and the last one. */
function fourthLayers(blockCount: number): ReadonlySet<number> {
  const fourth = Array.from({ length: Math.floor(blockCount / 4) }, (_, i) => 4 * i + 3);
  return new Set([...fourth, blockCount - 1]);
}

/** Which layers see the whole image; an empty list: all of them. */
function wholeLayers(file: GgufFile, blockCount: number): ReadonlySet<number> {
  const key = "clip.vision.wa_layer_indexes";
  const layers = getNumbers(file.metadata, key);
  const isLayer = (layer: number) => Number.isInteger(layer) && layer >= 0 && layer < blockCount;
  const wrong = layers.find((layer) => !isLayer(layer));
  if (wrong === undefined) return new Set(layers.length > 0 ? layers : Array(blockCount).keys());
  throw formatError(
    file,
    `Cannot use metadata "${key}": it names layer ${wrong}, and there are ${blockCount}: get the ` +
      "file again or convert the model again",
  );
}

/** Rows of a step: patches of the largest image, and class tokens. */
function patchCountMax(keys: Hyperparameters, images: VisionModel["images"]): number {
  const { imageSize, patchSize, pixelsMax, classTokenCount } = images;
  const patches = pixelsMax === null
    ? Math.floor(imageSize / patchSize) ** 2
    : Math.floor(pixelsMax / patchSize ** 2);
  if (patches >= 1 && patches <= PATCHES_MAX) return patches + classTokenCount;
  const key = pixelsMax === null ? "image_size" : "image_max_pixels";
  throw keys.wrong(key, `1 to ${PATCHES_MAX} patches of ${patchSize} · ${patchSize} pixels`);
}

function readActivation(file: GgufFile): ModelConfig["feedForward"]["activation"] {
  const keys = new Hyperparameters(file, CLIP);
  const [isGelu, isSilu] = [keys.flag("use_gelu", false), keys.flag("use_silu", false)];
  if (isGelu && isSilu) {
    throw formatError(
      file,
      'Cannot use metadata "clip.use_gelu" and "clip.use_silu": both are true: convert the model ' +
        "again",
    );
  }
  return isGelu ? "gelu" : isSilu ? "silu" : "quickGelu";
}

/** Everything but the projector. */
function readTower(
  reader: TowerReader,
  config: ModelConfig,
  foldedBehind: number | null,
): ModelTensors {
  const { checker, width, kind } = reader;
  const side = Math.sqrt(config.patches!.length / 3);
  const patch = (name: string) =>
    kind.hasFlatPatches
      ? checker.matrix(name, { rows: width, columns: 3 * side * side })
      : checker.kernel(name, { rows: width, side, channels: 3 });
  const tokenEmbedding = {
    ...patch("v.patch_embd.weight"),
    bias: checker.has("v.patch_embd.bias") ? checker.vector("v.patch_embd.bias", width) : null,
  };
  const blockCount = config.blockCount - (foldedBehind === null ? 0 : 1);
  const layers = Array.from({ length: blockCount }, (_, index) => ({
    ...readLayer(reader, index),
    ...kind.hasBands && { attentionSinks: readSinks(reader, config.layers[index], index) },
  }));
  if (foldedBehind !== null) layers.splice(foldedBehind, 0, readFoldingLayer(reader));
  return {
    tokenEmbedding,
    ...kind.hasTwoFrames && { secondFrame: patch("v.patch_embd.weight.1") },
    ...kind.pixelNorm !== null &&
      { pixelNorm: readNorm(reader, kind.pixelNorm, config.patches!.length) },
    ...kind.patchNorm !== null && { patchNorm: readNorm(reader, kind.patchNorm, width) },
    positionEmbedding: null,
    altUp: null,
    embeddingNorm: checker.has(`${kind.embeddingNorm}.weight`)
      ? readNorm(reader, kind.embeddingNorm, width)
      : null,
    tokenInputs: null,
    outputNorm: checker.has(`${kind.lastNorm}.weight`) && !kind.asksLayers
      ? readNorm(reader, kind.lastNorm, width)
      : { weight: null, bias: null },
    output: tokenEmbedding,
    layers,
  };
}
