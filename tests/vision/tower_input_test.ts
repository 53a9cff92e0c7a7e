import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { RequestError, UnsupportedModelError } from "../../src/base/errors.ts";
import { outcomeOrder, patchOrder } from "../../src/vision/patch_order.ts";
import { positionsOf } from "../../src/vision/positions.ts";
import { prepareImage } from "../../src/vision/prepare.ts";
import { towerInput } from "../../src/vision/tower_input.ts";
import { IMAGE_CONFIGS } from "./image_configs.ts";
import { seededImage } from "./seeded_image.ts";

const NO_TABLES = { positions: null, classTokens: null, patchBias: null };
/** A table of llama.cpp's numbers below: 16 positions of length 1. */
const TABLE = Float32Array.from({ length: 16 }, (_, i) => i * 37 % 101 / 101 - 0.5);

function resized(
  rows: number,
  columns: number,
  resize: "bilinear" | "bilinearCentres" | "bilinearCorners" | "bicubic",
) {
  const positions = { tensor: "positions", count: 16, classRow: null, resize };
  return Array.from(positionsOf({ rows, columns }, positions, TABLE));
}

function assertClose(actual: readonly number[], expected: readonly number[]) {
  assertEquals(actual.length, expected.length);
  actual.forEach((value, i) => assertAlmostEquals(value, expected[i], 1e-6));
}

Deno.test("positionsOf() takes other grids' from between, as ggml_interpolate() with antialiasing", () => {
  assertClose(resized(3, 6, "bilinear"), [
    ...[-0.360396, -0.177228, 0.016997, 0.061221, -0.094554, -0.261386],
    ...[0.19802, 0.131188, 0.042079, -0.04703, -0.136139, -0.20297],
    ...[0.056436, 0.089604, 0.067162, -0.15528, -0.177723, -0.144554],
  ]);
  assertClose(resized(2, 2, "bilinear"), [-0.048798, -0.085371, 0.070216, -0.129622]);
});

Deno.test("positionsOf() lets centres meet, each place between the two nearest each way", () => {
  const mean = (...places: number[]) => places.reduce((sum, i) => sum + TABLE[i] / 4, 0);
  assertClose(resized(2, 2, "bilinearCentres"), [
    ...[mean(0, 1, 4, 5), mean(2, 3, 6, 7), mean(8, 9, 12, 13), mean(10, 11, 14, 15)],
  ]);
  // Half a place before the first one there is nothing else.
  const line = resized(4, 8, "bilinearCentres").slice(0, 4);
  const between = (part: number) => TABLE[0] + part * (TABLE[1] - TABLE[0]);
  const second = TABLE[1] + (TABLE[2] - TABLE[1]) / 4;
  assertClose(line, [TABLE[0], between(0.25), between(0.75), second]);
});

Deno.test("positionsOf() lets corners meet, as ggml_interpolate() with aligned corners", () => {
  assertClose(resized(3, 6, "bilinearCorners"), [
    ...[-0.5, -0.280198, -0.060396, 0.159406, -0.020792, -0.40099],
    ...[0.19802, 0.117822, 0.037624, -0.042574, -0.122772, -0.20297],
    ...[-0.10396, 0.115842, 0.135644, -0.244554, -0.224752, -0.00495],
  ]);
  assertClose(resized(2, 2, "bilinearCorners"), [-0.5, -0.40099, -0.10396, -0.00495]);
});

Deno.test("positionsOf() lays cubics through a square's, as ggml_interpolate() does", () => {
  assertClose(resized(3, 6, "bicubic"), [
    ...[-0.4746, -0.268706, 0.013407, 0.166076, -0.069269, -0.365962],
    ...[0.311511, 0.190594, 0.027753, -0.042469, -0.14867, -0.214573],
    ...[-0.036984, 0.127903, 0.132723, -0.23289, -0.22807, -0.063184],
  ]);
  assertClose(resized(2, 2, "bicubic"), [-0.05959, -0.119556, 0.097028, -0.177783]);
  assertClose(resized(7, 4, "bicubic").slice(0, 8), [
    ...[-0.54617, -0.179833, 0.28572, -0.44716, -0.370054, 0.057781, 0.021876, -0.209546],
  ]);
});

Deno.test("positionsOf() adds a row's to a column's where a file has both", () => {
  const table = Float32Array.of(1, 2, 3, 4, 10, 20, 30, 40);
  const positions = { tensor: "positions", count: 8, classRow: null, resize: "sum" } as const;
  const made = positionsOf({ rows: 2, columns: 3 }, positions, table);
  assertEquals(Array.from(made), [11, 12, 13, 21, 22, 23]);
});

