import { assertEquals, assertThrows } from "@std/assert";
import { UnsupportedModelError } from "../../../src/base/errors.ts";
import { checkTrainable } from "../../../src/cli/train/check_trainable.ts";
import { parseGguf, text } from "../../../src/gguf/mod.ts";
import { describeModel } from "../../../src/model/mod.ts";
import type { TinyFamilyName } from "../../support/tiny_families.ts";
import { tinyModel } from "../../support/tiny_model.ts";

Deno.test("checkTrainable() refuses layers that are used several times", () => {
  const file = parseGguf(tinyModel({ architecture: "nanbeige" }));
  const message = "used several times";
  assertThrows(() => checkTrainable(file, describeModel(file)), UnsupportedModelError, message);
});

/** What there is to train of a tiny mixture whose gates pass through ReLU. */
function trainableMixture(architecture: TinyFamilyName) {
  const name = `${architecture}.hidden_activation`;
  const file = parseGguf(tinyModel({ architecture, metadata: [[name, text("relu")]] }));
  return checkTrainable(file, describeModel(file));
}

Deno.test("checkTrainable() tells experts from the neurons that every token uses", () => {
  const { layers, shownNeurons, sharedNeurons } = trainableMixture("qwen2moe");
  assertEquals([shownNeurons, sharedNeurons], [8 * 32 + 64, 64]);
  const mixture = {
    isMixture: true,
    inputLength: 64,
    neuronCount: 32,
    blockCount: 8,
    usedCount: 3,
  };
  assertEquals(layers, [0, 1].map(() => ({ ...mixture, gateRowBytes: 256 })));
});

Deno.test("checkTrainable() takes dense layers before mixtures for what they are", () => {
  const { layers } = trainableMixture("deepseek");
  assertEquals(layers.map(({ isMixture }) => isMixture), [false, true, true]);
  assertEquals([layers[0].blockCount, layers[0].usedCount, layers[0].neuronCount], [1, 1, 96]);
});

Deno.test("checkTrainable() refuses experts with biases, and those whose neurons are never silent", () => {
  for (
    const [architecture, message] of [
      ["gpt-oss", "neurons of swiglu7 are never silent"],
      ["qwen3moe", "neurons of silu are never silent"],
    ] as const
  ) {
    const file = parseGguf(tinyModel({ architecture }));
    assertThrows(() => checkTrainable(file, describeModel(file)), UnsupportedModelError, message);
  }
});
