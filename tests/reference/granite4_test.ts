/**
 * All parts of the reference's rows of Granite 4 Vision beside llama.cpp's (mtmd v0.5.0), and every
 * choice that makes them.
 */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { type ModelDescription, readVision } from "../../src/model/mod.ts";
import type { LayerQueriesConfig, LayerQueriesTensors } from "../../src/model/window_queries.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import { tinyTowerInput } from "../support/tiny_image.ts";
import { tinyVision } from "../support/tiny_vision.ts";

/** Of the first row and of the last one three numbers of each of the four parts. */
// deno-fmt-ignore
const ROWS = [
  -1.287230, 0.513073, 0.964088, 5.960816, -1.686500, 0.606924,
  0.246471, -1.165031, 2.778134, -0.129561, -0.167223, 2.615145,
  -2.038600, 0.807140, 1.175234, 4.237121, -0.035976, 0.804652,
  0.427506, -1.143997, 3.103050, -0.756989, -0.448338, 2.061138,
];

/** The same of `withNeurons`. */
// deno-fmt-ignore
const ROWS_OF_NEURONS = [
  -1.301826, -0.151613, -0.688374, 1.784527, 0.249526, 1.192544,
  1.823688, -1.460544, 1.055597, 0.289826, -0.705376, -0.136379,
  -1.124773, -0.118233, -0.737186, 1.966074, 0.592028, 1.799888,
  1.842144, -1.277608, 1.270148, 0.172340, -0.448577, -0.107415,
];

const [NMSE_MAX, NMSE_MIN] = [1e-7, 1e-5];
const SIDE = 8;

Deno.test("all parts of rows by Granite 4 Vision are llama.cpp's, and by what they are not are not", () => {
  const { description, errorOf } = rowsOf(tinyVision({ kind: "granite4_vision" }), ROWS);
  assertLess(errorOf(description), NMSE_MAX);
  for (const [name, change] of Object.entries(MISTAKES)) {
    assertGreater(errorOf(change(description)), NMSE_MIN, name);
  }
});

Deno.test("neurons of Granite 4 Vision's queries have gelu by the error function, as llama.cpp's", () => {
  const { description, errorOf } = rowsOf(withNeurons(), ROWS_OF_NEURONS);
  assertLess(errorOf(description), NMSE_MAX);
  const other = withNumbers(() => ({ activation: undefined }));
  assertGreater(errorOf(other(description)), NMSE_MIN);
});

/**
 * A file whose neurons say which gelu they have: what goes in is about -2.2, of which gelu by tanh
 * makes 1 % less than by the error function, and what comes out is most of the sum.
 */
function withNeurons(): Uint8Array<ArrayBuffer> {
  const bytes = tinyVision({ kind: "granite4_vision" });
  for (
    const { name, dims: [first, second = 1], offsetBytes } of parseGguf(bytes).tensors.values()
  ) {
    const [, neurons] = /^v\.proj_blk\.\d\.(ffn_.*)$/.exec(name) ?? [];
    const values = new Float32Array(bytes.buffer, offsetBytes, first * second);
    if (neurons === "ffn_up.bias") values.fill(-2.2);
    else if (neurons === "ffn_up.weight") values.forEach((value, i) => values[i] = 0.05 * value);
    else if (neurons === "ffn_down.weight") values.forEach((value, i) => values[i] = 50 * value);
  }
  return bytes;
}

/** The file's model, and how far rows of a model like it are from those expected. */
function rowsOf(bytes: Uint8Array<ArrayBuffer>, expected: readonly number[]) {
  const file = parseGguf(bytes);
  const { description, images } = readVision(file);
  const grid = { rows: SIDE, columns: SIDE };
  const of = { images, config: description.config, grid, isLikePeer: true };
  const input = tinyTowerInput(of, { file, bytes });
  const errorOf = (description: ModelDescription) => {
    const reader = TensorReader.ofBytes(bytes);
    const rows = new ReferenceModel(file, { description, reader }).see(input);
    assertEquals(rows.length, 16 * 64);
    const ends = [0, 15].flatMap((row) =>
      [0, 1, 2, 3].flatMap((part) => Array.from(rows.subarray(64 * row + 16 * part).slice(0, 3)))
    );
    return nmse(Float64Array.from(ends), Float64Array.from(expected));
  };
  return { description, errorOf };
}

const withNumbers =
  (change: (numbers: LayerQueriesConfig, part: number) => Partial<LayerQueriesConfig>) =>
  ({ config, tensors }: ModelDescription): ModelDescription => {
    const { projector } = config;
    const layerQueries = projector!.layerQueries!
      .map((each, part) => ({ ...each, ...change(each, part) }));
    return { config: { ...config, projector: { ...projector!, layerQueries } }, tensors };
  };
const withTensors =
  (change: (of: LayerQueriesTensors) => Partial<LayerQueriesTensors>) =>
  ({ config, tensors }: ModelDescription): ModelDescription => {
    const { projector } = tensors;
    const layerQueries = projector!.layerQueries!.map((each) => ({ ...each, ...change(each) }));
    return { config, tensors: { ...tensors, projector: { ...projector!, layerQueries } } };
  };

const MISTAKES: Readonly<Record<string, (d: ModelDescription) => ModelDescription>> = {
  "another layer in one part": withNumbers((_, part) => part === 1 ? { layer: 1 } : {}),
  "means in all parts": withNumbers(() => ({ taken: null })),
  "another row of each block": withNumbers(({ taken }) => ({ taken: taken === null ? null : 0 })),
  "rows of a block by columns": withNumbers(({ taken }) => (
    { taken: taken === null ? null : 3 - taken }
  )),
  "one row for the mean": withNumbers(({ taken }) => ({ taken: taken ?? 0 })),
  "another epsilon": withNumbers(() => ({ epsilon: 0.1 })),
  "longer heads": withNumbers(() => ({ headDim: 128 })),
  "positions of queries' norm": withTensors(({ queries }) => ({
    positions: { ...queries, rows: 16, tensor: "v.proj_blk.1.img_pos" },
  })),
  "norms exchanged": withTensors(({ norm, queryNorm }) => ({ norm: queryNorm, queryNorm: norm })),
  "asked before they ask one another": withTensors(({ blocks }) => ({
    blocks: blocks.map(({ own, window, ...rest }) => ({ ...rest, own: window, window: own })),
  })),
};
