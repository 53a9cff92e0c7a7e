import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufFile, openGguf, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel, SUPPORTED_ARCHITECTURES } from "../../src/model/mod.ts";
import { sharedPath, sharedTest } from "../support/shared.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withMetadata, withTensor } from "./changed_file.ts";

const LLAMA = parseGguf(tinyModel());
const QWEN2 = parseGguf(tinyModel({ architecture: "qwen2", tied: true }));

Deno.test("describeModel() reads a llama", () => {
  const { config, tensors } = describeModel(LLAMA);
  assertEquals({ ...config, rmsEpsilon: 0, rope: null }, {
    architecture: "llama",
    blockCount: 2,
    embeddingLength: 64,
    feedForwardLength: 96,
    headCount: 4,
    headCountKv: 2,
    headDim: 16,
    vocabSize: 512,
    contextLength: 256,
    rmsEpsilon: 0,
    rope: null,
    slidingWindow: 0,
    tiedEmbeddings: false,
    qkvBias: false,
  });
  assertEquals(config.rmsEpsilon, Math.fround(1e-5));
  assertEquals(config.rope.kind, "norm");
  assertEquals(tensors.tokenEmbedding, "token_embd.weight");
  assertEquals(tensors.output, "output.weight");
  assertEquals(tensors.layers.length, 2);
  assertEquals(tensors.layers[1], {
    attentionNorm: "blk.1.attn_norm.weight",
    query: "blk.1.attn_q.weight",
    key: "blk.1.attn_k.weight",
    value: "blk.1.attn_v.weight",
    queryBias: null,
    keyBias: null,
    valueBias: null,
    attentionOutput: "blk.1.attn_output.weight",
    feedForwardNorm: "blk.1.ffn_norm.weight",
    gate: "blk.1.ffn_gate.weight",
    up: "blk.1.ffn_up.weight",
    down: "blk.1.ffn_down.weight",
  });
});

Deno.test("describeModel() reads a qwen2 with biases and tied embeddings", () => {
  const { config, tensors } = describeModel(QWEN2);
  assertEquals(config.architecture, "qwen2");
  assertEquals(config.rope.kind, "neox");
  assertEquals([config.qkvBias, config.tiedEmbeddings], [true, true]);
  assertEquals(tensors.output, tensors.tokenEmbedding);
  const { queryBias, keyBias, valueBias } = tensors.layers[0];
  assertEquals(
    [queryBias, keyBias, valueBias],
    ["blk.0.attn_q.bias", "blk.0.attn_k.bias", "blk.0.attn_v.bias"],
  );
});

Deno.test("describeModel() uses the biases of a llama that has them", () => {
  const tensors = new Map(LLAMA.tensors);
  for (const block of [0, 1]) {
    for (const [part, length] of [["q", 64], ["k", 32], ["v", 32]] as const) {
      const name = `blk.${block}.attn_${part}.bias`;
      const like = LLAMA.tensors.get("output_norm.weight")!;
      tensors.set(name, { ...like, name, dims: [length] });
    }
  }
  const { config, tensors: used } = describeModel({ ...LLAMA, tensors });
  assertEquals(config.qkvBias, true);
  assertEquals(used.layers[1].keyBias, "blk.1.attn_k.bias");

  tensors.delete("blk.1.attn_k.bias");
  assertThrows(
    () => describeModel({ ...LLAMA, tensors }),
    ModelFormatError,
    '"blk.1.attn_k.bias"',
  );
});

Deno.test("describeModel() refuses a qwen2 without biases", () => {
  const tensors = new Map([...QWEN2.tensors].filter(([name]) => !name.endsWith(".bias")));
  assertThrows(
    () => describeModel({ ...QWEN2, tensors }),
    ModelFormatError,
    '"blk.0.attn_q.bias"',
  );
});

Deno.test("describeModel() names an unknown architecture and what is supported", () => {
  const file = withMetadata(LLAMA, { "general.architecture": "mamba" });
  const error = assertThrows(() => describeModel(file), UnsupportedModelError, '"mamba"');
  for (const name of SUPPORTED_ARCHITECTURES) assertStringIncludes(error.message, name);
});

Deno.test("describeModel() refuses a file without an architecture", () => {
  const file = withMetadata(LLAMA, { "general.architecture": undefined });
  assertThrows(() => describeModel(file), ModelFormatError, "general.architecture");
});

Deno.test("describeModel() refuses what it would compute wrongly", () => {
  const cases: [GgufFile, string][] = [
    [{ ...LLAMA, magic: "PWRI" }, "sparse ReLU models come with a later version"],
    [withMetadata(LLAMA, { "llama.hidden_activation": "relu" }), "sparse ReLU models come"],
    [withMetadata(LLAMA, { "llama.hidden_activation": "gelu" }), '"gelu"'],
    [withMetadata(LLAMA, { "llama.expert_count": 8 }), "mixture of experts"],
    [withMetadata(LLAMA, { "llama.attention.value_length": 8 }), "value heads have 8"],
    [withMetadata(LLAMA, { "llama.rope.scaling.type": "longrope" }), '"longrope"'],
  ];
  for (const [file, message] of cases) {
    assertThrows(() => describeModel(file), UnsupportedModelError, message);
  }
});

Deno.test("describeModel() accepts keys that say what it does anyway", () => {
  const file = withMetadata(LLAMA, {
    "llama.hidden_activation": "silu",
    "llama.expert_count": 0,
    "llama.attention.value_length": 16,
  });
  assertEquals(describeModel(file), describeModel(LLAMA));
});

Deno.test("describeModel() refuses a tensor that it would have to ignore", () => {
  const file = withTensor(LLAMA, "blk.0.attn_q_norm.weight", { dims: [16] });
  assertThrows(() => describeModel(file), UnsupportedModelError, '"blk.0.attn_q_norm.weight"');
});

Deno.test("describeModel() overlooks the angle tables of old converters", () => {
  const file = withTensor(LLAMA, "blk.0.attn_rot_embd", { dims: [8] });
  assertEquals(describeModel(file), describeModel(LLAMA));
});

for (const name of ["relu-llama-f16", "relu-llama-pwri-f16", "llama-moe-f16", "qwen3-f16"]) {
  sharedTest(`golden/${name}`, `describeModel() refuses ${name}`, () => {
    const file = openGguf(sharedPath(`golden/${name}/model.gguf`));
    assertThrows(() => describeModel(file), UnsupportedModelError);
  });
}
