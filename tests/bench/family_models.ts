/**
 * Writes models with the rows of real ones of many families, cut to a few layers, Q4_0 with random
 * weights, for `ganglion bench` and other engines' benchmarks; half a minute to two for each. (The
 * shapes that `synth` has are whole models.)
 *
 *   deno run -A tests/bench/family_models.ts FOLDER [NAME…]
 */
import { f32, list, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "../support/tiny_family.ts";
import {
  TINY_MODELS,
  tinyModel,
  type TinyModelName,
  type TinyModelOptions,
} from "../support/tiny_model.ts";

const COMMON = { type: "Q4_0", vocabSize: 32000, contextLength: 8192 } as const;

/** Rows, heads and layers of a model, and what its family's files say else. */
interface Shape extends Omit<TinyModelOptions, "changes"> {
  readonly architecture: TinyModelName;
  readonly changes?: (family: TinyFamily) => Partial<TinyFamily>;
}

/** Three layers that keep states in front of each one with heads. */
const THREE_IN_FOUR = ["state", "state", "state", "heads"] as const;
const GRANITE_LAYERS = layersOf(8, "state", { 5: "heads" });
const QWEN_STATES = { inner: 4096, state: 128, rank: 32, groups: 16 };

const SHAPES: Readonly<Record<string, Shape>> = {
  "qwen3.5-4b": {
    ...{ architecture: "qwen35", blockCount: 8, embeddingLength: 2560, feedForwardLength: 9216 },
    ...{ headCount: 16, headCountKv: 4, headDim: 256 },
    changes: ({ stateSpace }) => ({
      headDim: 256,
      stateSpace: { ...stateSpace!, ...QWEN_STATES, layers: [...THREE_IN_FOUR, ...THREE_IN_FOUR] },
      keys: {
        "rope.dimension_count": u32(64),
        "rope.dimension_sections": list(Int32Array.of(11, 11, 10, 0)),
      },
    }),
  },
  "qwen3-next": {
    ...{ architecture: "qwen3next", blockCount: 4, embeddingLength: 2048 },
    ...{ headCount: 16, headCountKv: 2, headDim: 256 },
    changes: ({ stateSpace }) => ({
      headDim: 256,
      experts: { count: 96, used: 10, length: 512, shared: 512 },
      stateSpace: { ...stateSpace!, ...QWEN_STATES, layers: THREE_IN_FOUR },
      keys: {
        "rope.dimension_count": u32(64),
        "expert_feed_forward_length": u32(512),
        "expert_shared_feed_forward_length": u32(512),
      },
    }),
  },
  "granite-4-h-micro": {
    ...{ architecture: "granitehybrid", blockCount: 8, embeddingLength: 2048 },
    ...{ feedForwardLength: 8192, headCount: 32, headCountKv: 8, headDim: 64 },
    changes: ({ keys }) => ({
      stateSpace: { inner: 4096, state: 128, rank: 64, groups: 1, layers: GRANITE_LAYERS },
      keys: { ...keys, "attention.scale": f32(1 / 64) },
    }),
  },
  "granite-4-h-tiny": {
    ...{ architecture: "granitehybrid-moe", blockCount: 8, embeddingLength: 1536 },
    ...{ headCount: 12, headCountKv: 4, headDim: 128 },
    changes: ({ keys }) => ({
      experts: { count: 40, used: 6, length: 512, shared: 1024, isPlain: true },
      stateSpace: { inner: 3072, state: 128, rank: 48, groups: 1, layers: GRANITE_LAYERS },
      keys: {
        ...keys,
        "attention.scale": f32(1 / 128),
        "expert_shared_feed_forward_length": u32(1024),
      },
    }),
  },
  "mamba-2": {
    ...{ architecture: "mamba2", blockCount: 12, embeddingLength: 2048 },
    changes: () => ({
      stateSpace: { inner: 4096, state: 128, rank: 64, groups: 1, layers: layersOf(12, "state") },
    }),
  },
  "mamba": {
    ...{ architecture: "mamba", blockCount: 12, embeddingLength: 2048 },
    changes: () => ({
      stateSpace: { inner: 4096, state: 16, rank: 128, layers: layersOf(12, "state") },
    }),
  },
  "falcon-h1-1.5b": {
    ...{ architecture: "falcon-h1", blockCount: 8, embeddingLength: 2048 },
    ...{ feedForwardLength: 4096, headCount: 8, headCountKv: 2, headDim: 128 },
    changes: () => ({
      headDim: 128,
      stateSpace: {
        ...{ inner: 3072, state: 256, rank: 48, groups: 1, hasNorm: false },
        layers: layersOf(8, "both"),
      },
    }),
  },
  "jamba": {
    ...{ architecture: "jamba", blockCount: 8, embeddingLength: 2560 },
    ...{ headCount: 20, headCountKv: 1, headDim: 128 },
    changes: ({ stateSpace }) => ({
      feedForwardLength: 8192,
      experts: undefined,
      stateSpace: {
        ...{ ...stateSpace!, inner: 5120, state: 16, rank: 160 },
        layers: layersOf(8, "state", { 4: "heads" }),
      },
    }),
  },
  "lfm2-1.2b": {
    ...{ architecture: "lfm2", blockCount: 12, embeddingLength: 2048, feedForwardLength: 8192 },
    ...{ headCount: 32, headCountKv: 8, headDim: 64 },
    changes: () => ({
      convolution: { taps: 3, attends: Array.from({ length: 12 }, (_, i) => i % 4 === 2) },
    }),
  },
  "rwkv-7": {
    ...{ architecture: "rwkv7", blockCount: 12, embeddingLength: 2048, feedForwardLength: 8192 },
    changes: () => ({
      embeddingLength: 2048,
      timeMix: {
        ...{ headDim: 64, shiftsNeurons: true },
        ranks: { decay: 96, rate: 96, value: 64, gate: 256 },
      },
    }),
  },
  // Layers as many as llama.cpp knows the model by; half as wide.
  "deepseek-v2-lite": {
    ...{ architecture: "deepseek2", blockCount: 27, embeddingLength: 1024 },
    ...{ feedForwardLength: 5472, headCount: 16, headCountKv: 16 },
    changes: ({ experts, keys }) => ({
      blockCount: 27,
      latent: { length: 512, turned: 64, plain: 128, value: 128 },
      experts: { ...experts!, count: 16, used: 6, length: 704, shared: 1408, leading: 1 },
      keys: {
        ...keys,
        "feed_forward_length": u32(5472),
        "leading_dense_block_count": u32(1),
        "expert_feed_forward_length": u32(704),
        "rope.scaling.original_context_length": u32(4096),
      },
    }),
  },
  "minicpm3-4b": {
    ...{ architecture: "minicpm3", blockCount: 10, embeddingLength: 2560 },
    ...{ feedForwardLength: 6400, headCount: 40, headCountKv: 40 },
    changes: ({ latent }) => ({
      latent: { ...latent!, length: 256, turned: 32, plain: 64, value: 64, query: 768 },
    }),
  },
  "gemma-3": {
    ...{ architecture: "gemma3", blockCount: 14, embeddingLength: 1536, vocabSize: 64000 },
    ...{ feedForwardLength: 8192, headCount: 8, headCountKv: 4, headDim: 256 },
    changes: ({ keys }) => ({
      headDim: 256,
      keys: { ...keys, "attention.sliding_window": u32(1024) },
    }),
  },
  "bitnet-2b": {
    ...{ architecture: "bitnet", type: "TQ2_0", blockCount: 20, embeddingLength: 2560 },
    ...{ feedForwardLength: 6912, headCount: 20, headCountKv: 5, headDim: 128 },
  },
};

/** All layers do one thing, but for some. */
function layersOf<Kind extends string>(
  count: number,
  kind: Kind,
  others: Readonly<Record<number, Kind | "heads">> = {},
): (Kind | "heads")[] {
  return Array.from({ length: count }, (_, layer) => others[layer] ?? kind);
}

const [folder, ...names] = Deno.args;
for (const name of names.length > 0 ? names : Object.keys(SHAPES)) {
  const { changes, ...shape } = SHAPES[name];
  const family: TinyFamily = TINY_MODELS[shape.architecture];
  const options = { ...COMMON, ...shape, changes: changes?.(family) };
  const path = `${folder}/${name}.gguf`;
  Deno.writeFileSync(path, tinyModel(options));
  console.log(path);
}
