/** Whole images prepared: how many tiles, and what is said around them. */
import { assertEquals, assertThrows } from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import type { ImageConfig } from "../../src/model/mod.ts";
import { VISION_KINDS } from "../../src/model/read_vision.ts";
import { imageKindOf, type PreparedImage, prepareImage } from "../../src/vision/mod.ts";
import { NO_TABLES, someConfig } from "../support/image_configs.ts";
import { makeRaster } from "../support/rasters.ts";

Deno.test("prepareImage() gives fixed sizes one tile, and says what the kind says around it", () => {
  assertEquals(show("mlp", [30, 20]), "0:0+4");
  assertEquals(show("janus_pro", [30, 20]), "0:0+4");
  const of = { mergeSide: 2 };
  assertEquals(show("gemma3", [30, 20], of), "<start_of_image>|0:0+1|<end_of_image>");
});

Deno.test("prepareImage() lets only Gemma's rows see each other both ways", () => {
  const seeing = VISION_KINDS.filter((projector) => imageKindOf(someConfig({ projector })).seesAll);
  assertEquals(seeing, ["gemma3"]);
});

Deno.test("prepareImage() cuts an image for Idefics 3 into rows of tiles, the whole one last", () => {
  const around = "<fake_token_around_image>";
  assertEquals(
    show("idefics3", [15, 30], { longestEdge: 16, mergeSide: 2 }),
    `${around}<row_1_col_1>|0:0+1|\n${around}<row_2_col_1>|1:0+1|` +
      `\n\n${around}<global-img>|2:0+1|${around}`,
  );
  // A file that says no edge has no tiles.
  const whole = `\n\n${around}<global-img>|0:0+1|${around}`;
  assertEquals(show("idefics3", [15, 30], { mergeSide: 2 }), whole);
});

Deno.test("prepareImage() cuts a large image for InternVL, and leaves a small one whole", () => {
  const of = { mergeSide: 2 };
  assertEquals(show("internvl", [8, 8], of), "<img>|0:0+1|</img>");
  assertEquals(show("internvl", [9, 4], of), "<img>|0:0+1|1:0+1|2:0+1|</img>");
  assertEquals(tileCount("internvl", [40, 30], of), 12 + 1);
  assertEquals(tileCount("internvl", [40, 30], { ...of, tilesMax: 6 }), 6 + 1);
});

Deno.test("prepareImage() cuts an image for LLaVA 1.6 as its file's sizes say", () => {
  const gridSizes = [[8, 16], [16, 8], [16, 16]] as const;
  assertEquals(tileCount("mlp", [30, 20], { gridSizes }), 4 + 1);
  assertEquals(tileCount("mlp", [32, 12], { gridSizes }), 2 + 1);
  assertEquals(tileCount("mlp", [8, 8], { gridSizes }), 1);
});

Deno.test("prepareImage() puts a row between Pixtral's lines", () => {
  const of = { ...bounds(4, 400), lineBreak: "break" };
  assertEquals(show("pixtral", [12, 8], of), "0:0+3|break|0:3+3|[IMG_END]");
  const merged = { ...bounds(8, 400), mergeSide: 2, lineBreak: "break" };
  assertEquals(show("pixtral", [16, 16], merged), "0:0+2|break|0:2+2|[IMG_END]");
  assertEquals(show("pixtral", [12, 8], bounds(4, 400)), "0:0+6|[IMG_END]");
});

Deno.test("prepareImage() says Qwen-VL where rows are, which windows put into another order", () => {
  const of = { ...bounds(8, 4000), mergeSide: 2 };
  const { layout } = prepare("qwen2vl_merger", [24, 16], of);
  assertEquals(layout, [
    { text: "<|vision_start|>" },
    { tile: 0, first: 0, count: 6, grid: { rows: 2, columns: 3 } },
    { text: "<|vision_end|>" },
  ]);
  // Two windows of two by two rows, side by side.
  const windows = prepare("qwen2.5vl_merger", [32, 16], { ...of, windowSide: 4 }).layout[1];
  const order = Int32Array.of(0, 1, 4, 5, 2, 3, 6, 7);
  const grid = { rows: 2, columns: 4 };
  assertEquals(windows, { tile: 0, first: 0, count: 8, grid, order });
});

Deno.test("prepareImage() brings images for windows to whole numbers of them", () => {
  const of = { ...bounds(8, 4000), mergeSide: 2, windowSide: 4 };
  const [{ count }] = prepare("qwen2.5vl_merger", [21, 37], of).tiles;
  assertEquals(count, 16 / 4 * (32 / 4));
});

Deno.test("prepareImage() cuts a large image for LFM2-VL into squares of 512 pixels", () => {
  const of = { patchSize: 32, mergeSide: 2, pixelsMin: 64 ** 2, pixelsMax: 256 ** 2 };
  const small = "<|image_start|>|0:0+12|<|image_end|>";
  assertEquals(show("lfm2", [256, 192], of), small);
  const { tiles, layout } = prepare("lfm2", [1100, 500], of);
  assertEquals(tiles.map(({ count }) => count), [256, 256, 4 * 10]);
  assertEquals(
    layout.map((part) => "text" in part ? part.text : part.count),
    [
      ...["<|image_start|><|img_row_1_col_1|>", 64, "<|img_row_1_col_2|>", 64],
      ...["<|img_thumbnail|>", 10, "<|image_end|>"],
    ],
  );
});

Deno.test("imageKindOf() knows all kinds of projectors that are read, and says which", () => {
  for (const projector of VISION_KINDS) imageKindOf(someConfig({ projector }));
  assertThrows(
    () => imageKindOf(someConfig({ projector: "ears" })),
    UnsupportedModelError,
    'type "ears": this version does for dots_ocr, gemma3, ',
  );
});

function prepare(
  projector: string,
  [width, height]: readonly [number, number],
  changes: Partial<ImageConfig> = {},
): PreparedImage {
  const image = makeRaster(width, height, (x, y) => x + y);
  return prepareImage(image, someConfig({ projector, ...changes }), NO_TABLES);
}

function tileCount(...of: Parameters<typeof prepare>): number {
  return prepare(...of).tiles.length;
}

/** A layout in short: texts, "tile:first+count", and tensors. */
function show(...of: Parameters<typeof prepare>): string {
  return prepare(...of).layout.map((part) => {
    if ("text" in part) return part.text;
    return "tensor" in part ? part.tensor : `${part.tile}:${part.first}+${part.count}`;
  }).join("|");
}

function bounds(pixelsMin: number, pixelsMax: number): Partial<ImageConfig> {
  return { pixelsMin, pixelsMax };
}
