/** LFM2-Audio's conformer (NVIDIA's fast one): names and shapes of its tensors, how it attends. */
import { halvedThrice } from "../plane.ts";
import type { LayerTensors, VectorTensor } from "../types.ts";
import { biasedMatrix, readNorm, type TowerReader } from "../vision/read_tower.ts";
import type { DepthwiseTensors } from "../conformer_types.ts";
import {
  channelsOf,
  type ConformerForm,
  denseKernels,
  EMPTY_LAYER,
  readFilter,
  readHeads,
  readNeurons,
  subsampledFrames,
  type Subsampling,
} from "./conformer_form.ts";

/** A minute; rows see all of a part, so that a longer one would take ever more. */
const ROWS_MAX = 750;
/** Neurons at a block's end. */
const LAST = { suffix: "_1", hasPostNorm: false } as const;
const EPSILON = 1e-5;

export const FAST_CONFORMER: ConformerForm = {
  norm: { kind: "layer", epsilon: EPSILON },
  ...{ rowsMax: ROWS_MAX, spectrum: "even" },
  attention: (headDim) => {
    const attentionScale = 1 / Math.sqrt(headDim);
    return {
      ...{ attentionScale, attentionSoftCap: 0 },
      relative: { rowsSeen: null, positionScale: attentionScale, waves: "pairs" },
    };
  },
  input: (reader, bands) => subsampledFrames(readSubsampling(reader, bands)),
  block: (reader, at) => [
    { ...EMPTY_LAYER, ...readNeurons(reader, at, { suffix: "", hasPostNorm: false }) },
    { ...EMPTY_LAYER, ...readAttention(reader, at) },
    {
      ...{ ...EMPTY_LAYER, ...readFilter(reader, at), ...readNeurons(reader, at, LAST) },
      endNorm: readNorm(reader, `${at}ln2`, reader.width),
    },
  ],
};

function readSubsampling(reader: TowerReader, bands: number): Subsampling {
  const { checker, width } = reader;
  const channels = channelsOf(reader, "a.conv1d.0");
  // Places of a plane are between: [1, 1, channels].
  const sum = (name: string): VectorTensor => checker.stackedVectors(`${name}.bias`, 1, channels);
  const stage = (kernels: string, mix: string): DepthwiseTensors => ({
    kernels: checker.planeKernels(`${kernels}.weight`, channels),
    bias: sum(kernels),
    mix: {
      ...checker.kernel(`${mix}.weight`, { rows: channels, channels, side: 1 }),
      bias: sum(mix),
    },
  });
  const columns = channels * halvedThrice(bands);
  return {
    config: { bands, channels: [channels, channels, channels], epsilon: null, order: "byChannel" },
    first: {
      ...denseKernels(reader, "a.conv1d.0", { channels, inputs: 1 }),
      bias: sum("a.conv1d.0"),
    },
    tensors: {
      others: [stage("a.conv1d.2", "a.conv1d.3"), stage("a.conv1d.5", "a.conv1d.6")],
      norms: [],
      output: biasedMatrix(reader, "a.pre_encode.out", { rows: width, columns }),
    },
  };
}

function readAttention(reader: TowerReader, at: string): Partial<LayerTensors> {
  const { checker, width: d, heads, headDim } = reader;
  return {
    attentionNorm: readNorm(reader, `${at}ln1`, d),
    ...readHeads(reader, at),
    relative: {
      positions: checker.matrix(`${at}linear_pos.weight`, { rows: d, columns: d }),
      keySum: checker.vector(`${at}pos_bias_u`, headDim, heads),
      positionSum: checker.vector(`${at}pos_bias_v`, headDim, heads),
    },
  };
}
