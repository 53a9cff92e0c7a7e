/** What sets conformers apart, and what reading their tensors shares. Knows no kind. */
import { KERNEL_SIDE } from "../plane.ts";
import { formatError } from "../read/hyperparameters.ts";
import { rowsOf } from "../read/layer_reader.ts";
import { framesToRow } from "../conformer_types.ts";
import type { SubsamplingConfig, SubsamplingTensors } from "../conformer_types.ts";
import type { LayerTensors, MatrixTensor, ModelConfig, VectorTensor } from "../types.ts";
import type { PatchesConfig, ProjectorConfig, ProjectorTensors } from "../vision_types.ts";
import type { SoundConfig } from "../vision_types.ts";
import { biasedMatrix, NOTHING, readNorm, type TowerReader } from "../vision/read_tower.ts";

/** More than any file has. */
const CHANNELS_MAX = 4096;
const TAPS_MAX = 64;

/** What makes rows of a spectrogram. */
export interface Subsampling {
  readonly config: SubsamplingConfig;
  readonly first: MatrixTensor;
  readonly tensors: SubsamplingTensors;
}

/** What frames become before the first layer. */
export interface FrameInput {
  /** `countMax` left out: the form's. */
  readonly patches: Omit<PatchesConfig, "countMax">;
  /** Frames of a row, and bands of a frame. */
  readonly framesOfRow: number;
  readonly bands: number;
  readonly first: MatrixTensor;
  readonly subsampling?: SubsamplingTensors;
}

/** What is behind the last layer, or between two of them. */
export interface ConformerEnd {
  readonly config: Pick<ProjectorConfig, "fold" | "windowQueries">;
  readonly tensors: Pick<ProjectorTensors, "fold" | "windowQueries">;
}

export interface ConformerForm {
  readonly norm: ModelConfig["norm"];
  /** Rows of a part of a sound. */
  readonly rowsMax: number;
  /** As in `SoundConfig`. */
  readonly spectrum?: SoundConfig["spectrum"];
  readonly filters?: SoundConfig["filters"];
  /** How it attends, with heads of so many dimensions. */
  attention(
    headDim: number,
  ): Pick<ModelConfig, "attentionScale" | "attentionSoftCap" | "relative" | "limitsProducts">;
  /** bands: as the file counts them. */
  input(reader: TowerReader, bands: number): FrameInput;
  /** Channels that a block convolves. Left out: as many as a row has numbers. */
  channels?(reader: TowerReader): number;
  /** The three layers of the walk that block `at` of the file is: `conformer_types.ts`. */
  block(reader: TowerReader, at: string): LayerTensors[];
  /** Left out: the projector, and nothing else. */
  end?(reader: TowerReader, blockCount: number): ConformerEnd;
}

/** Layers of the walk that one of the file is: neurons; attention; a filter and neurons. */
export const LAYERS_OF_BLOCK = 3;

export function subsampledFrames({ config, first, tensors }: Subsampling): FrameInput {
  const { bands } = config, framesOfRow = framesToRow(config);
  return {
    patches: { length: framesOfRow * bands, subsampling: config },
    ...{ framesOfRow, bands, first, subsampling: tensors },
  };
}

/** What layers of a conformer have not, and what each of the three may have. */
export const EMPTY_LAYER: LayerTensors = {
  ...{ ...NOTHING, queryNorm: null, keyNorm: null, valueNorm: null },
  ...{ attentionNorm: null, query: null, key: null, value: null, attentionOutput: null },
  ...{ attentionPostNorm: null },
  ...{ feedForwardNorm: null, feedForward: null, feedForwardPostNorm: null },
};

/** Channels that a convolution gives. */
export function channelsOf({ file }: TowerReader, name: string): number {
  const channels = file.tensors.get(`${name}.weight`)?.dims[3] ?? 1;
  if (channels <= CHANNELS_MAX) return channels;
  throw formatError(
    file,
    `Cannot use tensor "${name}.weight": it has ${channels} kernels, at most ` +
      `${CHANNELS_MAX} are possible: convert the model again`,
  );
}

/** Kernels [channels, inputs, 3, 3]. */
export function denseKernels(
  { checker }: TowerReader,
  name: string,
  { channels, inputs }: { readonly channels: number; readonly inputs: number },
): MatrixTensor {
  const shape = { rows: channels, channels: inputs, side: KERNEL_SIDE };
  return checker.kernel(`${name}.weight`, shape);
}

