import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import { type GgufValue, packStrings, parseGguf } from "../../src/gguf/mod.ts";
import { llama } from "../../src/model/families/llama.ts";
import { qwen2 } from "../../src/model/families/qwen2.ts";
import { readConfig } from "../../src/model/read_config.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withMetadata, withoutTensor, withTensor } from "./changed_file.ts";

const LLAMA = parseGguf(tinyModel());

type Changes = Readonly<Record<string, GgufValue | undefined>>;

function configWith(changes: Changes) {
  return readConfig(withMetadata(LLAMA, changes), llama);
}

const REFUSED: readonly (readonly [key: string, values: readonly (GgufValue | undefined)[]])[] = [
  ["llama.block_count", [undefined, 0, -1, 1.5, 1025, 2 ** 31, 2 ** 53, 2n ** 63n, "2", 24]],
  ["llama.embedding_length", [undefined, 0, -64, NaN, Infinity, true]],
  ["llama.feed_forward_length", [undefined, 0, 0.5]],
  ["llama.context_length", [undefined, 0]],
  ["llama.attention.head_count", [undefined, 0, -4, 6, 10, Uint32Array.of(4, 4)]],
  ["llama.attention.head_count_kv", [0, 3, 8, 1.5]],
  ["llama.attention.key_length", [0, -16]],
  ["llama.attention.layer_norm_rms_epsilon", [undefined, NaN, 0, -1e-5, Infinity]],
  ["llama.attention.sliding_window", [-1, 0.5]],
  ["llama.vocab_size", [0, 511, 513, -1]],
  ["llama.rope.dimension_count", [0, 15, 18, 64]],
  ["llama.rope.freq_base", [0, -1, NaN, Infinity]],
  ["llama.rope.scaling.factor", [-2, NaN, Infinity]],
  ["llama.rope.scaling.type", [1]],
  ["llama.rope.scaling.original_context_length", [-1, 0.5]],
  ["llama.rope.scaling.attn_factor", [0, NaN]],
  ["llama.rope.scaling.yarn_beta_fast", [0, NaN]],
  ["llama.rope.scaling.yarn_beta_slow", [0, -1]],
  ["llama.expert_count", [-1, "many"]],
  ["llama.hidden_activation", [1]],
];

for (const [key, values] of REFUSED) {
  Deno.test(`readConfig() refuses senseless values of ${key}, naming it`, () => {
    for (const value of values) {
      assertThrows(() => configWith({ [key]: value }), ModelFormatError, `"${key}"`, `${value}`);
    }
  });
}

Deno.test("readConfig() refuses more than 1024 blocks even of a file with as many tensors", () => {
  const norm = LLAMA.tensors.get("output_norm.weight")!;
  const tensors = new Map(LLAMA.tensors);
  for (let i = 0; i < 2000; i++) tensors.set(`${i}`, norm);
  const file = withMetadata({ ...LLAMA, tensors }, { "llama.block_count": 1025 });
  assertThrows(() => readConfig(file, llama), ModelFormatError, "from 1 to 1024");
});

Deno.test("readConfig() refuses a vocabulary of another size than the embedding table", () => {
  const tokens = packStrings(["a", "b"]);
  assertThrows(
    () => configWith({ "tokenizer.ggml.tokens": tokens }),
    ModelFormatError,
    "it lists 2 tokens",
  );
  const shorter = withTensor(LLAMA, "token_embd.weight", { dims: [64, 500] });
  assertThrows(() => readConfig(shorter, llama), ModelFormatError);
});

Deno.test("readConfig() takes the vocabulary size from the embeddings when no key says it", () => {
  const config = configWith({ "llama.vocab_size": undefined, "tokenizer.ggml.tokens": undefined });
  assertEquals(config.vocabSize, 512);
});

Deno.test("readConfig() refuses a file whose embedding table is missing or a vector", () => {
  const message = '"token_embd.weight"';
  const without = withoutTensor(LLAMA, "token_embd.weight");
  assertThrows(() => readConfig(without, llama), ModelFormatError, message);
  const vector = withTensor(LLAMA, "token_embd.weight", { dims: [64] });
  assertThrows(() => readConfig(vector, llama), ModelFormatError, message);
});

