/** What prompts say around images: texts as llama.cpp's mtmd 0.12.9 writes them. */
import { assertEquals } from "@std/assert";
import type { ImageConfig } from "../../src/model/vision_types.ts";
import { prepareImage } from "../../src/vision/prepare.ts";
import type { LayoutPart } from "../../src/vision/types.ts";
import { IMAGE_CONFIGS } from "./image_configs.ts";
import { seededImage } from "./seeded_image.ts";

const NO_TABLES = { positions: null, classTokens: null, patchBias: null };

/** Texts as they are; rows of tiles as "{tile: first + count}", of tensors by their names. */
function layoutOf(config: ImageConfig, width: number, height: number): string {
  const { layout } = prepareImage(seededImage(width, height), config, NO_TABLES);
  return layout.map(shown).join("");
}

function shown(part: LayoutPart): string {
  if ("text" in part) return part.text;
  const grid = part.grid === null ? "" : ` as ${part.grid.rows} x ${part.grid.columns}`;
  const of = "tensor" in part ? part.tensor : part.tile;
  return `{${of}: ${part.first} + ${part.count}${grid}}`;
}

Deno.test("prepareImage() puts ends behind Hunyuan's lines, and a row on either side of all", () => {
  const { layout } = prepareImage(seededImage(133, 77), IMAGE_CONFIGS.hunyuanvl, NO_TABLES);
  const part = layout.find((each) => "tile" in each)!;
  // Of 8 rows 8 is an end of a line, 9 the begin, 10 the end.
  assertEquals([...part.order!], [9, 0, 1, 2, 3, 8, 4, 5, 6, 7, 8, 10]);
  assertEquals(part.grid?.isFramed, true);
});

Deno.test("prepareImage() lays out images of one tile", () => {
  const {
    gemma3,
    gemma4v,
    lightonocr,
    exaone4_5,
    hunyuanvl,
    nemotron_v2_vl,
    mlp,
    janus_pro,
    glm4v,
    kimik25,
    kimivl,
    youtuvl,
  } = IMAGE_CONFIGS;
  assertEquals(layoutOf(gemma3, 90, 40), "<start_of_image>{0: 0 + 4}<end_of_image>");
  assertEquals(layoutOf(gemma4v, 133, 77), "<|image>{0: 0 + 45}<image|>");
  const [before, behind] = [100, 101].map((i) => `<｜hy_place▁holder▁no▁${i}｜>`);
  assertEquals(layoutOf(hunyuanvl, 133, 77), `${before}{0: 0 + 12 as 2 x 5}${behind}`);
  const windows = prepareImage(seededImage(133, 77), youtuvl, NO_TABLES).layout[1] as {
    order: Int32Array;
  };
  // 3 rows and 5 columns, in windows of 4 · 4 blocks, of which the second has one column.
  assertEquals([...windows.order], [0, 1, 2, 3, 12, 4, 5, 6, 7, 13, 8, 9, 10, 11, 14]);
  assertEquals(layoutOf(youtuvl, 133, 77), "<|vision_start|>{0: 0 + 15 as 3 x 5}<|vision_end|>");
  assertEquals(layoutOf(lightonocr, 133, 77), "<|im_start|>{0: 0 + 24}<|im_end|>");
  assertEquals(layoutOf(exaone4_5, 133, 77), "<vision>{0: 0 + 15}</vision>");
  assertEquals(layoutOf(nemotron_v2_vl, 133, 77), "{0: 0 + 4}");
  assertEquals(layoutOf(mlp, 90, 40), "{0: 0 + 9}");
  assertEquals(layoutOf(janus_pro, 90, 40), "{0: 0 + 9}");
  assertEquals(layoutOf(glm4v, 133, 77), "<|begin_of_image|>{0: 0 + 15 as 3 x 5}<|end_of_image|>");
  assertEquals(layoutOf(kimik25, 133, 77), "<|media_begin|>{0: 0 + 15}<|media_end|>");
  assertEquals(layoutOf(kimivl, 133, 77), "<|media_start|>{0: 0 + 15}<|media_end|>");
});