/** Of a layer's beginning, or, with the suffix "_1", of its end. */
export function readNeurons(
  reader: TowerReader,
  at: string,
  { suffix, hasPostNorm }: { readonly suffix: "" | "_1"; readonly hasPostNorm: boolean },
): Pick<LayerTensors, "feedForwardNorm" | "feedForward" | "feedForwardPostNorm"> {
  const { checker, width: d } = reader;
  const neurons = checker.rowCount("a.blk.0.ffn_up.weight") ?? 1;
  const matrix = (name: string, rows: number, columns: number) =>
    biasedMatrix(reader, `${at}${name}${suffix}`, { rows, columns });
  const post = `${at}ffn_post_norm${suffix}`;
  return {
    feedForwardNorm: readNorm(reader, `${at}ffn_norm${suffix}`, d),
    feedForward: {
      ...{ kind: "dense", gate: null },
      ...{ up: matrix("ffn_up", neurons, d), down: matrix("ffn_down", d, neurons) },
      ...{ isDownTransposed: false, predictor: null },
    },
    feedForwardPostNorm: hasPostNorm ? readNorm(reader, post, d) : null,
  };
}

/** Queries, keys, values and what merges heads. */
export function readHeads(
  reader: TowerReader,
  at: string,
): Pick<LayerTensors, "query" | "key" | "value" | "attentionOutput"> {
  const { width: d } = reader;
  const square = (name: string) => biasedMatrix(reader, at + name, { rows: d, columns: d });
  return {
    ...{ query: square("attn_q"), key: square("attn_k"), value: square("attn_v") },
    attentionOutput: square("attn_out"),
  };
}

/** What is filtered, its gate, what merges channels, and the taps between. */
export function readTaps(
  reader: TowerReader,
  at: string,
  channels = reader.width,
): Pick<LayerTensors, "query" | "key" | "value" | "attentionOutput"> & {
  readonly taps: number;
  readonly weights: VectorTensor;
  readonly bias: VectorTensor | null;
} {
  const { checker, file, width: d } = reader;
  const both = biasedMatrix(reader, `${at}conv_pw1`, { rows: 2 * channels, columns: d });
  const gate = rowsOf(both, channels, channels);
  const name = `${at}conv_dw.weight`;
  const taps = file.tensors.get(name)?.dims[0] ?? 1;
  if (taps > TAPS_MAX) {
    throw formatError(
      file,
      `Cannot use tensor "${name}": it has ${taps} taps, at most ${TAPS_MAX} are possible: ` +
        "convert the model again",
    );
  }
  const bias = `${at}conv_dw.bias`;
  return {
    ...{ query: rowsOf(both, 0, channels), key: gate, value: gate },
    attentionOutput: biasedMatrix(reader, `${at}conv_pw2`, { rows: d, columns: channels }),
    ...{ taps, weights: checker.vector(name, taps, channels) },
    bias: checker.has(bias) ? checker.vector(bias, channels) : null,
  };
}

/** A filter that a gain and a sum make even; as many taps are behind a row's own as before it. */
export function readFilter(
  reader: TowerReader,
  at: string,
  channels = reader.width,
): Partial<LayerTensors> {
  const { checker, file, width: d } = reader;
  const { taps, weights, bias, ...matrices } = readTaps(reader, at, channels);
  const [mean, variance] = [`${at}conv_norm_mean`, `${at}conv_norm_var`];
  if (taps % 2 === 0) {
    throw formatError(
      file,
      `Cannot use tensor "${at}conv_dw.weight": it has ${taps} taps, of which none is in the ` +
        "middle: convert the model again",
    );
  }
  return {
    attentionNorm: readNorm(reader, `${at}norm_conv`, d),
    ...matrices,
    filter: {
      ...{ weights, tapsAhead: (taps - 1) / 2, isNormalized: false },
      ...bias && { bias },
      ...checker.has(mean) && {
        counted: {
          mean: checker.vector(mean, channels),
          variance: checker.vector(variance, channels),
        },
      },
      gains: checker.vector(`${at}conv_norm.weight`, channels),
      sum: checker.vector(`${at}conv_norm.bias`, channels),
    },
  };
}
