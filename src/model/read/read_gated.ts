/**
 * Keys and tensors of gated residual streams, and of groups of keys that an indexer chooses
 * (Qwen 4). Knows names and shapes; reads no weights.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { Family } from "../family.ts";
import type { GatedMixTensors } from "../gated_types.ts";
import type { LayerConfig, LayerTensors, ModelConfig, ModelTensors } from "../types.ts";
import { type Hyperparameters, isListFor } from "./hyperparameters.ts";
import type { LayerReader } from "./layer_reader.ts";
import { ngramTensors, readNgrams } from "./read_ngrams.ts";
import type { TensorChecker } from "./tensor_checker.ts";

/** More than any model has; keeps corrupt counts from asking for any memory there is. */
const STREAMS_MAX = 8;
const LENGTH_MAX = 65536;
const HEADS_MAX = 1024;
const DIMS_MAX = 1024;
/** Rows of keys are whole ones of so many numbers. */
const DIM_UNIT = 16;
/** Positions of a block of the cache: groups lie in one. */
const POSITION_UNIT = 32;
const RATIOS = "attention.compress_ratios";

interface Input extends Pick<ModelConfig, "embeddingLength" | "layers" | "vocabSize"> {
  readonly usedContext: number;
  readonly headDim: number;
}

/**
 * What such a model has beside others, and its layers with theirs.
 * @throws {ModelFormatError} when a key is missing, out of range, or contradicts another.
 * @throws {UnsupportedModelError} when a width or a number of positions has no kernel.
 */
export function readGated(
  keys: Hyperparameters,
  { gatesStreams }: Family,
  input: Input,
): Pick<ModelConfig, "gatedStreams" | "groupIndexer" | "ngrams"> & Partial<ModelConfig> {
  if (!gatesStreams) return {};
  const of = (name: string) => `hyper_connection.${name}`;
  return {
    gatedStreams: {
      streamCount: keys.integer(of("count"), { min: 2, max: STREAMS_MAX }),
      rank: keys.integer(of("low_rank"), { min: 1, max: LENGTH_MAX }),
    },
    ...readNgrams(keys, input),
    ...readGroups(keys, input),
  };
}

/** Nothing: no context that is used has more positions than are chosen. */
function readGroups(
  keys: Hyperparameters,
  { layers, usedContext, headDim: absent }: Input,
): Pick<ModelConfig, "groupIndexer"> & Partial<Pick<ModelConfig, "layers">> {
  const of = (name: string) => `attention.indexer.${name}`;
  const keyCount = keys.integer(of("top_k"), { min: 1 });
  const headCount = keys.integer(of("head_count"), { min: 1, max: HEADS_MAX });
  const headDim = keys.integer(of("key_length"), { min: 1, max: DIMS_MAX });
  const ratios = readRatios(keys, layers);
  const turned = keys.integer("rope.dimension_count", { min: 1, absent });
  if (turned > headDim) throw keys.wrong(of("key_length"), `${turned} or more, which are turned`);
  if (ratios.every((ratio) => ratio === 0 || usedContext < keyCount + ratio)) return {};
  const instead = `use a context of at most ${keyCount} tokens`;
  for (const ratio of ratios) {
    const isWhole = ratio === 0 || POSITION_UNIT % ratio === 0 && keyCount % ratio === 0;
    refuseUnless(
      isWhole,
      `it chooses ${keyCount} positions by groups of ${ratio}, this version needs a number of ` +
        `whole groups, of which ${POSITION_UNIT} positions are some`,
      instead,
    );
  }
  refuseUnless(
    headDim % DIM_UNIT === 0,
    `its indexer's heads have ${headDim} dimensions, this version needs a multiple of ${DIM_UNIT}`,
    instead,
  );
  return {
    groupIndexer: { headCount, headDim, keyCount },
    layers: layers.map((layer, index) =>
      ratios[index] === 0 ? layer : { ...layer, groupRatio: ratios[index] }
    ),
  };
}

/** Positions of a group by layer; 0: the layer does not attend, or to all. */
function readRatios(
  keys: Hyperparameters,
  layers: readonly LayerConfig[],
): readonly number[] {
  const said = keys.value(RATIOS);
  const list = typeof said === "object"
    ? Array.from(said as ArrayLike<unknown>, Number)
    : layers.map(() => keys.integer(RATIOS, { min: 0, absent: 0 }));
  if (
    typeof said === "object" && !isListFor(keys, list.length, layers.length) ||
    !list.every((ratio) => Number.isInteger(ratio) && ratio >= 0)
  ) {
    throw keys.wrong(RATIOS, `a list of ${layers.length} numbers of tokens, one for each block`);
  }
  return layers.map(({ attends }, index) => attends === false ? 0 : list[index]);
}

function refuseUnless(isSupported: boolean, what: string, instead: string): void {
  if (isSupported) return;
  throw new UnsupportedModelError(`Cannot run this model: ${what}: ${instead}`);
}

/** Of a layer; nothing where there is one stream. */
export function gatedLayer(reader: LayerReader): Pick<LayerTensors, "gated" | "ngrams"> {
  const { checker, config, at } = reader;
  if (config.gatedStreams === undefined) return {};
  const of = (name: string) => mixTensors(checker, at + name, { config, gives: true });
  return {
    gated: { attention: of("hc_attn"), feedForward: of("hc_ffn") },
    ...ngramTensors(reader),
  };
}

/** Of the model's end. */
export function gatedEnd(
  checker: TensorChecker,
  config: ModelConfig,
): Pick<ModelTensors, "gatedEnd"> {
  if (config.gatedStreams === undefined) return {};
  return { gatedEnd: mixTensors(checker, "output_hc", { config, gives: false }) };
}

function mixTensors(
  checker: TensorChecker,
  name: string,
  { config, gives }: { readonly config: ModelConfig; readonly gives: boolean },
): GatedMixTensors {
  const { streamCount, rank } = config.gatedStreams!;
  const all = streamCount * config.embeddingLength;
  return {
    norm: checker.flatVector(`${name}_norm.weight`, config.embeddingLength, streamCount),
    down: checker.matrix(`${name}_down.weight`, { rows: rank, columns: all }),
    up: checker.matrix(`${name}_up.weight`, { rows: all, columns: rank }),
    inject: gives
      ? checker.matrix(`${name}_inject.weight`, { rows: streamCount, columns: all })
      : null,
  };
}

/** Of a layer that chooses groups. */
export function groupIndexerTensors(
  { checker, config, at, index }: LayerReader,
): Pick<LayerTensors, "groupIndexer"> {
  const { groupIndexer, embeddingLength: columns } = config;
  if (groupIndexer === undefined || config.layers[index].groupRatio === undefined) return {};
  const { headCount, headDim } = groupIndexer;
  return {
    groupIndexer: {
      query: checker.matrix(`${at}indexer.q_proj.weight`, { rows: headCount * headDim, columns }),
      key: checker.matrix(`${at}indexer.k_proj.weight`, { rows: headDim, columns }),
      queryNorm: checker.vector(`${at}indexer.q_norm.weight`, headDim),
      keyNorm: checker.vector(`${at}indexer.k_norm.weight`, headDim),
    },
  };
}
