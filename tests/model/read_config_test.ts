import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufValue, packStrings, parseGguf } from "../../src/gguf/mod.ts";
import { gemma2 } from "../../src/model/families/gemma2.ts";
import { gemma3 } from "../../src/model/families/gemma3.ts";
import { granite } from "../../src/model/families/granite.ts";
import { llama } from "../../src/model/families/llama.ts";
import { qwen2 } from "../../src/model/families/qwen2.ts";
import { qwen3moe } from "../../src/model/families/qwen3moe.ts";
import { smallthinker } from "../../src/model/families/smallthinker.ts";
import type { ModelConfig } from "../../src/model/mod.ts";
import { readConfig } from "../../src/model/read/read_config.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withMetadata, withoutTensor, withTensor } from "./changed_file.ts";

const LLAMA = parseGguf(tinyModel());

type Changes = Readonly<Record<string, GgufValue | undefined>>;

function configWith(changes: Changes) {
  return readConfig(withMetadata(LLAMA, changes), llama);
}

Deno.test("readConfig() reads which tokens are never said as ranges, without ids that are none", () => {
  const key = "tokenizer.ggml.suppress_tokens";
  const read = (...ids: number[]) => configWith({ [key]: Int32Array.from(ids) }).silencedTokens;
  assertEquals(read(9, 7, 8, 20, 7, -1, 512, 511), [
    { start: 7, end: 10 },
    { start: 20, end: 21 },
    { start: 511, end: 512 },
  ]);
  assertEquals([read(), read(600), configWith({}).silencedTokens], [
    undefined,
    undefined,
    undefined,
  ]);
  assertThrows(() => read(...Array(512).keys()), ModelFormatError, "all tokens");
  assertThrows(() => configWith({ [key]: packStrings(["1"]) }), ModelFormatError, key);
});

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
  ["llama.expert_count", [-1, "many", 4097]],
  ["llama.attention.scale", [-1, NaN]],
  ["llama.hidden_activation", [1]],
];

for (const [key, values] of REFUSED) {
  Deno.test(`readConfig() refuses senseless values of ${key}, naming it`, () => {
    for (const value of values) {
      assertThrows(() => configWith({ [key]: value }), ModelFormatError, `"${key}"`, `${value}`);
    }
  });
}

// fault 20: a huge block count.
Deno.test("readConfig() refuses more than 1024 blocks even of a file with as many tensors", () => {
  const norm = LLAMA.tensors.get("output_norm.weight")!;
  const tensors = new Map(LLAMA.tensors);
  for (let i = 0; i < 2000; i++) tensors.set(`${i}`, norm);
  const file = withMetadata({ ...LLAMA, tensors }, { "llama.block_count": 1025 });
  assertThrows(() => readConfig(file, llama), ModelFormatError, "from 1 to 1024");
});

// fault 20: a vocabulary of another size than the embedding has rows.
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
  assertEquals(config.ropes, [{
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
    factors: null,
  }]);
});

Deno.test("readConfig() lets the head dimension differ from width over heads", () => {
  const config = configWith({
    "llama.attention.head_count": 6,
    "llama.attention.key_length": 24,
    "llama.attention.value_length": 24,
    "llama.rope.dimension_count": 8,
  });
  assertEquals([config.headCount, config.headDim, config.ropes[0].dimensionCount], [6, 24, 8]);
});

Deno.test("readConfig() reads linear scaling, also under its old key", () => {
  const scalingWith = (changes: Changes) => configWith(changes).ropes[0].scaling;
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
  assertEquals(configWith(yarn).ropes[0].scaling, expected as typeof expected & { type: "yarn" });
  const interpolated = configWith({ ...yarn, "llama.rope.scaling.yarn_ext_factor": 0 });
  assertEquals(interpolated.ropes[0].scaling.extrapolation, 0);
  assertEquals(interpolated.ropes[0].scaling.attentionFactor, 1.5);
  const original = configWith({ ...yarn, "llama.rope.scaling.original_context_length": 0 });
  assertEquals(original.ropes[0].scaling.originalContextLength, 256);
});

Deno.test("readConfig() names the tensor of rotary factors when there is one", () => {
  const file = parseGguf(tinyModel({ ropeFactors: true }));
  assertEquals(
    readConfig(file, llama).ropes[0].factors,
    { tensor: "rope_freqs.weight", start: 0, length: 8 },
  );
});

Deno.test("readConfig() obeys a sliding window for llama and not for qwen2", () => {
  const windows = (config: ModelConfig) => config.layers.map((layer) => layer.slidingWindow);
  assertEquals(windows(configWith({ "llama.attention.sliding_window": 128 })), [128, 128]);
  const file = parseGguf(tinyModel({ architecture: "qwen2", slidingWindow: 128 }));
  assertEquals(windows(readConfig(file, qwen2)), [0, 0]);
});

Deno.test("readConfig() takes the pattern of windows from the file, as a period or a list", () => {
  const windows = (pattern: GgufValue | undefined) => gemma3Windows(pattern).join(" ");
  assertEquals(windows(undefined), "8 8 8 8 8 0 8");
  assertEquals(windows(3), "8 8 0 8 8 0 8");
  assertEquals(windows(1), "0 0 0 0 0 0 0");
  assertEquals(windows(0), "8 8 8 8 8 8 8");
  assertEquals(windows([true, false, false, true, true, false, true]), "8 0 0 8 8 0 8");
  assertEquals(windows(Uint8Array.of(0, 0, 0, 1, 0, 0, 1)), "0 0 0 8 0 0 8");
});

