/**
 * Granite Speech's conformer: names and shapes of its tensors, how it attends, and what is between
 * its layers and behind them.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import { formatError, type Hyperparameters } from "../read/hyperparameters.ts";
import { rowsOf } from "../read/layer_reader.ts";
import type { LayerTensors, MatrixTensor } from "../types.ts";
import { biasedMatrix, readNorm, type TowerReader } from "../vision/read_tower.ts";
import type { FoldTensors } from "../vision_types.ts";
import {
  type ConformerEnd,
  type ConformerForm,
  EMPTY_LAYER,
  type FrameInput,
  LAYERS_OF_BLOCK,
  readFilter,
  readHeads,
  readNeurons,
} from "./conformer_form.ts";
import { readWindowQueries, type WindowNumbers, windowNumbers } from "./read_window_queries.ts";

/** A minute of rows, or what of it is whole windows: where a longer sound is cut. */
const ROWS_MAX = 3000;
/** More than any file has: of rows that see each other, and of distances learned. */
const BLOCK_ROWS_MAX = 8192;
const DISTANCES_MAX = 65_536;
/** Frames side by side. */
const FRAMES_OF_ROW = 2;
/** Neurons at a block's end. */
const LAST = { suffix: "_1", hasPostNorm: false } as const;

/** What a file says of itself. */
interface GraniteNumbers {
  /** Rows that see each other. */
  readonly blockRows: number;
  /** Distances learned, each way. */
  readonly distances: number;
}

/** @throws {ModelFormatError | UnsupportedModelError} when metadata is senseless, or unknown. */
export function graniteConformer(keys: Hyperparameters): ConformerForm {
  if (keys.has("feature_layer")) {
    throw new UnsupportedModelError(
      'Cannot use this projector: its metadata "clip.audio.feature_layer" wants rows of several ' +
        "layers side by side: this version hears by those of the last one, use another model",
    );
  }
  const distances = keys.integer("max_pos_emb", { min: 1, max: DISTANCES_MAX });
  const most = Math.min(BLOCK_ROWS_MAX, distances);
  const blockRows = keys.integer("chunk_size", { min: 1, max: most });
  const windows = windowNumbers(keys);
  const numbers = { blockRows, distances };
  return {
    norm: { kind: "layer", epsilon: keys.float("attention.layer_norm_epsilon", { min: 0 }) },
    rowsMax: Math.max(1, Math.floor(ROWS_MAX / windows.rows)) * windows.rows,
    spectrum: "loudest",
    attention: (headDim) => {
      const attentionScale = 1 / Math.sqrt(headDim);
      return {
        ...{ attentionScale, attentionSoftCap: 0 },
        relative: { rowsSeen: null, blockRows, positionScale: attentionScale, waves: null },
      };
    },
    input: readInput,
    channels: readChannels,
    block: (reader, at) => [
      { ...EMPTY_LAYER, ...readNeurons(reader, at, { suffix: "", hasPostNorm: false }) },
      { ...EMPTY_LAYER, ...readAttention(reader, at, numbers) },
      {
        ...{ ...EMPTY_LAYER, ...readFilter(reader, at, readChannels(reader)) },
        ...readNeurons(reader, at, LAST),
        endNorm: readNorm(reader, `${at}ln2`, reader.width),
      },
    ],
    end: (reader, blockCount) => readEnd(reader, blockCount, windows),
  };
}

/** The file counts bands of two frames. */
function readInput(reader: TowerReader, length: number): FrameInput {
  if (length % FRAMES_OF_ROW !== 0) {
    throw formatError(
      reader.file,
      `Cannot use metadata "clip.audio.num_mel_bins": it must be even, the file says ${length}: ` +
        "get the file again or convert the model again",
    );
  }
  const shape = { rows: reader.width, columns: length };
  return {
    ...{ patches: { length }, framesOfRow: FRAMES_OF_ROW, bands: length / FRAMES_OF_ROW },
    first: biasedMatrix(reader, "a.input_projection", shape),
  };
}

/** Whole heads of them are shared out, as if they attended. */
function readChannels({ checker, file, headDim }: TowerReader): number {
  const name = "a.blk.0.conv_pw1.weight";
  const rows = checker.rowCount(name) ?? 1;
  if (rows % (2 * headDim) === 0) return rows / 2;
  throw formatError(
    file,
    `Cannot use tensor "${name}": it has ${rows} rows, which are not twice so many whole heads ` +
      `of ${headDim}: get the file again or convert the model again`,
  );
}

function readAttention(
  reader: TowerReader,
  at: string,
  { blockRows, distances }: GraniteNumbers,
): Partial<LayerTensors> {
  const { checker, width: d, headDim } = reader;
  const learned: MatrixTensor = checker.matrix(`${at}attn_rel_pos_emb`, {
    ...{ rows: 2 * distances + 1, columns: headDim },
  });
  return {
    attentionNorm: readNorm(reader, `${at}ln1`, d),
    ...readHeads(reader, at),
    relative: { positions: rowsOf(learned, distances - blockRows + 1, 2 * blockRows - 1) },
  };
}

/** What the encoder's middle says aloud goes back into it; queries ask what the last layer left. */
function readEnd(reader: TowerReader, blockCount: number, numbers: WindowNumbers): ConformerEnd {
  const { config, tensors } = readWindowQueries(reader, numbers);
  const behind = LAYERS_OF_BLOCK * Math.floor(blockCount / 2) - 1;
  const fold = readFold(reader);
  // The middle of one block is before it, and nothing is there.
  if (behind < 0) return { config: { windowQueries: config }, tensors: { windowQueries: tensors } };
  return {
    config: { windowQueries: config, fold: { behind, rows: 1, softens: true } },
    tensors: { windowQueries: tensors, fold },
  };
}

function readFold(reader: TowerReader): FoldTensors {
  const { checker, width: d } = reader;
  const [out, back] = ["a.enc_ctc_out", "a.enc_ctc_out_mid"];
  const count = checker.rowCount(`${out}.weight`) ?? 1;
  return {
    norm: null,
    first: biasedMatrix(reader, out, { rows: count, columns: d }),
    second: biasedMatrix(reader, back, { rows: d, columns: count }),
  };
}
