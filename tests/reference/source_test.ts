/**
 * The reference's answers to sources beside llama.cpp's, and every choice that makes such a model:
 * taken otherwise, they are further away than rounding.
 */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { describeModel, type ModelDescription } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { SOURCE_TOKENS, TINY_ANSWERS } from "../golden/tiny_answers.ts";
import { nmse } from "../support/compare.ts";
import { TINY_PROMPT, tinyModel } from "../support/tiny_model.ts";
import { SOURCE_FAMILIES, type TinySourceName } from "../support/tiny_source_families.ts";
import { withActivation, withConfig } from "./changed_description.ts";

/** llama.cpp looks GELU up in a table of 16 bits; ReLU is 1e-10, which are the digits kept. */
const NMSE_MAX: Readonly<Record<TinySourceName, number>> = { "t5": 1e-9, "t5-gated": 1e-6 };
/** Of biases of the wrong direction 5e-4, of everything else 3e-3 and more. */
const NMSE_MIN = 3e-4;

const SOURCE = TINY_PROMPT.slice(0, SOURCE_TOKENS);
const ANSWER = [0, ...TINY_PROMPT.slice(SOURCE_TOKENS)];

type Change = (d: ModelDescription) => ModelDescription;
type Layer = ModelDescription["tensors"]["layers"][number];

function withLayers(d: ModelDescription, change: (layer: Layer, index: number) => Layer) {
  return { ...d, tensors: { ...d.tensors, layers: d.tensors.layers.map(change) } };
}

const MISTAKES: Readonly<Record<string, Change>> = {
  "a source of earlier tokens only": (d) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((l) => l.stage === "reads" ? { ...l, stage: undefined } : l),
    })),
  "what is left of a source as it is": (d) => withLayers(d, (l) => ({ ...l, endNorm: undefined })),
  "the last norm for the source's": (d) =>
    withLayers(d, (l) => l.endNorm ? { ...l, endNorm: d.tensors.outputNorm! } : l),
  "biases of both directions where it writes": (d) =>
    withConfig(d, ({ scoreBiases: own }) => ({ scoreBiases: { ...own!, written: own!.table } })),
  "the writer's biases where it reads": (d) =>
    withConfig(d, ({ scoreBiases: own }) => ({ scoreBiases: { ...own!, table: own!.written! } })),
  "keys of the other writing block": (d) => {
    const { readingLayers } = d.config.source!;
    const [first, second] = [readingLayers + 1, readingLayers + 3];
    return withLayers(d, (l, index) => {
      if (index !== first && index !== second) return l;
      const { key, value } = d.tensors.layers[first + second - index];
      return { ...l, key, value };
    });
  },
  "scores scaled": (d) =>
    withConfig(d, ({ headDim }) => ({ attentionScale: 1 / Math.sqrt(headDim) })),
  "the other activation": (d) => {
    const { activation } = d.config.feedForward;
    return withActivation(d, { activation: activation === "gelu" ? "silu" : "gelu" });
  },
  "no norm before the source is asked": (d) =>
    withLayers(
      d,
      (l, index) => d.config.layers[index].stage === "asks" ? { ...l, attentionNorm: null } : l,
    ),
};

for (const name of Object.keys(SOURCE_FAMILIES) as TinySourceName[]) {
  Deno.test(`answers by ${name} are llama.cpp's, and by what it is not are not`, () => {
    const bytes = tinyModel({ architecture: name });
    const file = parseGguf(bytes);
    const expected = Float64Array.from(TINY_ANSWERS[name].flat());
    const error = (description: ModelDescription) => {
      const reader = TensorReader.ofBytes(bytes);
      const model = new ReferenceModel(file, { description, reader });
      model.read(SOURCE);
      const logits = model.forward(ANSWER);
      const rows = [0, ANSWER.length - 1].flatMap((row) => [
        ...logits.subarray(row * model.config.vocabSize).subarray(0, 8),
      ]);
      return nmse(Float64Array.from(rows), expected);
    };
    const description = describeModel(file);
    assertLess(error(description), NMSE_MAX[name]);
    for (const [mistake, change] of Object.entries(MISTAKES)) {
      assertGreater(error(change(description)), NMSE_MIN, mistake);
    }
  });
}

Deno.test("ReferenceModel answers token by token as at once, and another source anew", () => {
  const bytes = tinyModel({ architecture: "t5", seed: 2 });
  const newModel = () => {
    const reader = TensorReader.ofBytes(bytes);
    return new ReferenceModel(parseGguf(bytes), { reader });
  };
  const model = newModel();
  model.read(ANSWER);
  model.forward(ANSWER);
  model.read(SOURCE);
  const rows = ANSWER.map((id, position) => model.forward([id], position));
  const other = newModel();
  other.read(SOURCE);
  assertEquals(rows.flatMap((row) => [...row]), [...other.forward(ANSWER)]);
});
