/** Gemma 4's conformer: names and shapes of its tensors, and how it attends. */
import { halved } from "../plane.ts";
import { biasedMatrix, readNorm, type TowerReader } from "../vision/read_tower.ts";
import {
  channelsOf,
  type ConformerForm,
  denseKernels,
  EMPTY_LAYER,
  readHeads,
  readNeurons,
  readTaps,
  subsampledFrames,
  type Subsampling,
} from "./conformer_form.ts";
import type { LayerTensors } from "../types.ts";

/** Half a minute, which its authors train with. */
const ROWS_MAX = 750;
/** Rows that a row attends to. */
const ROWS_SEEN = 12;
/** Scores stay below this. */
const SCORE_CAP = 50;
/** Neurons at a block's end. */
const LAST = { suffix: "_1", hasPostNorm: true } as const;
const EPSILON = 1e-6;

export const GEMMA_CONFORMER: ConformerForm = {
  norm: { kind: "rms", epsilon: EPSILON },
  rowsMax: ROWS_MAX,
  attention: (headDim) => {
    const positionScale = 1 / Math.LN2 / Math.sqrt(headDim);
    return {
      // Keys, but no positions, are multiplied by softplus(1) in twos, too.
      attentionScale: positionScale * Math.log(1 + Math.E) / Math.LN2,
      attentionSoftCap: SCORE_CAP,
      relative: { rowsSeen: ROWS_SEEN, positionScale, waves: "halves" },
      limitsProducts: true,
    };
  },
  input: (reader, bands) => subsampledFrames(readSubsampling(reader, bands)),
  block: (reader, at) => [
    { ...EMPTY_LAYER, ...readNeurons(reader, at, { suffix: "", hasPostNorm: true }) },
    { ...EMPTY_LAYER, ...readAttention(reader, at) },
    {
      ...{ ...EMPTY_LAYER, ...readFilter(reader, at), ...readNeurons(reader, at, LAST) },
      endNorm: readNorm(reader, `${at}ln2`, reader.width),
    },
  ],
};

function readSubsampling(reader: TowerReader, bands: number): Subsampling {
  const names = ["a.conv1d.0", "a.conv1d.1"];
  const [between, last] = names.map((name) => channelsOf(reader, name));
  const columns = last * halved(halved(bands));
  return {
    config: { bands, channels: [between, last], epsilon: EPSILON, order: "byBand" },
    first: denseKernels(reader, names[0], { channels: between, inputs: 1 }),
    tensors: {
      others: [denseKernels(reader, names[1], { channels: last, inputs: between })],
      norms: [
        readNorm(reader, `${names[0]}.norm`, between),
        readNorm(reader, `${names[1]}.norm`, last),
      ],
      output: biasedMatrix(reader, "a.input_projection", { rows: reader.width, columns }),
    },
  };
}

function readAttention(reader: TowerReader, at: string): Partial<LayerTensors> {
  const { checker, width: d, headDim } = reader;
  const gains = (name: string) =>
    checker.has(`${at}${name}.weight`) ? checker.vector(`${at}${name}.weight`, headDim) : null;
  const [queryGains, keyGains] = [gains("per_dim_scale"), gains("per_dim_k_scale")];
  const norm = checker.has(`${at}ln1.weight`) ? "ln1" : "attn_pre_norm";
  return {
    attentionNorm: readNorm(reader, at + norm, d),
    ...readHeads(reader, at),
    attentionPostNorm: readNorm(reader, `${at}attn_post_norm`, d),
    relative: {
      positions: checker.matrix(`${at}attn_k_rel.weight`, { rows: d, columns: d }),
      ...queryGains && { queryGains },
      ...keyGains && { keyGains },
    },
  };
}

/** Files have exchanged the names of the norms before the filter and behind its taps. */
function readFilter(reader: TowerReader, at: string): Partial<LayerTensors> {
  const { checker, width: d } = reader;
  const { taps: _, weights, bias, ...matrices } = readTaps(reader, at);
  return {
    attentionNorm: readNorm(reader, `${at}conv_norm`, d),
    ...matrices,
    filter: {
      ...{ weights, tapsAhead: 0, isNormalized: true },
      ...bias && { bias },
      gains: checker.vector(`${at}norm_conv.weight`, d),
    },
  };
}