Deno.test("readConfig() refuses patterns that are neither, naming the key", () => {
  const wrong = [-1, 1.5, "all", [true, false], new Uint8Array(8), packStrings(Array(7).fill("a"))];
  for (const pattern of wrong) {
    assertThrows(() => gemma3Windows(pattern), ModelFormatError, "sliding_window_pattern");
  }
});

function gemma3Windows(pattern: GgufValue | undefined): number[] {
  const file = parseGguf(tinyModel({ architecture: "gemma3" }));
  const key = "gemma3.attention.sliding_window_pattern";
  const { layers } = readConfig(withMetadata(file, { [key]: pattern }), gemma3);
  return layers.map((layer) => layer.slidingWindow);
}

Deno.test("readConfig() gives windowed layers a rope of their own where the file names one", () => {
  const file = parseGguf(tinyModel({ architecture: "gemma2" }));
  const { ropes, layers } = readConfig(
    withMetadata(file, { "gemma2.rope.freq_base_swa": 500 }),
    gemma2,
  );
  assertEquals(ropes.map((rope) => rope.frequencyBase), [10000, 500]);
  assertEquals(layers.map((layer) => layer.rope), [1, 0, 1]);
});

Deno.test("readConfig() takes the experts' length of old files from the neurons of a token", () => {
  const file = parseGguf(tinyModel({ architecture: "qwen3moe" }));
  const lengthOf = (neurons: number) =>
    readConfig(
      withMetadata(file, {
        "qwen3moe.expert_feed_forward_length": undefined,
        "qwen3moe.feed_forward_length": neurons,
      }),
      qwen3moe,
    ).experts?.feedForwardLength;
  assertEquals(lengthOf(96), 32); // 3 experts a token
  assertThrows(() => lengthOf(97), ModelFormatError, '"qwen3moe.feed_forward_length"');
});

Deno.test("readConfig() reads how experts are weighed", () => {
  const file = parseGguf(tinyModel({ architecture: "smallthinker" }));
  const expertsWith = (changes: Changes) =>
    readConfig(withMetadata(file, changes), smallthinker).experts;
  const key = "smallthinker.expert_gating_func";
  assertEquals(expertsWith({ [key]: 1 })?.gating, "softmax");
  assertEquals(expertsWith({ [key]: 3 })?.gating, "softmaxOfChosen");
  assertEquals(expertsWith({ [key]: 4 })?.gating, "rootSoftplus");
  for (const unsaid of [0, undefined]) {
    assertEquals(expertsWith({ [key]: unsaid })?.gating, "sigmoid");
  }
  assertThrows(() => expertsWith({ [key]: 5 }), UnsupportedModelError, "number 5");
  const weighed = expertsWith({
    "smallthinker.expert_weights_scale": 2.5,
    "smallthinker.expert_weights_norm": false,
  });
  assertEquals([weighed?.weightScale, weighed?.normalizesWeights], [2.5, false]);
});

Deno.test("readConfig() refuses senseless numbers of experts, naming the key", () => {
  const file = parseGguf(tinyModel({ architecture: "qwen3moe" }));
  const attempts: [key: string, values: (GgufValue | undefined)[]][] = [
    ["expert_count", [undefined, 0, -1, 2.5, 2 ** 31]],
    ["expert_used_count", [undefined, 0, 9, Uint32Array.of(1, 2)]],
    ["expert_feed_forward_length", [-1, 0.5]],
    ["expert_gating_func", [-1, "softmax"]],
    ["expert_weights_scale", [-1, NaN]],
    ["expert_weights_norm", [1]],
    ["expert_group_count", [3, 8, 9, -1]], // not in equal groups of two or more
  ];
  for (const [key, values] of attempts) {
    for (const value of values) {
      const changed = withMetadata(file, { [`qwen3moe.${key}`]: value });
      const run = () => readConfig(changed, qwen3moe);
      assertThrows(run, ModelFormatError, `"qwen3moe.${key}"`, `${value}`);
    }
  }
  const used = "qwen3moe.expert_group_used_count";
  for (const value of [undefined, 0, 1, 5]) { // 1: two experts, a token uses three
    const changed = withMetadata(file, { "qwen3moe.expert_group_count": 4, [used]: value });
    assertThrows(() => readConfig(changed, qwen3moe), ModelFormatError, used, `${value}`);
  }
});

Deno.test("readConfig() reads groups of experts, unless a token may use all of them", () => {
  const file = parseGguf(tinyModel({ architecture: "qwen3moe" }));
  const groupsWith = (count: number, used: number) => {
    const groups = { "expert_group_count": count, "expert_group_used_count": used };
    const changes = Object.entries(groups).map(([key, value]) => [`qwen3moe.${key}`, value]);
    return readConfig(withMetadata(file, Object.fromEntries(changes)), qwen3moe).experts?.groups;
  };
  assertEquals(groupsWith(4, 2), { count: 4, usedCount: 2 });
  for (const [count, used] of [[0, 0], [1, 1], [4, 4]]) {
    assertEquals(groupsWith(count, used), undefined);
  }
});

Deno.test("readConfig() refuses negative scales and caps, naming the key", () => {
  const attempts = [
    ["granite", granite, ["embedding_scale", "residual_scale", "logit_scale", "attention.scale"]],
    ["gemma2", gemma2, ["attn_logit_softcapping", "final_logit_softcapping"]],
  ] as const;
  for (const [architecture, family, keys] of attempts) {
    const file = parseGguf(tinyModel({ architecture }));
    for (const key of keys) {
      const changed = withMetadata(file, { [`${architecture}.${key}`]: -1 });
      assertThrows(() => readConfig(changed, family), ModelFormatError, `"${architecture}.${key}"`);
    }
  }
});
