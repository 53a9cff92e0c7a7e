/**
 * A projector's file that hears by a conformer (Gemma 4's): its convolutions, its layers, each of
 * which is three of the walk, and its projector. Knows names and shapes; reads no weights.
 */
import type { GgufFile } from "../../gguf/mod.ts";
import {
  type FilterTensors,
  FRAMES_OF_ROW,
  type RelativeTensors,
  type SubsamplingConfig,
  type SubsamplingTensors,
} from "../conformer_types.ts";
import { halved, KERNEL_SIDE } from "../plane.ts";
import { formatError, Hyperparameters } from "../read/hyperparameters.ts";
import { rowsOf } from "../read/layer_reader.ts";
import { CLIP } from "../read/read_vision.ts";
import { TensorChecker } from "../read/tensor_checker.ts";
import type { LayerConfig, LayerTensors, MatrixTensor, ModelConfig } from "../types.ts";
import { PLAIN } from "../vision/plain_tower.ts";
import { readProjector } from "../vision/read_projector.ts";
import { NOTHING, plainMatrix, readNorm, type TowerReader } from "../vision/read_tower.ts";
import type { HearingModel } from "../vision_types.ts";
import type { HearingKind } from "./kinds.ts";
import { tensorsOfImages } from "./tensors_of_images.ts";

/** Numbers beyond which no file is sensible, and a step would fill the memory. */
const BLOCK_COUNT_MAX = 341;
const MELS_MAX = 1024;
const CHANNELS_MAX = 4096;
const TAPS_MAX = 64;

/** Rows of a part of a sound, half a minute, which its authors train with. */
const ROWS_MAX = 750;
/** Rows that a row attends to. */
const ROWS_SEEN = 12;
/** Scores stay below this. */
const SCORE_CAP = 50;
/** What keys, but no positions, are multiplied by: softplus(1), in twos. */
const KEY_SCALE = Math.log(1 + Math.E) / Math.LN2;
/** Of what neurons give. */
const NEURON_SHARE = 0.5;

/** Layers of the walk that one of the file is. */
export const LAYERS_OF_BLOCK = 3;

/** @throws {ModelFormatError | UnsupportedModelError} as `readHearing`. */
export function readConformer(file: GgufFile, kind: HearingKind): HearingModel {
  const keys = new Hyperparameters(file, "clip.audio");
  const width = keys.integer("embedding_length", { min: 1 });
  const heads = keys.integer("attention.head_count", { min: 1, max: width });
  if (width % heads !== 0) {
    throw keys.wrong("attention.head_count", `a divisor of the width, ${width}`);
  }
  const blockCount = keys.integer("block_count", { min: 1, max: BLOCK_COUNT_MAX });
  if (blockCount > file.tensors.size) {
    throw keys.wrong("block_count", `at most the number of tensors, ${file.tensors.size}`);
  }
  const bands = keys.integer("num_mel_bins", { min: 1, max: MELS_MAX });
  const checker = new TensorChecker(file);
  const headDim = width / heads;
  const reader: TowerReader = {
    ...{ file, checker, kind, prefix: "a", width, heads, kvHeads: heads, headDim },
  };
  const epsilon = kind.epsilon!;
  const subsampling = readSubsampling(reader, { bands, epsilon });
  const layers = Array.from({ length: blockCount }, (_, index) => readBlock(reader, index));
  const of = { mergeSide: 1, blockCount, epsilon, activation: null };
  const { config, tensors } = readProjector(reader, of);
  const projector = { ...config, hiddenEpsilon: epsilon, hiddenLength: tensors.first.rows };
  const norm = "mm.a.soft_emb_norm";
  const hiddenNorm = checker.has(`${norm}.weight`)
    ? { weight: checker.vector(`${norm}.weight`, tensors.first.rows), bias: null }
    : { weight: null, bias: null };
  checker.leave(...tensorsOfImages(file));
  checker.refuseUnused({ start: 0, end: 0 });
  return {
    description: {
      config: {
        ...configOf(reader, { blockCount, epsilon }),
        patches: {
          ...{ length: FRAMES_OF_ROW * bands, countMax: ROWS_MAX },
          subsampling: subsampling.config,
        },
        projector,
      },
      tensors: {
        ...{ tokenEmbedding: subsampling.first, output: subsampling.first },
        subsampling: subsampling.tensors,
        ...{ positionEmbedding: null, altUp: null, embeddingNorm: null, tokenInputs: null },
        outputNorm: { weight: null, bias: null },
        layers: layers.flat(),
        projector: { ...tensors, hiddenNorm },
      },
    },
    sounds: {
      ...{ projector: kind.name, melCount: bands, framesOfRow: FRAMES_OF_ROW },
      ...{ rowsMax: ROWS_MAX, positions: null, rowsOfOne: 1, isPadded: false, isWhole: false },
    },
  };
}

