/**
 * Gemma 3n's projector: MobileNet v5, whose blocks a file has stage by stage, each of a kind that
 * its tensors tell, and one matrix behind it. Knows names and shapes; no images.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { GgufFile } from "../../gguf/mod.ts";
import type {
  AskingTensors,
  DepthwiseTensors,
  InvertedBlock,
  InvertedTensors,
  NetworkBlock,
  NetworkConfig,
  NetworkTensors,
} from "../network.ts";
import { formatError, Hyperparameters } from "../read/hyperparameters.ts";
import { rowsOf } from "../read/layer_reader.ts";
import { TensorChecker, VECTOR_TYPES } from "../read/tensor_checker.ts";
import type { NormTensors } from "../types.ts";
import type { ImageConfig, VisionModel } from "../vision_types.ts";
import { PLAIN } from "./plain_tower.ts";
import { readColours } from "./read_images.ts";
import { tensorsOfSounds } from "./tensors_of_sounds.ts";

export const GEMMA_3N = "gemma3nv";

/** Of its norms: no file says it. */
const EPSILON = 1e-6;
/** Rows that come out of an image, whatever its size, are a square of so many on a side. */
const ROWS_SIDE = 16;
/** The first convolution and the first block of each stage keep every other row and column. */
const STAGES = 4;
/** Whose last block's outcome goes on beside the last stage's. */
const KEPT_STAGE = 2;
/** What is kept of an image's sides in that stage has to be a multiple of the rows'. */
const SIDE_UNIT = ROWS_SIDE * 2 ** (KEPT_STAGE + 2);
/** More than any file has: pixels, and rows of a kernel. */
const [SIDE_MAX, KERNEL_MAX] = [1024, 7];
/** Heads' numbers that attention reads at a time. */
const HEAD_UNIT = 4;

interface Reader {
  readonly file: GgufFile;
  readonly checker: TensorChecker;
}

interface Block {
  readonly config: NetworkBlock;
  readonly tensors: InvertedTensors | AskingTensors;
}

/**
 * @throws {ModelFormatError} when metadata or tensors are missing, senseless or contradictory.
 * @throws {UnsupportedModelError} when the file is sound but this version cannot run it.
 */
export function readGemma3n(file: GgufFile): VisionModel {
  const keys = new Hyperparameters(file, "clip.vision");
  const checker = new TensorChecker(file);
  const reader = { file, checker };
  const side = keys.integer("image_size", { min: SIDE_UNIT, max: SIDE_MAX });
  if (side % SIDE_UNIT !== 0) throw keys.wrong("image_size", `a multiple of ${SIDE_UNIT}`);
  const { config, tensors } = readNetwork(reader, side);
  const width = config.fusion.outputs;
  if (keys.integer("embedding_length", { min: 1 }) !== width) {
    throw keys.wrong("embedding_length", `as many as ${FUSION}pw_proj has rows, ${width}`);
  }
  const first = "mm.input_projection.weight";
  const last = checker.matrix(first, { rows: checker.rowCount(first) ?? 1, columns: width });
  const norm = readNorm(reader, "mm.soft_emb_norm", width);
  // Rows of marks, which texts' models have themselves.
  checker.leave("mm.embedding.weight", "mm.hard_emb_norm.weight", ...tensorsOfSounds(file));
  checker.refuseUnused({ start: 0, end: 0 });
  requireFloats(file);
  const none = rowsOf(last, 0, 0);
  const images = readImages(keys, file, side);
  const countMax = ROWS_SIDE ** 2;
  return {
    images,
    description: {
      config: {
        ...{ architecture: "clip", blockCount: 0, embeddingLength: width, feedForwardLength: 1 },
        ...{ headCount: 1, headCountKv: 1, headDim: width, valueDim: width, vocabSize: 0 },
        ...{ contextLength: countMax, isEncoder: true, attentionScale: 1, ropes: [], layers: [] },
        patches: { length: 3 * images.patchSize ** 2, countMax, network: config },
        norm: { kind: "rms", epsilon: EPSILON },
        feedForward: { isGated: false, activatesUp: false, firingThreshold: 0, activation: "gelu" },
        projector: {
          ...{ lacksLastNorm: true, mergedRows: 1, merge: "concat", activation: null },
          ...{ mergedScale: Math.sqrt(width), outputEpsilon: EPSILON, outputLength: last.rows },
          norm: { of: "merged", kind: "rms", epsilon: EPSILON },
        },
        ...PLAIN,
      },
      tensors: {
        ...{ tokenEmbedding: none, output: none, positionEmbedding: null, altUp: null },
        ...{ embeddingNorm: null, tokenInputs: null, outputNorm: { weight: null, bias: null } },
        ...{ layers: [], network: tensors, projector: { norm, first: last, second: null } },
      },
    },
  };
}