Deno.test("patchOrder() goes by blocks, and by windows of blocks; outcomeOrder() goes back", () => {
  assertEquals(
    Array.from(patchOrder({ rows: 2, columns: 6 }, { mergeSide: 2, windowSide: null })),
    [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11],
  );
  const grid = { rows: 4, columns: 8 };
  const sides = { mergeSide: 2, windowSide: 4 };
  const order = patchOrder(grid, sides);
  // The second window begins behind the four blocks of the first.
  assertEquals(Array.from(order.subarray(0, 8)), [0, 1, 8, 9, 2, 3, 10, 11]);
  assertEquals(order[16], 4);
  assertEquals(Array.from(outcomeOrder(grid, sides)!), [0, 1, 4, 5, 2, 3, 6, 7]);
  assertEquals(outcomeOrder(grid, { ...sides, windowSide: null }), undefined);
});

Deno.test("towerInput() says rows and columns of patches in their order", () => {
  const config = { ...IMAGE_CONFIGS.qwen2vl_merger, firstPosition: 1 } as const;
  const { positions, added, count, kept } = towerInput(seededImage(56, 28), config, NO_TABLES);
  assertEquals([count, kept, added], [8, 8, null]);
  assertEquals(
    Array.from(positions!),
    [
      ...[[0, 1, 1], [0, 1, 2], [0, 2, 1], [0, 2, 2]],
      ...[[0, 1, 3], [0, 1, 4], [0, 2, 3], [0, 2, 4]],
    ].flat(),
  );
});

Deno.test("towerInput() puts a class token behind the patches, without what the tower adds", () => {
  const config = {
    ...IMAGE_CONFIGS.mlp,
    positions: { tensor: "positions", count: 10, classRow: 0, resize: null },
    ...{ classTokens: "class", classTokenCount: 1 },
    patchBias: "bias",
  };
  const positions = Float32Array.from({ length: 20 }, (_, i) => i);
  const classTokens = Float32Array.of(100, 200);
  const patchBias = Float32Array.of(1000, 2000);
  const input = towerInput(seededImage(42, 42), config, { positions, classTokens, patchBias });
  assertEquals([input.count, input.kept], [10, 9]);
  assertEquals(Array.from(input.added!.subarray(0, 4)), [2, 3, 4, 5]);
  assertEquals(Array.from(input.added!.subarray(18)), [100 + 0 - 1000, 200 + 1 - 2000]);
  assert(input.patches.subarray(9 * 588).every((value) => value === 0));
  assertEquals(input.patches.length, 10 * 588);
});

Deno.test("towerInput() puts several class tokens behind the patches", () => {
  const config = {
    ...IMAGE_CONFIGS.nemotron_v2_vl,
    ...{ patchSize: 32, classTokens: "class", classTokenCount: 2, patchBias: "bias" },
    positions: { tensor: "positions", count: 4, classRow: null, resize: null },
  };
  const positions = Float32Array.from({ length: 8 }, (_, i) => i);
  const classTokens = Float32Array.of(100, 200, 300, 400);
  const tables = { positions, classTokens, patchBias: Float32Array.of(1, 2) };
  const { count, kept, added } = towerInput(seededImage(64, 64), config, tables);
  assertEquals([count, kept], [6, 4]);
  assertEquals(Array.from(added!), [0, 1, 2, 3, 4, 5, 6, 7, 99, 198, 299, 398]);
});

Deno.test("towerInput() puts a second tower's queries behind as many rows, by how many they are", () => {
  const config = {
    ...{ ...IMAGE_CONFIGS.deepseekocr2, imageSize: 64, patchSize: 4, tileSize: 48 },
    second: {
      ...{ positions: null, classTokens: null, classTokenCount: 0 },
      queries: [{ tensor: "of whole", count: 16 }, { tensor: "of tile", count: 9 }],
    },
  };
  const queries = [16, 9].map((count) => Float32Array.from({ length: 2 * count }, (_, i) => 1 + i));
  const second = { positions: null, classTokens: null, queries };
  for (const [i, side] of [64, 48].entries()) {
    const input = towerInput(seededImage(side, side), config, { ...NO_TABLES, second }).second!;
    const { length } = queries[i];
    assertEquals([input.kept, input.count], [length / 2, length]);
    assertEquals(Array.from(input.added), [...new Array(length).fill(0), ...queries[i]]);
  }
});

Deno.test("prepareImage() refuses an image that is too long and thin for a tower", () => {
  const config = IMAGE_CONFIGS.qwen2vl_merger;
  const error = assertThrows(
    () => prepareImage(seededImage(3, 9000), config, NO_TABLES),
    RequestError,
    "3 · 9000 pixels are too long and thin for this model",
  );
  assertEquals([error.status, error.param], [400, "messages"]);
});

Deno.test("prepareImage() refuses a kind that it does not know", () => {
  const config = { ...IMAGE_CONFIGS.mlp, projector: "cogvlm" };
  assertThrows(
    () => prepareImage(seededImage(3, 3), config, NO_TABLES),
    UnsupportedModelError,
    'of type "cogvlm": this version does for adapter, deepseekocr, deepseekocr2, dots_ocr',
  );
});
