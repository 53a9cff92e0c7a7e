/** The tests' own model maker: other tests rely on what is stated here. */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";

const VARIANTS: TinyModelOptions[] = [
  {},
  { architecture: "qwen2" },
  { architecture: "qwen2", type: "Q8_0", tied: true },
  { tied: true },
  { type: "F16", slidingWindow: 8 },
  { type: "BF16", ropeFactors: true },
  { type: "Q4_0", ropeScaling: { type: "linear", factor: 2, originalContextLength: 128 } },
  { type: "Q8_0", ropeScaling: { type: "yarn", factor: 4, originalContextLength: 64 } },
];

for (const options of VARIANTS) {
  Deno.test(`tinyModel(${JSON.stringify(options)}) talks, and never in circles of one`, () => {
    const { logits, ids } = run(options, 24);
    const size = Math.sqrt(logits.reduce((sum, x) => sum + x * x, 0) / logits.length);
    assertAlmostEquals(size, 2, 0.4);
    assert(new Set(ids).size >= 3, `ids ${ids}`);
  });
}

Deno.test("tinyModel() repeats with the same options and differs between seeds", () => {
  const [first, again, other] = [4, 4, 5].map((seed) => tinyModel({ seed }));
  assertEquals(first.findIndex((byte, index) => byte !== again[index]), -1);
  assert(first.some((byte, index) => byte !== other[index]));
});

Deno.test("tinyModel() takes any shape and extra metadata", () => {
  const bytes = tinyModel({
    blockCount: 3,
    embeddingLength: 96,
    feedForwardLength: 64,
    headCount: 3,
    headCountKv: 1,
    vocabSize: 400,
    contextLength: 32,
    slidingWindow: 5,
    metadata: [["general.name", { type: "string", value: "other" }]],
  });
  const file = parseGguf(bytes);
  const { config } = describeModel(file);
  assertEquals(file.metadata.get("general.name"), "other");
  assertEquals(
    [config.blockCount, config.embeddingLength, config.headDim, config.vocabSize],
    [3, 96, 32, 400],
  );
  assertEquals(file.metadata.get("llama.attention.sliding_window"), 5);
});

/** Logits of a prompt, and the ids that follow it greedily. */
function run(options: TinyModelOptions, count: number): { logits: Float32Array; ids: number[] } {
  const bytes = tinyModel(options);
  const model = new ReferenceModel(parseGguf(bytes), { reader: TensorReader.ofBytes(bytes) });
  const prompt = [1, 300, 301, 302];
  const logits = model.forward(prompt);
  const ids: number[] = [];
  let row = logits.subarray(-model.config.vocabSize);
  for (let position = prompt.length; ids.length < count; position++) {
    const best = row.indexOf(Math.max(...row));
    ids.push(best);
    row = model.forward([best], position);
  }
  return { logits, ids };
}
