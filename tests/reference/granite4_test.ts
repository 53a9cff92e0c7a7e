/**
 * All parts of the reference's rows of Granite 4 Vision beside llama.cpp's (mtmd v0.5.0), and every
 * choice that makes them, but which gelu neurons of queries have: that one is by the sources alone.
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

const [NMSE_MAX, NMSE_MIN] = [1e-7, 1e-5];
const SIDE = 8;

Deno.test("all parts of rows by Granite 4 Vision are llama.cpp's, and by what they are not are not", () => {
  const bytes = tinyVision({ kind: "granite4_vision" });
  const file = parseGguf(bytes);
  const { description, images } = readVision(file);
  const grid = { rows: SIDE, columns: SIDE };
  const of = { images, config: description.config, grid, isLikePeer: true };
  const input = tinyTowerInput(of, { file, bytes });
  const error = (description: ModelDescription) => {
    const reader = TensorReader.ofBytes(bytes);
    const rows = new ReferenceModel(file, { description, reader }).see(input);
    assertEquals(rows.length, 16 * 64);
    const ends = [0, 15].flatMap((row) =>
      [0, 1, 2, 3].flatMap((part) => Array.from(rows.subarray(64 * row + 16 * part).slice(0, 3)))
    );
    return nmse(Float64Array.from(ends), Float64Array.from(ROWS));
  };
  assertLess(error(description), NMSE_MAX);
  for (const [name, change] of Object.entries(MISTAKES)) {
    assertGreater(error(change(description)), NMSE_MIN, name);
  }
});

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