const STEM = "v.conv_stem.";
const FUSION = "v.msfa.ffn.";

function readNetwork(
  reader: Reader,
  side: number,
): { readonly config: NetworkConfig; readonly tensors: NetworkTensors } {
  const { file, checker } = reader;
  const stemName = `${STEM}conv.weight`, biasName = `${STEM}conv.bias`;
  const channels = file.tensors.get(stemName)?.dims[3] ?? 1;
  const stem = {
    ...checker.kernel(stemName, { rows: channels, channels: 3, side: 3 }),
    bias: checker.has(biasName) ? checker.channels(biasName, channels) : null,
  };
  const stages: Block[][] = [];
  let last = channels;
  for (let stage = 0; stage < STAGES; stage++) {
    stages.push(readStage(reader, stage, last));
    last = outputsOf(stages[stage].at(-1)!.config);
  }
  const blocks = stages.flat();
  const kept = stages.slice(0, KEPT_STAGE + 1).flat().length - 1;
  const fusion = readInverted(reader, FUSION, {
    ...{ channels: outputsOf(blocks[kept].config) + last, stride: 1 as const },
  });
  const config: NetworkConfig = {
    ...{ side, rowsSide: ROWS_SIDE, epsilon: EPSILON, channels, kept },
    ...{ blocks: blocks.map(({ config }) => config), fusion: fusion.config },
  };
  return {
    config,
    tensors: {
      ...{ stem, stemNorm: readNorm(reader, `${STEM}bn`, channels) },
      ...{ blocks: blocks.map(({ tensors }) => tensors), fusion: fusion.tensors },
      lastNorm: readNorm(reader, "v.msfa.norm", fusion.config.outputs),
    },
  };
}

function outputsOf(block: NetworkBlock): number {
  return block.kind === "inverted" ? block.outputs : block.channels;
}

/** Blocks as long as there is one more. */
function readStage(reader: Reader, stage: number, before: number): Block[] {
  const { checker, file } = reader;
  const blocks: Block[] = [];
  let channels = before;
  for (;;) {
    const at = `v.blk.${stage}.${blocks.length}.`;
    const asks = checker.has(`${at}attn.query.proj.weight`);
    const isThere = asks || checker.has(`${at}conv_exp.weight`) ||
      checker.has(`${at}pw_exp.conv.weight`);
    if (!isThere) break;
    const stride = blocks.length === 0 ? 2 : 1;
    const block = asks
      ? readAsking(reader, at, channels)
      : readInverted(reader, at, { channels, stride });
    if (stride === 2 && !keepsFewer(block.config)) {
      throw formatError(
        file,
        `Cannot use this projector: block "${at}" begins a stage, and has no convolution that ` +
          "keeps every other row: get the file again or convert the model again",
      );
    }
    channels = outputsOf(block.config);
    blocks.push(block);
  }
  if (blocks.length > 0) return blocks;
  throw formatError(
    file,
    `Cannot use this projector: it has no tensors of stage ${stage}, "v.blk.${stage}.0. …": get ` +
      "the file again or convert the model again",
  );
}

function keepsFewer(block: NetworkBlock): boolean {
  return block.kind === "inverted" && (block.midSide > 0 || block.side > 1);
}

/** Two forms: a whole convolution first, or one of each channel by itself before, or between. */
function readInverted(
  reader: Reader,
  at: string,
  { channels, stride }: Pick<InvertedBlock, "channels" | "stride">,
): { readonly config: InvertedBlock; readonly tensors: InvertedTensors } {
  const { checker, file } = reader;
  const isEdge = checker.has(`${at}conv_exp.weight`);
  const [first, second] = isEdge
    ? [`${at}conv_exp.weight`, `${at}conv_pwl.weight`]
    : [`${at}pw_exp.conv.weight`, `${at}pw_proj.conv.weight`];
  const [hidden, outputs] = [first, second].map((name) => file.tensors.get(name)?.dims[3] ?? 1);
  const side = isEdge ? 3 : 1;
  const start = isEdge ? null : readDepthwise(reader, `${at}dw_start.`, channels);
  const mid = isEdge ? null : readDepthwise(reader, `${at}dw_mid.`, hidden);
  const gains = `${at}layer_scale.gamma`;
  return {
    config: {
      ...{ kind: "inverted", channels, hidden, outputs, side, stride },
      ...{ startSide: start?.side ?? 0, midSide: mid?.side ?? 0 },
    },
    tensors: {
      ...{ start: start && start.tensors, mid: mid && mid.tensors },
      first: checker.kernel(first, { rows: hidden, channels, side }),
      firstNorm: readNorm(reader, isEdge ? `${at}bn1` : `${at}pw_exp.bn`, hidden),
      second: checker.kernel(second, { rows: outputs, channels: hidden, side: 1 }),
      secondNorm: readNorm(reader, isEdge ? `${at}bn2` : `${at}pw_proj.bn`, outputs),
      gains: checker.has(gains) ? checker.channels(gains, outputs) : null,
    },
  };
}

