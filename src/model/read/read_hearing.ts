/**
 * From the parsed header of a projector's file that hears (llama.cpp's mmproj with
 * `clip.has_audio_encoder`) to the description of its tower: Whisper's encoder, which frames of a
 * spectrogram go into, or another one, and a projector behind it. Knows names and shapes; reads no
 * weights.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import { getString, type GgufFile } from "../../gguf/mod.ts";
import { HEARING, type HearingKind } from "../hearing/kinds.ts";
import { readConformer } from "../hearing/read_conformer.ts";
import { type PlaneTensors, readPlane } from "../hearing/read_plane.ts";
import { readUnencoded } from "../hearing/read_unencoded.ts";
import { tensorsOfImages } from "../hearing/tensors_of_images.ts";
import { framesOfRow, halvedThrice } from "../plane.ts";
import type { MatrixTensor, ModelConfig, ModelTensors, VectorTensor } from "../types.ts";
import { PLAIN } from "../vision/plain_tower.ts";
import { readProjector } from "../vision/read_projector.ts";
import { neuronCount, readLayer, readNorm, type TowerReader } from "../vision/read_tower.ts";
import type { HearingModel, SoundConfig } from "../vision_types.ts";
import { formatError, Hyperparameters } from "./hyperparameters.ts";
import { CLIP } from "./read_vision.ts";
import { TensorChecker } from "./tensor_checker.ts";

/** Values of `clip.projector_type` that this version runs of files that hear. */
export const HEARING_KINDS: readonly string[] = HEARING.map(({ name }) => name);

const BLOCK_COUNT_MAX = 1024;
/** Numbers beyond which no file is sensible, and a step would fill the memory. */
const MELS_MAX = 1024;
const POSITIONS_MAX = 65536;
const STACK_MAX = 64;

/** Frames that a convolution sees. */
const TAPS = 3;
/** Frames that become one row: the second convolution makes every other one. */
const FRAMES_OF_ROW = 2;

/**
 * Whether it is the file of a projector that hears; of one that sees as well, whether in a way that
 * this version knows.
 */
export function hears(file: GgufFile): boolean {
  const keys = new Hyperparameters(file, CLIP);
  if (getString(file.metadata, "general.architecture") !== CLIP) return false;
  if (!keys.flag("has_audio_encoder", false)) return false;
  return !keys.flag("has_vision_encoder", false) || kindOf(file) !== undefined;
}

/** Whether it is no projector that hears alone: everything else is taken for one that sees. */
export function sees(file: GgufFile): boolean {
  const keys = new Hyperparameters(file, CLIP);
  const isOfSounds = getString(file.metadata, "general.architecture") === CLIP &&
    keys.flag("has_audio_encoder", false);
  return !isOfSounds || keys.flag("has_vision_encoder", false);
}

/**
 * What the tower of a file is that `hears`, and where its tensors are.
 * @throws {ModelFormatError} when metadata or tensors are missing, senseless or contradictory.
 * @throws {UnsupportedModelError} when the file is sound but this version cannot run it.
 */
export function readHearing(file: GgufFile): HearingModel {
  const kind = findKind(file);
  if (kind.samplesOfRow !== undefined) return readUnencoded(file, kind, kind.samplesOfRow);
  if (kind.conformer) return readConformer(file, kind, kind.conformer);
  const keys = new Hyperparameters(file, "clip.audio");
  const width = keys.integer("embedding_length", { min: 1 });
  const heads = keys.integer("attention.head_count", { min: 1, max: width });
  if (width % heads !== 0) {
    throw keys.wrong("attention.head_count", `a divisor of the width, ${width}`);
  }
  const checker = new TensorChecker(file);
  const headDim = width / heads;
  const reader: TowerReader = {
    ...{ file, checker, kind, prefix: "a", width, heads, kvHeads: heads, headDim },
  };
  const blockCount = keys.integer("block_count", { min: 1, max: BLOCK_COUNT_MAX });
  if (blockCount > file.tensors.size) {
    throw keys.wrong("block_count", `at most the number of tensors, ${file.tensors.size}`);
  }
  const stack = kind.isStacked
    ? keys.integer("projector.stack_factor", { min: 1, max: STACK_MAX })
    : 1;
  const sounds = readSounds(keys, reader, { kind, stack });
  const { pieces } = kind;
  const plane = pieces ? readPlane(reader, { ...pieces, bands: sounds.melCount }) : null;
  const config = readConfig(keys, reader, { blockCount, sounds, plane });
  const projector = readStackedProjector(reader, kind, { blockCount, stack, config });
  const tower = readTower(reader, { blockCount, sounds, plane });
  const tensors = { ...tower, projector: projector.tensors };
  const { around } = sounds;
  for (const name of around ? [around.begin, around.end] : []) {
    checker.vector(name, projector.config.outputLength);
  }
  checker.leave(...tensorsOfImages(file));
  checker.refuseUnused({ start: 0, end: 0 });
  return { description: { config: { ...config, projector: projector.config }, tensors }, sounds };
}

function kindOf(file: GgufFile): HearingKind | undefined {
  const name = nameOf(file);
  return HEARING.find((each) => each.name === name);
}

function nameOf(file: GgufFile): string {
  const keys = new Hyperparameters(file, CLIP);
  return keys.text("projector_type") || keys.text("audio.projector_type") || "";
}

function findKind(file: GgufFile): HearingKind {
  const kind = kindOf(file);
  if (kind !== undefined) return kind;
  const name = nameOf(file) || getString(file.metadata, "clip.projector_type");
  throw new UnsupportedModelError(
    `Cannot use a projector of type ${JSON.stringify(name)} to hear: this version runs ` +
      HEARING_KINDS.join(", "),
  );
}

