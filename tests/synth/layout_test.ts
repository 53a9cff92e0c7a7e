import { assertAlmostEquals, assertEquals } from "@std/assert";
import {
  encodeGguf,
  type GgufFile,
  type MetadataEntry,
  parseGguf,
  text,
} from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import type { Quant } from "../../src/quantize/mod.ts";
import { modelMetadata, modelTensors } from "../../src/synth/layout.ts";
import { type ModelShape, predictorRank, type ShapeName, SHAPES } from "../../src/synth/shapes.ts";

/** Weights of the real models, as their publishers count them. */
const PARAMETERS: Record<ShapeName, number> = {
  "llama-160m": 162_417_408,
  "tinyllama-1.1b": 1_100_048_384,
  "mistral-7b": 7_241_732_096,
  "llama-3.2-1b": 1_235_814_400,
  "qwen2-0.5b": 494_032_768,
  "qwen2.5-1.5b": 1_543_714_304,
  "qwen3-0.6b": 596_049_920,
  "qwen3-4b": 4_022_468_096,
  "qwen3-30b-a3b": 30_532_122_624,
  "gpt-oss-20b": 20_914_757_184,
  "bamboo-7b": 7_241_732_096,
  "relullama-7b": 6_738_415_616,
  "relullama-13b": 13_015_864_320,
  "minicpm-s-1b": 1_473_050_112,
  "turbosparse-mixtral-47b": 46_907_789_312,
  "smallthinker-4b": 4_268_459_520,
  "smallthinker-21b": 21_506_562_560,
  "nemotron-3-super-120b": 120_668_707_840,
};

Deno.test("modelTensors() has as many weights as the real models", () => {
  for (const [name, shape] of Object.entries(SHAPES)) {
    const weights = modelTensors(shape, "F32")
      .map(({ dims }) => dims.reduce((product, dimension) => product * dimension, 1));
    const sum = weights.reduce((total, count) => total + count, 0);
    assertEquals(sum, PARAMETERS[name as ShapeName], name);
  }
});

/** What a file of the shape says, without its tokenizer and its gigabytes. */
function header(shape: ModelShape, quant: Quant, more: MetadataEntry[] = []): GgufFile {
  const metadata = [...modelMetadata(shape, { name: "test", quant }), ...more];
  const tensors = modelTensors(shape, quant).map(({ name, type, dims }) => (
    [name, { name, type, dims, part: 0, offsetBytes: 0, sizeBytes: 0 }] as const
  ));
  return { ...parseGguf(encodeGguf({ metadata, tensors: [] })), tensors: new Map(tensors) };
}

Deno.test("modelMetadata() and modelTensors() make models that describeModel() accepts", () => {
  for (const [name, shape] of Object.entries(SHAPES) as [ShapeName, ModelShape][]) {
    for (const quant of ["Q4_0", "Q4_K_M", "F16"] as const) {
      const { config } = describeModel(header(shape, quant));
      assertEquals(
        [config.blockCount, config.embeddingLength, config.vocabSize, config.contextLength],
        [shape.blockCount, shape.embeddingLength, shape.vocabSize, shape.contextLength],
        name,
      );
    }
  }
});

Deno.test("describeModel() reads the experts of the mixtures that modelTensors() plans", () => {
  const read = (shape: ModelShape, more?: MetadataEntry[]) =>
    describeModel(header(shape, "Q4_0", more)).config;
  const mixtral = read(SHAPES["turbosparse-mixtral-47b"], [
    ["llama.hidden_activation", text("drelu")],
  ]);
  assertEquals([mixtral.experts?.count, mixtral.experts?.usedCount], [8, 2]);
  assertEquals(mixtral.experts?.feedForwardLength, 14336);
  assertEquals(mixtral.feedForward.activatesUp, true);
  const large = read(SHAPES["smallthinker-21b"]);
  assertEquals([large.experts?.count, large.experts?.usedCount], [64, 6]);
  assertEquals([large.experts?.gating, large.experts?.routerInput], ["sigmoid", "layerInput"]);
  assertEquals([large.layers[0], large.layers[1]], [
    { slidingWindow: 0, rope: null },
    { slidingWindow: 4096, rope: 0 },
  ]);
  const small = read(SHAPES["smallthinker-4b"]);
  assertEquals(small.layers, Array(32).fill({ slidingWindow: 0, rope: 0 }));
});