Deno.test("readConfig() fills in what llama files leave out", () => {
  const config = configWith({
    "llama.attention.head_count_kv": undefined,
    "llama.rope.dimension_count": undefined,
    "llama.rope.freq_base": undefined,
  });
  assertEquals(config.headCountKv, 4);
  assertEquals(config.rope, {
    kind: "norm",
    dimensionCount: 16,
    frequencyBase: 10000,
    scaling: {
      type: "none",
      factor: 1,
      originalContextLength: 256,
      attentionFactor: 1,
      extrapolation: 0,
      betaFast: 32,
      betaSlow: 1,
    },
    factorsTensor: null,
  });
});

Deno.test("readConfig() lets the head dimension differ from width over heads", () => {
  const config = configWith({
    "llama.attention.head_count": 6,
    "llama.attention.key_length": 24,
    "llama.attention.value_length": 24,
    "llama.rope.dimension_count": 8,
  });
  assertEquals([config.headCount, config.headDim, config.rope.dimensionCount], [6, 24, 8]);
});

Deno.test("readConfig() reads linear scaling, also under its old key", () => {
  const scalingWith = (changes: Changes) => configWith(changes).rope.scaling;
  const expected = { type: "linear", factor: 4 };
  const pick = ({ type, factor }: { type: string; factor: number }) => ({ type, factor });
  const named = { "llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4 };
  assertEquals(pick(scalingWith(named)), expected);
  assertEquals(pick(scalingWith({ "llama.rope.scaling.factor": 4 })), expected);
  assertEquals(pick(scalingWith({ "llama.rope.scale_linear": 4 })), expected);
  assertEquals(
    pick(scalingWith({ "llama.rope.scaling.factor": 4, "llama.rope.scale_linear": 8 })),
    expected,
  );
  const none = { type: "none", factor: 1 };
  assertEquals(pick(scalingWith({ ...named, "llama.rope.scaling.type": "none" })), none);
  assertEquals(pick(scalingWith({ "llama.rope.scaling.factor": 0 })), none);
});

Deno.test("readConfig() reads YaRN", () => {
  const yarn = {
    "llama.rope.scaling.type": "yarn",
    "llama.rope.scaling.factor": 8,
    "llama.rope.scaling.original_context_length": 32,
    "llama.rope.scaling.attn_factor": 0.5,
    "llama.rope.scaling.yarn_beta_fast": 16,
    "llama.rope.scaling.yarn_beta_slow": 2,
    "llama.rope.scaling.yarn_attn_factor": 3,
  };
  const expected = {
    type: "yarn",
    factor: 8,
    originalContextLength: 32,
    attentionFactor: 0.5,
    extrapolation: 1,
    betaFast: 16,
    betaSlow: 2,
  };
  assertEquals(configWith(yarn).rope.scaling, expected as typeof expected & { type: "yarn" });
  const interpolated = configWith({ ...yarn, "llama.rope.scaling.yarn_ext_factor": 0 });
  assertEquals(interpolated.rope.scaling.extrapolation, 0);
  assertEquals(interpolated.rope.scaling.attentionFactor, 1.5);
  const original = configWith({ ...yarn, "llama.rope.scaling.original_context_length": 0 });
  assertEquals(original.rope.scaling.originalContextLength, 256);
});

Deno.test("readConfig() names the tensor of rotary factors when there is one", () => {
  const file = parseGguf(tinyModel({ ropeFactors: true }));
  assertEquals(readConfig(file, llama).rope.factorsTensor, "rope_freqs.weight");
});

Deno.test("readConfig() obeys a sliding window for llama and not for qwen2", () => {
  assertEquals(configWith({ "llama.attention.sliding_window": 128 }).slidingWindow, 128);
  const file = parseGguf(tinyModel({ architecture: "qwen2", slidingWindow: 128 }));
  assertEquals(readConfig(file, qwen2).slidingWindow, 0);
});
