/**
 * Metadata keys to compressed keys, to the streams that layers mix, and to the layers whose tokens
 * say which experts they use. Looks at no tensors.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import { readMixedStreams } from "./read_streams.ts";
import type {
  CompressionConfig,
  ExpertsConfig,
  LayerConfig,
  ModelConfig,
  RopeConfig,
} from "../types.ts";

/** More than any model has; keeps corrupt counts from asking for any memory there is. */
const HEADS_MAX = 1024;
const DIMS_MAX = 1024;
const LENGTH_MAX = 65536;
/** Rows of floats lie in arenas in whole ones of so many. */
const DIM_UNIT = 16;
/** Positions that make a key, and those of them of which an indexer chooses keys. */
const RATIOS: readonly number[] = [0, 4, 128];

type Input = Pick<ModelConfig, "headCount" | "headCountKv" | "headDim" | "layers" | "ropes"> & {
  readonly experts: ExpertsConfig | null;
};

/**
 * What such a model has beside others, and its layers with theirs.
 * @throws {ModelFormatError} when a key is missing, out of range, or contradicts another.
 * @throws {UnsupportedModelError} when widths have no kernel.
 */
export function readCompression(
  keys: Hyperparameters,
  input: Input,
): Pick<ModelConfig, "compression" | "hyper" | "layers" | "ropes" | "experts"> {
  const compression = readShape(keys, input);
  const [rope] = input.ropes;
  const plain = ropeOf(rope, input.headDim, rope.frequencyBase, false);
  const base = keys.float("attention.compress_rope_freq_base", { min: 0 });
  const ofKeys = ropeOf(rope, input.headDim, base, true);
  return {
    compression,
    hyper: readMixedStreams(keys),
    ropes: [plain, { ...plain, turnsBack: true }, ofKeys, { ...ofKeys, turnsBack: true }],
    layers: withRatios(keys, input.layers),
    experts: withListed(keys, input.experts!, input.layers.length),
  };
}

function readShape(
  keys: Hyperparameters,
  { headCount, headCountKv, headDim, layers, ropes: [{ dimensionCount: turnedDim }] }: Input,
): CompressionConfig {
  if (headCountKv !== 1) throw keys.wrong("attention.head_count_kv", "1: heads share a key");
  if (layers.some(({ slidingWindow }) => slidingWindow === 0)) {
    throw keys.wrong("attention.sliding_window", "1 or more");
  }
  const group = "attention.output_group_count";
  const groupCount = keys.integer(group, { min: 1, max: headCount });
  if (headCount % groupCount !== 0) throw keys.wrong(group, `a divisor of ${headCount} heads`);
  const of = (name: string) => `attention.indexer.${name}`;
  const dims = keys.integer(of("key_length"), { min: turnedDim, max: DIMS_MAX });
  const wrong = [headDim, dims].find((dim) => dim % DIM_UNIT !== 0);
  if (wrong !== undefined) {
    throw new UnsupportedModelError(
      `Cannot run this model: its heads have ${wrong} dimensions, this version needs a multiple ` +
        `of ${DIM_UNIT}: use another model`,
    );
  }
  return {
    queryLength: keys.integer("attention.q_lora_rank", { min: 1, max: LENGTH_MAX }),
    turnedDim,
    groupCount,
    groupLength: keys.integer("attention.output_lora_rank", { min: 1, max: LENGTH_MAX }),
    indexer: {
      headCount: keys.integer(of("head_count"), { min: 1, max: HEADS_MAX }),
      headDim: dims,
      keyCount: keys.integer(of("top_k"), { min: 1 }),
    },
  };
}

/**
 * Turns the last dimensions of a head; what single tokens' keys alone are turned by knows no
 * stretched context. Cosines and sines have no magnitude.
 */
function ropeOf(
  rope: RopeConfig,
  headDim: number,
  frequencyBase: number,
  isStretched: boolean,
): RopeConfig {
  const { scaling, dimensionCount } = rope;
  const magnitude = scaling.extrapolation === 0
    ? 1
    : 1 / (1 + 0.1 * Math.log(Math.max(1, scaling.factor)));
  return {
    ...rope,
    frequencyBase,
    start: headDim - dimensionCount,
    scaling: isStretched ? { ...scaling, attentionFactor: magnitude } : {
      ...scaling,
      ...{ type: "none", factor: 1, attentionFactor: 1, extrapolation: 0 },
    },
  };
}

function withRatios(
  keys: Hyperparameters,
  layers: readonly LayerConfig[],
): readonly LayerConfig[] {
  const key = "attention.compress_ratios";
  const said = keys.value(key);
  const ratios = typeof said === "object"
    ? Array.from(said as ArrayLike<unknown>, Number).slice(0, layers.length)
    : [];
  if (ratios.length !== layers.length || !ratios.every((each) => RATIOS.includes(each))) {
    throw keys.wrong(key, `0, 4 or 128 for each of ${layers.length} blocks`);
  }
  return layers.map((layer, i) =>
    ratios[i] === 0
      ? { ...layer, rope: 0, backRope: 1 }
      : { ...layer, keyRatio: ratios[i] as LayerConfig["keyRatio"], rope: 2, backRope: 3 }
  );
}

function withListed(
  keys: Hyperparameters,
  experts: ExpertsConfig,
  layerCount: number,
): ExpertsConfig {
  const listedLayers = keys.integer("hash_layer_count", { min: 0, max: layerCount });
  return { ...experts, ...listedLayers > 0 && { listedLayers } };
}