function configOf(
  { checker, width, heads, headDim }: TowerReader,
  { blockCount, epsilon }: { readonly blockCount: number; readonly epsilon: number },
): Omit<ModelConfig, "patches" | "projector"> {
  const plain = { slidingWindow: 0, rope: null };
  const neurons = { ...plain, neuronShare: NEURON_SHARE };
  const layers: LayerConfig[] = [
    { ...neurons, attends: false },
    { ...plain, hasNeurons: false },
    neurons,
  ];
  return {
    ...{ architecture: CLIP, blockCount: LAYERS_OF_BLOCK * blockCount, embeddingLength: width },
    feedForwardLength: checker.rowCount("a.blk.0.ffn_up.weight") ?? 1,
    ...{ headCount: heads, headCountKv: heads, headDim, valueDim: headDim },
    ...{ vocabSize: 0, contextLength: ROWS_MAX, isEncoder: true },
    norm: { kind: "rms", epsilon },
    attentionScale: KEY_SCALE / Math.LN2 / Math.sqrt(headDim),
    relative: { rowsSeen: ROWS_SEEN, positionScale: 1 / Math.LN2 / Math.sqrt(headDim) },
    ropes: [],
    layers: Array.from({ length: blockCount }, () => layers).flat(),
    feedForward: { activation: "silu", isGated: false, activatesUp: false, firingThreshold: 0 },
    ...PLAIN,
    attentionSoftCap: SCORE_CAP,
    limitsProducts: true,
  };
}

/** What makes rows of a spectrogram. */
function readSubsampling(
  reader: TowerReader,
  { bands, epsilon }: { readonly bands: number; readonly epsilon: number },
): {
  readonly config: SubsamplingConfig;
  readonly first: MatrixTensor;
  readonly tensors: SubsamplingTensors;
} {
  const { checker, file, width } = reader;
  const channelsOf = (name: string) => {
    const channels = file.tensors.get(`${name}.weight`)?.dims[3] ?? 1;
    if (channels <= CHANNELS_MAX) return channels;
    throw formatError(
      file,
      `Cannot use tensor "${name}.weight": it has ${channels} kernels, at most ` +
        `${CHANNELS_MAX} are possible: convert the model again`,
    );
  };
  const names = ["a.conv1d.0", "a.conv1d.1"];
  const channels = [channelsOf(names[0]), channelsOf(names[1])] as const;
  const [first, second] = names.map((name, i) =>
    checker.kernel(`${name}.weight`, {
      ...{ rows: channels[i], channels: i === 0 ? 1 : channels[0], side: KERNEL_SIDE },
    })
  );
  const normOf = (i: number) => readNorm(reader, `${names[i]}.norm`, channels[i]);
  const columns = channels[1] * halved(halved(bands));
  return {
    config: { bands, channels, epsilon },
    first,
    tensors: {
      ...{ second, norms: [normOf(0), normOf(1)] },
      output: plainMatrix(reader, "a.input_projection", { rows: width, columns }),
    },
  };
}