function readSounds(
  keys: Hyperparameters,
  { file, checker, width }: TowerReader,
  { kind, stack }: { readonly kind: HearingKind; readonly stack: number },
): SoundConfig {
  const tensor = "a.position_embd.weight";
  const count = file.tensors.get(tensor)?.dims[1] ?? 1;
  checker.matrix(tensor, { rows: count, columns: width });
  const rowsOfOne = kind.pooledRows * stack;
  const { pieces } = kind;
  const rowsOfPiece = pieces ? halvedThrice(pieces.frames) : 0;
  if (count < rowsOfPiece) {
    throw formatError(
      file,
      `Cannot use tensor "${tensor}": it has ${count} positions, and a piece of a sound ` +
        `${rowsOfPiece}: convert the model again`,
    );
  }
  if (count > POSITIONS_MAX || !kind.isPadded && count % rowsOfOne !== 0) {
    throw new UnsupportedModelError(
      `Cannot use tensor "${tensor}": it has ${count} positions: this version runs towers with a ` +
        `multiple of ${rowsOfOne}, up to ${POSITIONS_MAX}: use another model`,
    );
  }
  return {
    projector: kind.name,
    melCount: keys.integer("num_mel_bins", { min: 1, max: MELS_MAX }),
    rowsMax: pieces ? pieces.most * rowsOfPiece : Math.min(count, kind.partRows ?? count),
    ...pieces && { pieces: pieceOf(pieces.frames) },
    positions: { tensor, count },
    rowsOfOne,
    isPadded: kind.isPadded,
    isWhole: kind.isWhole,
    ...kind.around && { around: kind.around },
  };
}

/** What a piece of so many frames becomes. */
function pieceOf(frames: number): SoundConfig["pieces"] {
  const piece = { frames, rows: halvedThrice(frames) };
  return { ...piece, framesOfRow: framesOfRow(piece) };
}

/** What configuration and tensors of a tower are read by. */
interface TowerParts {
  readonly blockCount: number;
  readonly sounds: SoundConfig;
  readonly plane: PlaneTensors | null;
}

function readConfig(
  keys: Hyperparameters,
  reader: TowerReader,
  { blockCount, sounds, plane }: TowerParts,
): ModelConfig {
  const { width, heads, headDim } = reader;
  const { melCount, rowsMax: countMax } = sounds;
  return {
    ...{ architecture: CLIP, blockCount, embeddingLength: width },
    feedForwardLength: neuronCount(reader),
    ...{ headCount: heads, headCountKv: heads, headDim, valueDim: headDim },
    ...{ vocabSize: 0, contextLength: countMax, isEncoder: true },
    patches: plane
      ? { length: framesOfRow(plane.config) * melCount, countMax, plane: plane.config }
      : { length: FRAMES_OF_ROW * TAPS * melCount, countMax, areConvolved: true },
    norm: { kind: "layer", epsilon: keys.float("attention.layer_norm_epsilon", { min: 0 }) },
    attentionScale: 1 / Math.sqrt(headDim),
    ropes: [],
    layers: Array.from({ length: blockCount }, () => ({ slidingWindow: 0, rope: null })),
    feedForward: { activation: "gelu", isGated: false, activatesUp: false, firingThreshold: 0 },
    ...PLAIN,
  };
}

/** As of images, with what projectors that hear have more. */
function readStackedProjector(
  reader: TowerReader,
  { pooledRows, isPadded, isGated }: HearingKind,
  { blockCount, stack, config: { norm: { epsilon } } }: {
    readonly blockCount: number;
    readonly stack: number;
    readonly config: ModelConfig;
  },
): ReturnType<typeof readProjector> {
  const of = { mergeSide: 1, stack, isHalved: isGated, blockCount, epsilon, activation: null };
  const { config, tensors } = readProjector(reader, of);
  return {
    config: {
      ...config,
      ...pooledRows > 1 && { pooledRows },
      ...isPadded && { isPadded },
      ...isGated && { hiddenEpsilon: reader.kind.projector.norm!.epsilon! },
    },
    tensors: isGated
      ? { ...tensors, hiddenNorm: readNorm(reader, "mm.a.norm_mid", tensors.first.rows) }
      : tensors,
  };
}

/** Everything but the projector. */
function readTower(
  reader: TowerReader,
  { blockCount, sounds: { melCount }, plane }: TowerParts,
): ModelTensors {
  const { width, kind: { lastNorm } } = reader;
  const tokenEmbedding = plane ? plane.first : readConvolution(reader, "a.conv1d.1", melCount);
  return {
    tokenEmbedding,
    ...plane
      ? { planeMatrices: plane.others }
      : { secondConvolution: readConvolution(reader, "a.conv1d.2", width) },
    ...{ positionEmbedding: null, altUp: null, embeddingNorm: null, tokenInputs: null },
    outputNorm: readNorm(reader, lastNorm, width),
    output: tokenEmbedding,
    layers: Array.from({ length: blockCount }, (_, index) => readLayer(reader, index)),
  };
}

/** Kernels [d, channels, 3] as a matrix, each of them a row; biases are [d], or [d, 1]. */
function readConvolution(
  { checker, file, width }: TowerReader,
  name: string,
  channels: number,
): MatrixTensor {
  const kernels = checker.matrix(`${name}.weight`, { columns: TAPS, rows: channels, count: width });
  const isUpright = file.tensors.get(`${name}.bias`)?.dims[0] === 1;
  const bias: VectorTensor = isUpright
    ? checker.vector(`${name}.bias`, 1, width)
    : checker.vector(`${name}.bias`, width);
  return { ...kernels, rows: width, columns: TAPS * channels, bias };
}