Deno.test("describeModel() reads what is gpt-oss's own, and Qwen 3's experts", () => {
  const read = (name: ShapeName) => describeModel(header(SHAPES[name], "MXFP4")).config;
  const { experts, layers, headDim, ropes } = read("gpt-oss-20b");
  assertEquals([experts?.count, experts?.usedCount, experts?.feedForwardLength], [32, 4, 2880]);
  assertEquals(headDim, 64);
  assertEquals(layers.slice(0, 3).map(({ slidingWindow }) => slidingWindow), [128, 0, 128]);
  assertEquals(ropes[0].scaling.factor, 32);
  const { experts: many, feedForward } = read("qwen3-30b-a3b");
  assertEquals([many?.count, many?.usedCount, many?.gating], [128, 8, "softmax"]);
  assertEquals(feedForward.activation, "silu");
});

Deno.test("describeModel() reads the layers and latents of Nemotron 3 Super", () => {
  const { config, tensors } = describeModel(header(SHAPES["nemotron-3-super-120b"], "Q4_K_M"));
  const kinds = config.layers.map(({ hasStates, attends }) =>
    hasStates ? "M" : attends === false ? "E" : "*"
  );
  assertEquals(kinds.join(""), SHAPES["nemotron-3-super-120b"].hybrid.layers);
  const { experts, stateSpace } = config;
  assertEquals([experts?.count, experts?.usedCount, experts?.latentLength], [512, 22, 1024]);
  assertEquals([experts?.sharedFeedForwardLength, experts?.weightScale], [5376, 5]);
  assertEquals([stateSpace?.headCount, stateSpace?.stateLength], [128, 128]);
  const { feedForward } = tensors.layers[1];
  assertEquals(feedForward?.kind === "experts" && feedForward.experts[511].up.columns, 1024);
});

Deno.test("predictorRank() is that of real files, where they are known", () => {
  const known: [ShapeName, number][] = [
    ["bamboo-7b", 1270],
    ["relullama-7b", 1680],
    ["turbosparse-mixtral-47b", 1036],
  ];
  for (const [name, rank] of known) assertAlmostEquals(predictorRank(SHAPES[name]), rank, 16, name);
  for (const shape of Object.values(SHAPES)) assertEquals(predictorRank(shape) % 32, 0);
});

Deno.test("modelTensors() names predictors and down matrices as PowerInfer does", () => {
  const shape: ModelShape = SHAPES["bamboo-7b"];
  const planned = (quant: Quant) => {
    const extras = { predictorRank: 1280, downByNeuron: true };
    const tensors = modelTensors(shape, quant, extras);
    return new Map(tensors.map(({ name, type, dims }) => [name, { type, dims }]));
  };
  const tensors = planned("Q4_0");
  assertEquals(tensors.get("blk.31.fc1.weight"), { type: "Q4_0", dims: [4096, 1280] });
  assertEquals(tensors.get("blk.31.fc2.weight"), { type: "Q4_0", dims: [1280, 14336] });
  assertEquals(tensors.get("blk.31.ffn_down_t.weight"), { type: "Q4_0", dims: [4096, 14336] });
  assertEquals(tensors.has("blk.31.ffn_down.weight"), false);
  const types = (["Q8_0", "Q4_K_M", "F16", "BF16", "F32"] as const)
    .map((quant) => planned(quant).get("blk.0.fc1.weight")?.type);
  assertEquals(types, ["Q5_0", "Q5_0", "F16", "F16", "F32"]);
});
