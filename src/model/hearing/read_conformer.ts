/**
 * A projector's file that hears by a conformer: its convolutions, its layers, each of which is
 * three of the walk, and its projector. Knows names and shapes; reads no weights.
 */
import type { GgufFile } from "../../gguf/mod.ts";
import { framesToRow } from "../conformer_types.ts";
import { Hyperparameters } from "../read/hyperparameters.ts";
import { CLIP } from "../read/read_vision.ts";
import { TensorChecker } from "../read/tensor_checker.ts";
import type { LayerConfig, ModelConfig } from "../types.ts";
import { PLAIN } from "../vision/plain_tower.ts";
import { readProjector } from "../vision/read_projector.ts";
import type { TowerReader } from "../vision/read_tower.ts";
import type { HearingModel } from "../vision_types.ts";
import type { ConformerForm, Subsampling } from "./conformer_form.ts";
import type { HearingKind } from "./kinds.ts";
import { tensorsOfImages } from "./tensors_of_images.ts";

/** Numbers beyond which no file is sensible, and a step would fill the memory. */
const BLOCK_COUNT_MAX = 341;
const MELS_MAX = 1024;

/** Of what neurons give. */
const NEURON_SHARE = 0.5;

/** Layers of the walk that one of the file is: neurons; attention; a filter and neurons. */
const PLAIN_LAYER = { slidingWindow: 0, rope: null };
const LAYERS_OF_BLOCK: readonly LayerConfig[] = [
  { ...PLAIN_LAYER, attends: false, neuronShare: NEURON_SHARE },
  { ...PLAIN_LAYER, hasNeurons: false },
  { ...PLAIN_LAYER, neuronShare: NEURON_SHARE },
];

/** @throws {ModelFormatError | UnsupportedModelError} as `readHearing`. */
export function readConformer(
  file: GgufFile,
  kind: HearingKind,
  form: ConformerForm,
): HearingModel {
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
  const subsampling = form.subsampling(reader, bands);
  const layers = Array.from(
    { length: blockCount },
    (_, index) => form.block(reader, `a.blk.${index}.`),
  );
  const projector = readLastRows(reader, { blockCount, epsilon: form.norm.epsilon });
  checker.leave(...kind.unused, ...tensorsOfImages(file));
  checker.refuseUnused({ start: 0, end: 0 });
  const framesOfRow = framesToRow(subsampling.config);
  const { rowsMax, evensBands } = form;
  return {
    description: {
      config: {
        ...configOf(reader, form, { blockCount, subsampling }),
        projector: projector.config,
      },
      tensors: {
        ...{ tokenEmbedding: subsampling.first, output: subsampling.first },
        subsampling: subsampling.tensors,
        ...{ positionEmbedding: null, altUp: null, embeddingNorm: null, tokenInputs: null },
        outputNorm: { weight: null, bias: null },
        ...{ layers: layers.flat(), projector: projector.tensors },
      },
    },
    sounds: {
      ...{ projector: kind.name, melCount: bands, framesOfRow, rowsMax },
      ...evensBands && { evensBands },
      ...{ positions: null, rowsOfOne: 1, isPadded: false, isWhole: false },
    },
  };
}

function configOf(
  { checker, width, heads, headDim }: TowerReader,
  form: ConformerForm,
  { blockCount, subsampling: { config } }: {
    readonly blockCount: number;
    readonly subsampling: Subsampling;
  },
): ModelConfig {
  return {
    ...{ architecture: CLIP, embeddingLength: width },
    blockCount: LAYERS_OF_BLOCK.length * blockCount,
    feedForwardLength: checker.rowCount("a.blk.0.ffn_up.weight") ?? 1,
    ...{ headCount: heads, headCountKv: heads, headDim, valueDim: headDim },
    ...{ vocabSize: 0, contextLength: form.rowsMax, isEncoder: true },
    patches: {
      ...{ length: framesToRow(config) * config.bands, countMax: form.rowsMax },
      subsampling: config,
    },
    norm: form.norm,
    ropes: [],
    layers: Array.from({ length: blockCount }, () => LAYERS_OF_BLOCK).flat(),
    feedForward: { activation: "silu", isGated: false, activatesUp: false, firingThreshold: 0 },
    ...{ ...PLAIN, ...form.attention(headDim) },
  };
}

/** The projector; what lies between two matrices without a curve is normalised. */
function readLastRows(
  reader: TowerReader,
  { blockCount, epsilon }: { readonly blockCount: number; readonly epsilon: number },
): ReturnType<typeof readProjector> {
  const { checker } = reader;
  const of = { mergeSide: 1, blockCount, epsilon, activation: null };
  const { config, tensors } = readProjector(reader, of);
  if (config.activation !== null) return { config, tensors };
  const { rows } = tensors.first;
  const norm = "mm.a.soft_emb_norm.weight";
  const weight = checker.has(norm) ? checker.vector(norm, rows) : null;
  return {
    config: { ...config, hiddenEpsilon: epsilon, hiddenLength: rows },
    tensors: { ...tensors, hiddenNorm: { weight, bias: null } },
  };
}