Deno.test("prepareImage() lays out an image's parts before the whole", () => {
  const { idefics3, internvl, lfm2, llama4 } = IMAGE_CONFIGS;
  const fake = "<fake_token_around_image>";
  assertEquals(
    layoutOf(idefics3, 100, 90),
    [0, 1, 2].map((y) =>
      [0, 1, 2].map((x) => `${fake}<row_${y + 1}_col_${x + 1}>{${3 * y + x}: 0 + 4}`).join("")
    ).join("\n") + `\n\n${fake}<global-img>{9: 0 + 4}${fake}`,
  );
  assertEquals(layoutOf(internvl, 40, 100), "<img>{0: 0 + 4}{1: 0 + 4}{2: 0 + 4}</img>");
  assertEquals(layoutOf(llama4, 40, 50), "<|image_start|><|image|>{0: 0 + 4}<|image_end|>");
  assertEquals(
    layoutOf(llama4, 100, 110),
    "<|image_start|>{0: 0 + 4}<|tile_x_separator|>{1: 0 + 4}<|tile_y_separator|>{2: 0 + 4}" +
      "<|tile_x_separator|>{3: 0 + 4}<|tile_y_separator|><|image|>{4: 0 + 4}<|image_end|>",
  );
  assertEquals(layoutOf(internvl, 40, 50), "<img>{0: 0 + 4}</img>");
  assertEquals(
    layoutOf(lfm2, 1200, 400),
    "<|image_start|><|img_row_1_col_1|>{0: 0 + 256}<|img_row_1_col_2|>{1: 0 + 256}" +
      "<|img_row_1_col_3|>{2: 0 + 256}<|img_thumbnail|>{3: 0 + 12}<|image_end|>",
  );
});

Deno.test("prepareImage() lays out MiniCPM-V's whole images before their slices", () => {
  const { resampler } = IMAGE_CONFIGS;
  assertEquals(layoutOf(resampler, 40, 50), "<image>{0: 0 + 5}</image>");
  assertEquals(
    layoutOf(resampler, 133, 77),
    "<image>{4: 0 + 5}</image><slice>{0: 0 + 5}</slice><slice>{1: 0 + 5}</slice>\n" +
      "<slice>{2: 0 + 5}</slice><slice>{3: 0 + 5}</slice>",
  );
  const old = { ...resampler, hasOldMarks: true } as const;
  assertEquals(layoutOf(old, 40, 50), "<image>{0: 0 + 5}</image>");
  assertEquals(
    layoutOf(old, 40, 100),
    "<image>{3: 0 + 5}</image><slice><image>{0: 0 + 5}</image>\n<image>{1: 0 + 5}</image>\n" +
      "<image>{2: 0 + 5}</image></slice>",
  );
});

Deno.test("prepareImage() says of LFM2-VL's images without parts what the model was trained with", () => {
  // llama.cpp has a thumbnail's mark there, too.
  assertEquals(layoutOf(IMAGE_CONFIGS.lfm2, 30, 20), "<|image_start|>{0: 0 + 6}<|image_end|>");
});

Deno.test("prepareImage() puts a row between the lines of Pixtral's images", () => {
  const lines = { ...IMAGE_CONFIGS.pixtral, lineBreak: "breaks" };
  assertEquals(
    layoutOf(lines, 40, 50),
    "{0: 0 + 3}{breaks: 0 + 1}{0: 3 + 3}{breaks: 0 + 1}{0: 6 + 3}[IMG_END]",
  );
  const merging = { ...lines, mergeSide: 2 };
  assertEquals(layoutOf(merging, 64, 60), "{0: 0 + 2}{breaks: 0 + 1}{0: 2 + 2}[IMG_END]");
  assertEquals(layoutOf(IMAGE_CONFIGS.pixtral, 40, 50), "{0: 0 + 9}[IMG_END]");
});

Deno.test("prepareImage() goes through DeepSeek-OCR's tiles line by line, a row behind each", () => {
  const small = { imageSize: 64, patchSize: 4, tileSize: 32, tilesMax: 2 };
  const config = { ...IMAGE_CONFIGS.deepseekocr, ...small };
  const line = "{line: 0 + 1}";
  const whole = (tile: number) =>
    [0, 4, 8, 12].map((first) => `{${tile}: ${first} + 4}${line}`).join("") + "{image: 0 + 1}\n";
  const across = `{0: 0 + 2}{1: 0 + 2}${line}{0: 2 + 2}{1: 2 + 2}${line}`;
  const down = [0, 1].map((tile) => `{${tile}: 0 + 2}${line}{${tile}: 2 + 2}${line}`).join("");
  assertEquals(layoutOf(config, 32, 20), whole(0));
  assertEquals(layoutOf(config, 33, 20), across + whole(2));
  assertEquals(layoutOf(config, 20, 40), down + whole(2));
});