/** The three layers of the walk that block `index` of the file is. */
function readBlock(reader: TowerReader, index: number): LayerTensors[] {
  const at = `a.blk.${index}.`;
  const nothing = {
    ...{ ...NOTHING, queryNorm: null, keyNorm: null, valueNorm: null },
    ...{ attentionNorm: null, query: null, key: null, value: null, attentionOutput: null },
    ...{ attentionPostNorm: null },
    ...{ feedForwardNorm: null, feedForward: null, feedForwardPostNorm: null },
  };
  return [
    { ...nothing, ...readNeurons(reader, at, "") },
    { ...nothing, ...readAttention(reader, at) },
    {
      ...{ ...nothing, ...readFilter(reader, at), ...readNeurons(reader, at, "_1") },
      endNorm: readNorm(reader, `${at}ln2`, reader.width),
    },
  ];
}

type Neurons = Pick<LayerTensors, "feedForwardNorm" | "feedForward" | "feedForwardPostNorm">;

/** Of a layer's beginning, or, with the suffix "_1", of its end. */
function readNeurons(reader: TowerReader, at: string, suffix: "" | "_1"): Neurons {
  const { checker, width: d } = reader;
  const neurons = checker.rowCount("a.blk.0.ffn_up.weight") ?? 1;
  const matrix = (name: string, rows: number, columns: number) =>
    plainMatrix(reader, `${at}${name}${suffix}`, { rows, columns });
  return {
    feedForwardNorm: readNorm(reader, `${at}ffn_norm${suffix}`, d),
    feedForward: {
      ...{ kind: "dense", gate: null },
      ...{ up: matrix("ffn_up", neurons, d), down: matrix("ffn_down", d, neurons) },
      ...{ isDownTransposed: false, predictor: null },
    },
    feedForwardPostNorm: readNorm(reader, `${at}ffn_post_norm${suffix}`, d),
  };
}

type Mixer = Pick<LayerTensors, "attentionNorm" | "query" | "key" | "value" | "attentionOutput">;

function readAttention(
  reader: TowerReader,
  at: string,
): Mixer & Pick<LayerTensors, "attentionPostNorm"> & { readonly relative: RelativeTensors } {
  const { checker, width: d, headDim } = reader;
  const square = (name: string) => plainMatrix(reader, at + name, { rows: d, columns: d });
  const gains = (name: string) =>
    checker.has(`${at}${name}.weight`) ? checker.vector(`${at}${name}.weight`, headDim) : null;
  const [queryGains, keyGains] = [gains("per_dim_scale"), gains("per_dim_k_scale")];
  const norm = checker.has(`${at}ln1.weight`) ? "ln1" : "attn_pre_norm";
  return {
    attentionNorm: readNorm(reader, at + norm, d),
    ...{ query: square("attn_q"), key: square("attn_k"), value: square("attn_v") },
    attentionOutput: square("attn_out"),
    attentionPostNorm: readNorm(reader, `${at}attn_post_norm`, d),
    relative: {
      positions: checker.matrix(`${at}attn_k_rel.weight`, { rows: d, columns: d }),
      ...queryGains && { queryGains },
      ...keyGains && { keyGains },
    },
  };
}

/** Files have exchanged the names of the norms before the filter and behind its taps. */
function readFilter(
  reader: TowerReader,
  at: string,
): Mixer & { readonly filter: FilterTensors } {
  const { checker, file, width: d } = reader;
  const both = plainMatrix(reader, `${at}conv_pw1`, { rows: 2 * d, columns: d });
  const gate = rowsOf(both, d, d);
  const weights = `${at}conv_dw.weight`;
  const taps = file.tensors.get(weights)?.dims[0] ?? 1;
  if (taps > TAPS_MAX) {
    throw formatError(
      file,
      `Cannot use tensor "${weights}": it has ${taps} taps, at most ${TAPS_MAX} are possible: ` +
        "convert the model again",
    );
  }
  const bias = `${at}conv_dw.bias`;
  return {
    attentionNorm: readNorm(reader, `${at}conv_norm`, d),
    ...{ query: rowsOf(both, 0, d), key: gate, value: gate },
    attentionOutput: plainMatrix(reader, `${at}conv_pw2`, { rows: d, columns: d }),
    filter: {
      weights: checker.vector(weights, taps, d),
      ...checker.has(bias) && { bias: checker.vector(bias, d) },
      norm: checker.vector(`${at}norm_conv.weight`, d),
    },
  };
}
