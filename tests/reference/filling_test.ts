/**
 * The reference of models that fill in texts beside llama.cpp's, its logits and its ids, and every
 * choice that makes such a model: taken otherwise, it is further away than rounding.
 */
import { assertEquals, assertGreater, assertLess, assertNotEquals } from "@std/assert";
import { parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { describeModel, type ModelDescription } from "../../src/model/mod.ts";
import { referenceFill } from "../../src/reference/fill.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { FILLED_ROWS, FILLED_TEXT, TINY_FILLED } from "../golden/tiny_filled.ts";
import { nmse } from "../support/compare.ts";
import { FILL_FAMILIES, type TinyFillName } from "../support/tiny_fill_families.ts";
import { TINY_PROMPT, tinyModel } from "../support/tiny_model.ts";
import { mapLayers, withConfig, withExperts, withRopes } from "./changed_description.ts";

/** Five digits are kept. */
const NMSE_MAX = 1e-9;
const NMSE_MIN = 1e-3;
const PROMPT = TINY_PROMPT.slice(0, 20);

const MISTAKES = {
  "earlier tokens only": (d: ModelDescription) => withConfig(d, () => ({ fill: undefined })),
  "the other pairs turned": (d: ModelDescription) =>
    withRopes(d, { kind: d.config.ropes[0].kind === "norm" ? "neox" : "norm" }),
  "weights of experts otherwise": (d: ModelDescription) =>
    withExperts(d, { normalizesWeights: !d.config.experts!.normalizesWeights }),
  "heads as they are": (d: ModelDescription) =>
    mapLayers(d, (l) => ({ ...l, queryNorm: null, keyNorm: null })),
  "no biases": (d: ModelDescription) =>
    mapLayers(d, (l) => ({ ...l, query: { ...l.query!, bias: null } })),
};
type Mistake = keyof typeof MISTAKES;
const ALL = ["earlier tokens only", "the other pairs turned"] as const;
const MIXTURE = [...ALL, "weights of experts otherwise", "heads as they are"] as const;
const CHOICES: Readonly<Record<TinyFillName, readonly Mistake[]>> = {
  ...{ "llada": ALL, "dream": [...ALL, "no biases"], "llada-moe": MIXTURE, "rnd1": MIXTURE },
};

function modelOf(architecture: TinyFillName, change = (d: ModelDescription) => d): ReferenceModel {
  const bytes = tinyModel({ architecture });
  const file = parseGguf(bytes);
  const reader = TensorReader.ofBytes(bytes);
  return new ReferenceModel(file, { description: change(describeModel(file)), reader });
}

for (const name of Object.keys(FILL_FAMILIES) as TinyFillName[]) {
  Deno.test(`logits of masks by ${name} are llama.cpp's, and by what it is not are not`, () => {
    const expected = Float64Array.from(TINY_FILLED[name].logits.flat());
    const error = (change?: (d: ModelDescription) => ModelDescription) => {
      const model = modelOf(name, change);
      const logits = model.forward(FILLED_TEXT), { vocabSize } = model.config;
      const rows = FILLED_ROWS.flatMap((row) => [...logits.subarray(row * vocabSize).slice(0, 8)]);
      return nmse(Float64Array.from(rows), expected);
    };
    assertLess(error(), NMSE_MAX);
    for (const mistake of CHOICES[name]) {
      assertGreater(error(MISTAKES[mistake]), NMSE_MIN, mistake);
    }
  });

  Deno.test(`what ${name} fills in is what llama.cpp's loop does`, () => {
    const { oneByOne, foursAtOnce } = TINY_FILLED[name];
    const by = { count: 20, order: "confidence" } as const;
    const one = { ...by, blockTokens: 1, stepTokens: 1 };
    assertEquals(referenceFill(modelOf(name), PROMPT, one), oneByOne);
    const fours = { ...by, blockTokens: 4, stepTokens: 4 };
    assertEquals(referenceFill(modelOf(name), PROMPT, fours), foursAtOnce);
    // By the rows of the others' places: one before, or its own.
    const other = modelOf(name, (d) =>
      withConfig(d, ({ fill }) => ({
        fill: { ...fill!, isShifted: !fill!.isShifted },
      })));
    assertNotEquals(referenceFill(other, PROMPT, one), oneByOne);
  });
}

/** Probabilities of five ids at three places, a mask never: by each order another one is first. */
const ROWS = [
  [0.5, 0.5, 0, 0, 0],
  [0.02, 0.6, 0.35, 0.02, 0.01],
  [0.11, 0.12, 0.55, 0.11, 0.11],
];

Deno.test("referenceFill() fills in what each order is surest of first", () => {
  const firstOf = (order: "confidence" | "entropy" | "margin") => {
    const seen: (readonly number[])[] = [];
    const forward = (ids: readonly number[]) => {
      seen.push([...ids]);
      // The mask is the likeliest of all, and the prompt's row is nobody's.
      return [[1, 1, 1, 1, 1], ...ROWS].flatMap((row) => [...row.map(Math.log), 9]);
    };
    const config = { vocabSize: 6, fill: { maskId: 5, isShifted: false } };
    const by = { count: 3, blockTokens: 3, stepTokens: 1, order };
    assertEquals(referenceFill({ config, forward }, [0], by), [0, 1, 2]);
    return seen[1].findIndex((id, at) => at > 0 && id !== 5);
  };
  assertEquals([firstOf("confidence"), firstOf("entropy"), firstOf("margin")], [2, 1, 3]);
});
