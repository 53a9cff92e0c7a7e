/** What PowerInfer's files say, and what is wrong with those that it did not write. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { f32, type GgufFile, parseGguf, text } from "../../src/gguf/mod.ts";
import { describeModel, predictorObstacle, summarizePredictors } from "../../src/model/mod.ts";
import { tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";
import { withMetadata, withoutTensor, withTensor } from "./changed_file.ts";

const PREDICTED = { predictor: { rank: 8 } } as const;
const LLAMA = parse({ ...PREDICTED, architecture: "llama", magic: "PWRI" });
const MIXTURE = parse({ architecture: "drelu-moe", predictor: { rank: 6 } });
const BAMBOO = parse({ ...PREDICTED, architecture: "bamboo", magic: "PWRI" });

Deno.test("describeModel() takes ReLU and dReLU from PowerInfer's magic", () => {
  const relu = { activation: "relu", isGated: true, firingThreshold: 0 } as const;
  assertEquals(feedForwardOf(LLAMA), { ...relu, activatesUp: false });
  assertEquals(feedForwardOf(BAMBOO), { ...relu, activatesUp: true });
  const said = withMetadata(LLAMA, { "llama.hidden_activation": "relu2" });
  assertEquals(feedForwardOf(said).activation, "relu2");
});

Deno.test("describeModel() refuses an activation that PowerInfer's magic contradicts", () => {
  const file = withMetadata(LLAMA, { "llama.hidden_activation": "silu" });
  assertThrows(() => describeModel(file), ModelFormatError, "the magic PWRI says");
});

Deno.test("describeModel() reads predictors from files of either magic", () => {
  const plain = parse({ ...PREDICTED, architecture: "relu-llama" });
  for (const file of [LLAMA, BAMBOO, plain]) {
    const { config, tensors } = describeModel(file);
    assertEquals(config.predictorThreshold, 0);
    tensors.layers.forEach(({ feedForward }, layer) => {
      if (feedForward?.kind !== "dense") throw new Error("the model is dense");
      const matrix = (name: string, rows: number, columns: number) => ({
        ...{ tensor: `blk.${layer}.${name}.weight`, rowStart: 0 },
        ...{ rows, columns, bias: null },
      });
      assertEquals(feedForward.predictor, {
        first: matrix("fc1", 8, 64),
        second: matrix("fc2", 96, 8),
      });
      assertEquals(predictorObstacle(config.feedForward, feedForward), null);
    });
  }
});

Deno.test("describeModel() reads predictors of experts, one for each", () => {
  const { tensors } = describeModel(MIXTURE);
  tensors.layers.forEach(({ feedForward }, layer) => {
    if (feedForward?.kind !== "experts") throw new Error("the model is a mixture");
    feedForward.experts.forEach(({ predictor }, expert) => {
      const matrix = (name: string, rows: number, columns: number) => ({
        ...{ tensor: `blk.${layer}.${name}_exps.weight`, rowStart: expert * rows },
        ...{ rows, columns, bias: null },
      });
      assertEquals(predictor, {
        first: matrix("ffn_fc1", 6, 64),
        second: matrix("ffn_fc2", 64, 6),
      });
    });
  });
  assertEquals(summarizePredictors(MIXTURE, describeModel(MIXTURE)), {
    ...{ layers: 2, missing: [], rankMin: 6, rankMax: 6, threshold: 0 },
    sizeBytes: 2 * 4 * 4 * (6 * 64 + 64 * 6),
  });
});

Deno.test("describeModel() takes the threshold from the option, else the file", () => {
  const file = parse({
    ...{ ...PREDICTED, architecture: "bamboo" },
    metadata: [["powerinfer.sparse_threshold", f32(-0.5)]],
  });
  assertEquals(describeModel(file).config.predictorThreshold, -0.5);
  assertEquals(describeModel(file, { predictorThreshold: 2 }).config.predictorThreshold, 2);
});

Deno.test("summarizePredictors() tells which layers have none", () => {
  const file = parse({
    ...{ architecture: "bamboo", blockCount: 4 },
    predictor: { rank: 6, layers: [1, 3] },
  });
  assertEquals(summarizePredictors(file, describeModel(file)), {
    layers: 2,
    missing: [0, 2],
    rankMin: 6,
    rankMax: 6,
    sizeBytes: 2 * 4 * (6 * 64 + 96 * 6),
    threshold: 0,
  });
  const none = parse({ architecture: "bamboo" });
  assertEquals(summarizePredictors(none, describeModel(none)), null);
});

Deno.test("predictorObstacle() names what makes a predictor useless", () => {
  assertEquals(obstacle({ architecture: "llama" }), "neurons of silu are never silent");
  assertEquals(obstacle({ architecture: "arcee" }), "its neurons have no gate");
  const metadata = [["llama.hidden_activation", text("relu")]] as const;
  assertEquals(obstacle({ architecture: "llama-biased", metadata }), "its neurons have biases");
});

Deno.test("describeModel() refuses predictors that do not fit", () => {
  const cases: [GgufFile, string][] = [
    [withoutTensor(BAMBOO, "blk.0.fc2.weight"), '"blk.0.fc2.weight" ([96, 8])'],
    [withoutTensor(BAMBOO, "blk.1.fc1.weight"), '"blk.1.fc1.weight"'],
    [withTensor(BAMBOO, "blk.1.fc1.weight", { dims: [32, 8] }), "asks for [8, 64]"],
    [withTensor(BAMBOO, "blk.1.fc2.weight", { dims: [8, 95] }), "asks for [96, 8]"],
    [withTensor(BAMBOO, "blk.1.fc2.weight", { dims: [16, 96] }), "asks for [96, 8]"],
    [withTensor(BAMBOO, "blk.1.fc1.weight", { dims: [64] }), "asks for [96, 1]"],
    [withTensor(BAMBOO, "blk.1.fc1.weight", { dims: [64, 8, 2] }), "asks for [8, 64]"],
    [
      withoutTensor(MIXTURE, "blk.0.ffn_fc2_exps.weight"),
      '"blk.0.ffn_fc2_exps.weight" ([4, 64, 6])',
    ],
    [withoutTensor(MIXTURE, "blk.1.ffn_fc1_exps.weight"), '"blk.1.ffn_fc1_exps.weight"'],
    [withTensor(MIXTURE, "blk.1.ffn_fc1_exps.weight", { dims: [64, 6] }), "asks for [4, 6, 64]"],
    [withTensor(MIXTURE, "blk.1.ffn_fc1_exps.weight", { dims: [64, 6, 3] }), "has [3, 6, 64]"],
    [withTensor(MIXTURE, "blk.1.ffn_fc1_exps.weight", { dims: [64, 24] }), "asks for [4, 24, 64]"],
    [withTensor(MIXTURE, "blk.1.ffn_fc1_exps.weight", { dims: [32, 6, 4] }), "has [4, 6, 32]"],
    [withTensor(MIXTURE, "blk.0.ffn_fc2_exps.weight", { dims: [6, 63, 4] }), "asks for [4, 64, 6]"],
    [
      withTensor(MIXTURE, "blk.0.ffn_fc2_exps.weight", { dims: [12, 64, 4] }),
      "asks for [4, 64, 6]",
    ],
    [withMetadata(BAMBOO, { "powerinfer.sparse_threshold": NaN }), "a finite number"],
    [withMetadata(BAMBOO, { "powerinfer.sparse_threshold": "low" }), "not a number"],
  ];
  for (const [file, message] of cases) {
    assertThrows(() => describeModel(file), ModelFormatError, message);
  }
});

Deno.test("describeModel() says what a PowerInfer file is that it cannot run", () => {
  const cases: [string, string][] = [
    ["falcon", '"falcon": this version runs those of llama and bamboo'],
    ["opt", '"opt"'],
    ["qwen2", '"qwen2"'],
    ["generic.gpu_index", "(a .gpuidx file): give the model's own file"],
  ];
  for (const [architecture, message] of cases) {
    const file = withMetadata(BAMBOO, { "general.architecture": architecture });
    assertThrows(() => describeModel(file), UnsupportedModelError, message);
  }
});

function parse(options: TinyModelOptions): GgufFile {
  return parseGguf(tinyModel(options));
}

function feedForwardOf(file: GgufFile) {
  return describeModel(file).config.feedForward;
}

/** Of the first layer of a model. */
function obstacle(options: TinyModelOptions): string | null {
  const { config, tensors } = describeModel(parse({ ...PREDICTED, ...options }));
  const [{ feedForward }] = tensors.layers;
  if (feedForward?.kind !== "dense") throw new Error("the model is dense");
  return predictorObstacle(config.feedForward, feedForward);
}
