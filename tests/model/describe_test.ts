import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufFile, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel, SUPPORTED_ARCHITECTURES } from "../../src/model/mod.ts";
import { TINY_MODELS, tinyModel } from "../support/tiny_model.ts";
import { withMetadata, withTensor } from "./changed_file.ts";

const LLAMA = parseGguf(tinyModel());

Deno.test("describeModel() reads a llama", () => {
  const { config } = describeModel(LLAMA);
  assertEquals({ ...config, norm: null, ropes: [] }, {
    architecture: "llama",
    blockCount: 2,
    embeddingLength: 64,
    feedForwardLength: 96,
    headCount: 4,
    headCountKv: 2,
    headDim: 16,
    valueDim: 16,
    latent: null,
    stateSpace: null,
    altUp: null,
    vocabSize: 512,
    contextLength: 256,
    norm: null,
    attentionScale: 1 / 4,
    attentionSoftCap: 0,
    queryTemperature: null,
    valueScale: 1,
    alibiMaxBias: 0,
    projectionClamp: 0,
    ropes: [],
    feedForward: { activation: "silu", isGated: true, activatesUp: false, firingThreshold: 0 },
    experts: null,
    layers: [{ slidingWindow: 0, rope: 0 }, { slidingWindow: 0, rope: 0 }],
    hasParallelBlocks: false,
    gatesAttention: false,
    normalizesTurnedHeads: false,
    layerInputLength: 0,
    embeddingScale: 1,
    residualScale: 1,
    logitScale: 1,
    logitSoftCap: 0,
    tiedEmbeddings: false,
    predictorThreshold: 0,
  });
  assertEquals(config.norm, { kind: "rms", epsilon: Math.fround(1e-5) });
  assertEquals(config.ropes.map(({ kind }) => kind), ["norm"]);
});

Deno.test("describeModel() finds the tensors of a llama", () => {
  const { tensors } = describeModel(LLAMA);
  const matrix = (tensor: string, rows: number, columns: number) => (
    { tensor, rowStart: 0, rows, columns, bias: null }
  );
  const norm = (tensor: string) => ({ weight: { tensor, start: 0, length: 64 }, bias: null });
  assertEquals(tensors.tokenEmbedding, matrix("token_embd.weight", 512, 64));
  assertEquals([tensors.positionEmbedding, tensors.tokenInputs], [null, null]);
  assertEquals(tensors.output, matrix("output.weight", 512, 64));
  assertEquals(tensors.outputNorm, norm("output_norm.weight"));
  assertEquals(tensors.layers.length, 2);
  assertEquals(tensors.layers[1], {
    attentionNorm: norm("blk.1.attn_norm.weight"),
    query: matrix("blk.1.attn_q.weight", 64, 64),
    key: matrix("blk.1.attn_k.weight", 32, 64),
    value: matrix("blk.1.attn_v.weight", 32, 64),
    latent: null,
    queryNorm: null,
    keyNorm: null,
    valueNorm: null,
    attentionSinks: null,
    attentionGate: null,
    stateSpace: null,
    convolution: null,
    attentionOutput: matrix("blk.1.attn_output.weight", 64, 64),
    attentionPostNorm: null,
    feedForwardNorm: norm("blk.1.ffn_norm.weight"),
    feedForward: {
      kind: "dense",
      gate: matrix("blk.1.ffn_gate.weight", 96, 64),
      up: matrix("blk.1.ffn_up.weight", 96, 64),
      down: matrix("blk.1.ffn_down.weight", 64, 96),
      isDownTransposed: false,
      predictor: null,
    },
    feedForwardPostNorm: null,
    input: null,
    altUp: null,
    outputScale: null,
  });
});

Deno.test("describeModel() reads every tiny family under its architecture", () => {
  const read = Object.entries(TINY_MODELS).map(([name, family]) => {
    const architecture = family.architecture ?? name;
    const file = parseGguf(tinyModel({ architecture: name as keyof typeof TINY_MODELS }));
    assertEquals(describeModel(file).config.architecture, architecture);
    return architecture;
  });
  assertEquals([...new Set(read)].sort(), [...SUPPORTED_ARCHITECTURES].sort());
});

Deno.test("describeModel() names an unknown architecture and what is supported", () => {
  const file = withMetadata(LLAMA, { "general.architecture": "rwkv5" });
  const error = assertThrows(() => describeModel(file), UnsupportedModelError, '"rwkv5"');
  for (const name of SUPPORTED_ARCHITECTURES) assertStringIncludes(error.message, name);
});

Deno.test("describeModel() refuses a file without an architecture", () => {
  const file = withMetadata(LLAMA, { "general.architecture": undefined });
  assertThrows(() => describeModel(file), ModelFormatError, "general.architecture");
});

Deno.test("describeModel() refuses what it would compute wrongly", () => {
  const qwen2 = parseGguf(tinyModel({ architecture: "qwen2" }));
  const cases: [GgufFile, string][] = [
    [withMetadata(LLAMA, { "llama.hidden_activation": "gelu" }), '"gelu"'],
    [withMetadata(qwen2, { "qwen2.expert_count": 8 }), "mixes 8 experts"],
    [withMetadata(LLAMA, { "llama.attention.value_length": 8 }), "value heads have 8"],
    [withMetadata(LLAMA, { "llama.rope.scaling.type": "dynamic" }), '"dynamic"'],
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
    "llama.attention.scale": 0,
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

Deno.test("describeModel() chooses long-rope's factors by the context that will be used", () => {
  const file = parseGguf(tinyModel({ architecture: "phi3" }));
  const factors = (contextLength?: number) =>
    describeModel(file, { contextLength }).config.ropes[0].factors?.tensor;
  assertEquals(factors(512), "rope_factors_short.weight");
  assertEquals(factors(513), "rope_factors_long.weight");
  assertEquals(factors(), "rope_factors_long.weight"); // trained on 1024
});

Deno.test("describeModel() refuses more context than a model has learned positions of", () => {
  const file = parseGguf(tinyModel({ architecture: "gpt2" }));
  assertEquals(describeModel(file, { contextLength: 256 }), describeModel(file));
  const run = () => describeModel(file, { contextLength: 257 });
  assertThrows(run, UnsupportedModelError, "has learned 256 positions");
});