Deno.test("prepareImage() has DeepSeek-OCR 2's tiles one after the other, then the whole image", () => {
  const small = { imageSize: 64, patchSize: 4, tileSize: 48, tilesMax: 2 };
  const config = { ...IMAGE_CONFIGS.deepseekocr2, ...small };
  const whole = (tile: number) => `{${tile}: 0 + 16}{image: 0 + 1}\n`;
  assertEquals(layoutOf(config, 48, 20), whole(0));
  assertEquals(layoutOf(config, 49, 20), `{0: 0 + 9}{1: 0 + 9}${whole(2)}`);
});

Deno.test("prepareImage() has Granite 4's whole image, then lines without what was added around", () => {
  const config = IMAGE_CONFIGS.granite4_vision;
  // Of 8 lines of two tiles of 4 · 4 rows the outer ones are black.
  const lines = [[0, 8], [0, 12], [2, 0], [2, 4]].map(([tile, first]) =>
    `{${tile}: ${first} + 4}{${tile + 1}: ${first} + 4}{line: 0 + 1}`
  );
  assertEquals(layoutOf(config, 77, 45).slice(0, 11), "{4: 0 + 16}");
  assertEquals(layoutOf(config, 80, 41), `{4: 0 + 16}${lines.join("")}\n`);
  // Of a single column of tiles, of which the left and the right row are.
  const thin = [0, 1].flatMap((tile) =>
    [0, 4, 8, 12].map((first) => `{${tile}: ${first + 1} + 2}{line: 0 + 1}`)
  );
  assertEquals(layoutOf(config, 16, 64), `{2: 0 + 16}${thin.join("")}\n`);
  const { layout } = prepareImage(seededImage(16, 64), config, NO_TABLES);
  const [whole, part, end] = layout;
  // Rows come out of a tower window by window.
  const order = [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15];
  for (const each of [whole, part]) assertEquals("tile" in each && [...each.order!], order);
  assertEquals("tensor" in end && end.isRepeated, true);
  // An image so thin that no line has it is there as a whole only.
  assertEquals(layoutOf(config, 300, 1), "{2: 0 + 16}\n");
  // Of one that is so thin upright lines' ends are left.
  assertEquals(layoutOf(config, 1, 300), `{2: 0 + 16}${"{line: 0 + 1}".repeat(8)}\n`);
  // It is in the middle of three tiles, of which the outer ones are black.
  const flat = { ...config, gridSizes: [[96, 32]] } as const;
  const middle = [0, 4, 8, 12].map((first) => `{1: ${first + 1} + 2}{line: 0 + 1}`);
  assertEquals(layoutOf(flat, 10, 32), `{3: 0 + 16}${middle.join("")}\n`);
});

Deno.test("prepareImage() has Step3-VL's windows line by line, then the whole image", () => {
  const part = (tile: number) => `<patch_start>{${tile}: 0 + 81}<patch_end>`;
  const whole = (tile: number) => `<im_start>{${tile}: 0 + 169}<im_end>`;
  const config = IMAGE_CONFIGS.step3vl;
  assertEquals(layoutOf(config, 77, 77), whole(0));
  assertEquals(layoutOf(config, 600, 900), `${part(0)}<patch_newline>${part(1)}${whole(2)}`);
  assertEquals(layoutOf(config, 900, 400), `${part(0)}${part(1)}${whole(2)}`);
});

Deno.test("prepareImage() puts rows before and behind GLM-Edge's images", () => {
  const around = { begin: "begin", end: "end" };
  assertEquals(
    layoutOf({ ...IMAGE_CONFIGS.adapter, around }, 133, 77),
    "{begin: 0 + 1}{0: 0 + 4}{end: 0 + 1}",
  );
});

Deno.test("prepareImage() gives Qwen's rows two dimensions", () => {
  for (const kind of ["qwen2vl_merger", "qwen3vl_merger"] as const) {
    const text = layoutOf(IMAGE_CONFIGS[kind], 133, 77);
    const rows = kind === "qwen2vl_merger" ? "15 as 3 x 5" : "8 as 2 x 4";
    assertEquals(text, `<|vision_start|>{0: 0 + ${rows}}<|vision_end|>`);
  }
});

Deno.test("prepareImage() says which kinds' rows see each other both ways", () => {
  const seesAll = Object.entries(IMAGE_CONFIGS).filter(([, config]) =>
    prepareImage(seededImage(20, 20), config, NO_TABLES).seesAll
  );
  assertEquals(seesAll.map(([kind]) => kind), ["gemma3", "gemma4v", "gemma4uv"]);
});
