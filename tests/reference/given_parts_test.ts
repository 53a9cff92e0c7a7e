/**
 * An image's rows in a prompt, as the reference and llama.cpp (npm's llama.rn 0.12.9, F32) compute
 * them: where they stand, and what of them is added behind the first layers.
 */
import { assertEquals, assertGreater, assertLess, assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import { list, parseGguf, type StoredValue, TensorReader, u32 } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import type { ReferenceGiven } from "../../src/reference/given_rows.ts";
import { nmse } from "../support/compare.ts";
import { idsOf, referenceOf, someRows } from "../support/given_rows.ts";
import { TINY_PROMPT, tinyModel } from "../support/tiny_model.ts";

/** Logits behind the row of an image: the first of the first token, the last of the last. */
// deno-fmt-ignore
const LOGITS = {
  "qwen3vl": [
    -3.00824, -0.56372, -0.36894, -0.16055, -0.13723, 1.52603,
    -0.25891, -1.88214, -0.53247, -3.42672, 1.25866, -1.82083,
  ],
  "qwen3vlmoe": [
    1.90632, -2.03733, -2.89693, 2.62872, -4.10343, 0.89139,
    -2.48683, 4.84129, -0.97763, 3.75909, -1.10500, -0.52881,
  ],
  "qwen2vl": [
    0.15828, -0.10183, 3.54462, 0.97625, 2.59611, 1.09822,
    -1.40252, 0.53991, -1.44973, 3.33040, 1.33124, -0.05144,
  ],
} as const;
type Name = keyof typeof LOGITS;

const TOKENS = 8;

function tiny(architecture: Name, deepLayers: number) {
  const key = `${architecture}.n_deepstack_layers`;
  const metadata = deepLayers === 0 ? [] : [[key, u32(deepLayers)] as const];
  return tinyModel({ architecture, metadata });
}

for (const name of Object.keys(LOGITS) as Name[]) {
  Deno.test(`an image in a prompt of ${name} gives the logits that llama.cpp gives`, () => {
    const parts = name === "qwen2vl" ? 1 : 2;
    const bytes = tiny(name, parts - 1);
    const file = parseGguf(bytes);
    const { config, tensors } = describeModel(file);
    assertEquals(config.givenParts ?? 1, parts);
    const width = config.embeddingLength * parts;
    const values = someRows(5, { count: 6, width });
    const image = { firstId: -1, values, seesAll: false, grid: { rows: 2, columns: 3 } };
    const ids = [
      ...TINY_PROMPT.slice(0, TOKENS),
      ...idsOf(image, width),
      ...TINY_PROMPT.slice(TOKENS, 2 * TOKENS),
    ];
    const given = referenceOf({ ids, given: [image] }, width);
    const error = (given: ReferenceGiven, givenParts: number) => {
      const description = { config: { ...config, givenParts }, tensors };
      const model = new ReferenceModel(file, { description, reader: TensorReader.ofBytes(bytes) });
      const logits = model.forward(ids, 0, given);
      const first = (TOKENS + 6) * config.vocabSize;
      const ends = [...logits.subarray(first, first + 6), ...logits.subarray(logits.length - 6)];
      return nmse(Float64Array.from(ends), Float64Array.from(LOGITS[name]));
    };
    assertLess(error(given, parts), 1e-7);
    assertGreater(error({ ...given, positions: undefined }, parts), 1e-5);
    if (parts > 1) assertGreater(error(given, 1), 1e-3);
  });
}

Deno.test("describeModel() reads before which of Granite's layers parts of rows are added, or refuses", () => {
  const of = (values: StoredValue, blockCount = 4) => {
    const metadata = [["granite.deepstack_mapping", values]] as const;
    const { config } = describeModel(
      parseGguf(tinyModel({ architecture: "granite", blockCount, metadata })),
    );
    return [config.givenParts, config.partsBehind, config.scalesGiven];
  };
  const numbers = (...all: number[]) => of(list(Int32Array.from(all)));
  assertEquals(numbers(-1, -1, 2, 1), [3, [0, 2, 1, 0], undefined]);
  assertEquals(numbers(-1, 1, 1, -1), [2, [1, 1, 0, 0], undefined]);
  assertEquals(numbers(-1, -1, -1, -1), [undefined, undefined, true]);
  const wrong = [
    ...[[], [-1, 1, -1], [0, -1, -1, -1], [1, -1, -1, -1], [-1, 2, -1, -1], [-1, 1, 3, -1]],
    ...[[-1, -2, -1, -1], [-1, 0, 1, -1], [-1, 1, -1, -1, -1], [-1, 2 ** 30, -1, -1]],
  ];
  for (const each of wrong) {
    assertThrows(() => numbers(...each), ModelFormatError, "deepstack_mapping");
  }
  // One part for each layer but the first: 64 are as many as there may be.
  const all = (count: number) => list(Int32Array.from({ length: count }, (_, i) => i || -1));
  assertEquals(of(all(65), 65)[0], 65);
  assertThrows(() => of(all(66), 66), ModelFormatError, "deepstack_mapping");
  for (const other of [u32(1), list(Float32Array.of(-1, 1, -1, -1))]) {
    assertThrows(() => of(other), ModelFormatError, "deepstack_mapping");
  }
});

Deno.test("describeModel() refuses more parts of rows than the model has layers", () => {
  const file = parseGguf(tiny("qwen3vl", 3));
  assertThrows(() => describeModel(file), ModelFormatError, "at most the number of blocks");
});