/** Null: there is none. */
function readDepthwise(
  reader: Reader,
  at: string,
  channels: number,
  names: readonly [kernels: string, norm: string] = ["conv.weight", "bn"],
): { readonly side: number; readonly tensors: DepthwiseTensors } | null {
  const { checker, file } = reader;
  const name = `${at}${names[0]}`;
  if (!checker.has(name)) return null;
  const side = file.tensors.get(name)!.dims[0];
  if (side % 2 === 0 || side > KERNEL_MAX) {
    throw formatError(
      file,
      `Cannot use tensor "${name}": its kernels have ${side} columns, odd numbers of them up to ` +
        `${KERNEL_MAX} are possible: get the file again or convert the model again`,
    );
  }
  const kernels = checker.planeKernels(name, channels, side);
  return { side, tensors: { kernels, norm: readNorm(reader, `${at}${names[1]}`, channels) } };
}

function readAsking(reader: Reader, at: string, channels: number): Block {
  const { checker, file } = reader;
  const rowsIn = (name: string) => file.tensors.get(`${at}attn.${name}.weight`)?.dims[3] ?? 1;
  const [width, headDim] = [rowsIn("query.proj"), rowsIn("key.proj")];
  if (width % headDim !== 0 || headDim % HEAD_UNIT !== 0) {
    throw formatError(
      file,
      `Cannot use tensor "${at}attn.query.proj.weight": its ${width} rows are no heads of ` +
        `${headDim}, or those are no multiple of ${HEAD_UNIT}: get the file again or convert the ` +
        "model again",
    );
  }
  const matrix = (name: string, rows: number, columns: number) =>
    checker.kernel(`${at}attn.${name}.weight`, { rows, channels: columns, side: 1 });
  const down = (of: string) =>
    readDepthwise(reader, `${at}attn.${of}.`, channels, ["down_conv.weight", "norm"]);
  const [ofKeys, ofValues] = [down("key"), down("value")];
  if (ofKeys?.side !== ofValues?.side) {
    throw formatError(
      file,
      `Cannot use block "${at}": its keys and its values are not convolved alike: get the file ` +
        "again or convert the model again",
    );
  }
  const gains = `${at}layer_scale.gamma`;
  return {
    config: {
      ...{ kind: "asking", channels, headCount: width / headDim, headDim },
      keySide: ofKeys?.side ?? 0,
    },
    tensors: {
      norm: readNorm(reader, `${at}norm`, channels),
      query: matrix("query.proj", width, channels),
      key: { down: ofKeys && ofKeys.tensors, matrix: matrix("key.proj", headDim, channels) },
      value: {
        down: ofValues && ofValues.tensors,
        matrix: matrix("value.proj", headDim, channels),
      },
      output: matrix("output.proj", channels, width),
      gains: checker.has(gains) ? checker.channels(gains, channels) : null,
    },
  };
}

function readNorm({ checker }: Reader, name: string, length: number): NormTensors {
  return { weight: checker.vector(`${name}.weight`, length), bias: null };
}

/** Rows of kernels are of ones or threes in files: no block divides them. */
function requireFloats({ tensors }: GgufFile): void {
  const other = [...tensors.values()].find(({ name, type }) =>
    name.startsWith("v.") && !VECTOR_TYPES.includes(type)
  );
  if (other === undefined) return;
  throw new UnsupportedModelError(
    `Cannot use this projector: tensor "${other.name}" has the type ${other.type}: this version ` +
      `computes with ${VECTOR_TYPES.join(", ")} there`,
  );
}

function readImages(keys: Hyperparameters, file: GgufFile, imageSize: number): ImageConfig {
  return {
    ...{ projector: GEMMA_3N, imageSize, patchSize: imageSize / ROWS_SIDE, mergeSide: 1 },
    mean: readColours(keys, { file }, "image_mean"),
    deviation: readColours(keys, { file }, "image_std"),
    ...{ positions: null, classTokens: null, classTokenCount: 0, patchBias: null },
    ...{ firstPosition: null, windowSide: null, lineBreak: null, pixelsMin: null },
    ...{ pixelsMax: null, longestEdge: null, tilesMin: null, tilesMax: null, gridSizes: [] },
  };
}
