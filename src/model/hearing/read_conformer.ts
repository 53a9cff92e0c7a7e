/**
 * A projector's file that hears by a conformer: its convolutions, its layers, each of which is
 * three of the walk, and its projector. Knows names and shapes; reads no weights.
 */
import type { GgufFile } from "../../gguf/mod.ts";
import { Hyperparameters } from "../read/hyperparameters.ts";
import { CLIP } from "../read/read_vision.ts";
import { TensorChecker } from "../read/tensor_checker.ts";
import type { LayerConfig, ModelConfig } from "../types.ts";
import { PLAIN } from "../vision/plain_tower.ts";
import { readProjector } from "../vision/read_projector.ts";
import type { TowerReader } from "../vision/read_tower.ts";
import type { HearingModel } from "../vision_types.ts";
import { type ConformerForm, type FrameInput, LAYERS_OF_BLOCK } from "./conformer_form.ts";
import type { HearingKind } from "./kinds.ts";
import { tensorsOfImages } from "./tensors_of_images.ts";

/** Numbers beyond which no file is sensible, and a step would fill the memory. */
const BLOCK_COUNT_MAX = 341;
const MELS_MAX = 1024;

/** Of what neurons give. */
const NEURON_SHARE = 0.5;

const PLAIN_LAYER = { slidingWindow: 0, rope: null };

/** @throws {ModelFormatError | UnsupportedModelError} as `readHearing`. */
export function readConformer(
  file: GgufFile,
  kind: HearingKind,
  formOf: ConformerForm | ((keys: Hyperparameters) => ConformerForm),
): HearingModel {
  const keys = new Hyperparameters(file, "clip.audio");
  const form = typeof formOf === "function" ? formOf(keys) : formOf;
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
  const input = form.input(reader, bands);
  const layers = Array.from(
    { length: blockCount },
    (_, index) => form.block(reader, `a.blk.${index}.`),
  );
  const projector = readLastRows(reader, { blockCount, epsilon: form.norm.epsilon });
  const end = form.end?.(reader, blockCount) ?? { config: {}, tensors: {} };
  checker.leave(...kind.unused, ...tensorsOfImages(file));
  checker.refuseUnused({ start: 0, end: 0 });
  const { rowsMax, spectrum, filters } = form;
  const { first, framesOfRow, subsampling } = input;
  const { windowQueries: windows } = end.config;
  return {
    description: {
      config: {
        ...configOf(reader, form, { blockCount, input }),
        projector: { ...projector.config, ...end.config },
      },
      tensors: {
        ...{ tokenEmbedding: first, output: first },
        ...subsampling && { subsampling },
        ...{ positionEmbedding: null, altUp: null, embeddingNorm: null, tokenInputs: null },
        outputNorm: { weight: null, bias: null },
        ...{ layers: layers.flat(), projector: { ...projector.tensors, ...end.tensors } },
      },
    },
    sounds: {
      ...{ projector: kind.name, melCount: input.bands, framesOfRow, rowsMax },
      ...{ ...spectrum && { spectrum }, ...filters && { filters }, ...windows && { windows } },
      ...{ positions: null, rowsOfOne: 1, isPadded: false, isWhole: false },
    },
  };
}

function configOf(
  reader: TowerReader,
  form: ConformerForm,
  { blockCount, input }: { readonly blockCount: number; readonly input: FrameInput },
): ModelConfig {
  const { checker, width, heads, headDim } = reader;
  const feedForwardLength = checker.rowCount("a.blk.0.ffn_up.weight") ?? 1;
  const shape = { headDim, valueDim: headDim, feedForwardLength };
  const filtering = (form.channels?.(reader) ?? width) / headDim;
  const own = { ...shape, headCount: filtering, headCountKv: filtering };
  const block: readonly LayerConfig[] = [
    { ...PLAIN_LAYER, attends: false, neuronShare: NEURON_SHARE },
    { ...PLAIN_LAYER, hasNeurons: false },
    { ...PLAIN_LAYER, neuronShare: NEURON_SHARE, ...filtering !== heads && { shape: own } },
  ];
  return {
    ...{ architecture: CLIP, embeddingLength: width },
    blockCount: LAYERS_OF_BLOCK * blockCount,
    ...{ ...shape, headCount: heads, headCountKv: heads },
    ...{ vocabSize: 0, contextLength: form.rowsMax, isEncoder: true },
    patches: { ...input.patches, countMax: form.rowsMax },
    norm: form.norm,
    ropes: [],
    layers: Array.from({ length: blockCount }, () => block).flat(),
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
  if (config.activation !== null || tensors.second === null) return { config, tensors };
  const { rows } = tensors.first;
  const norm = "mm.a.soft_emb_norm.weight";
  const weight = checker.has(norm) ? checker.vector(norm, rows) : null;
  return {
    config: { ...config, hiddenEpsilon: epsilon, hiddenLength: rows },
    tensors: { ...tensors, hiddenNorm: { weight, bias: null } },
  };
}
