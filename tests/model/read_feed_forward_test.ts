import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import { type GgufFile, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withMetadata } from "./changed_file.ts";

const MINICPM = parseGguf(tinyModel({ architecture: "minicpm" }));

Deno.test("readFeedForward() reads FATReLU with its threshold", () => {
  assertEquals(feedForwardOf(fatrelu(MINICPM, 0.03)), {
    ...{ activation: "relu", isGated: true, activatesUp: false },
    firingThreshold: 0.03,
  });
});

Deno.test("readFeedForward() reads a threshold of FATReLU only", () => {
  const file = withMetadata(MINICPM, {
    "minicpm.hidden_activation": "relu",
    "minicpm.hidden_activation_param": 0.03,
  });
  assertEquals(feedForwardOf(file).firingThreshold, 0);
});

Deno.test("readFeedForward() refuses FATReLU without a threshold, or with a senseless one", () => {
  for (const threshold of [undefined, 0, -1, NaN, Infinity, "0.03"]) {
    const run = () => describeModel(fatrelu(MINICPM, threshold));
    assertThrows(run, ModelFormatError, '"minicpm.hidden_activation_param"');
  }
});

function fatrelu(file: GgufFile, threshold: number | string | undefined): GgufFile {
  return withMetadata(file, {
    "minicpm.hidden_activation": "fatrelu",
    "minicpm.hidden_activation_param": threshold,
  });
}

function feedForwardOf(file: GgufFile) {
  return describeModel(file).config.feedForward;
}
