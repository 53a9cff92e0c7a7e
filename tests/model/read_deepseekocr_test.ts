/** What DeepSeek-OCR's projector files say, and which of them are refused. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufFile, type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { readVision } from "../../src/model/mod.ts";
import { tinyDeepseekOcr } from "../support/tiny_deepseekocr.ts";
import { withMetadata, withoutTensor, withTensor } from "./changed_file.ts";

const FILE = parseGguf(tinyDeepseekOcr());

function read(changes: Readonly<Record<string, GgufValue>>, file: GgufFile = FILE) {
  const keys = Object.entries(changes).map(([key, value]) => [`clip.vision.${key}`, value]);
  return readVision(withMetadata(file, Object.fromEntries(keys)));
}

Deno.test("readVision() reads two towers of a file, each with half of the last matrix", () => {
  const { description, second, images } = read({});
  const { config } = description;
  assertEquals([images.imageSize, images.patchSize, images.tileSize], [32, 2, 16]);
  assertEquals([images.tilesMin, images.tilesMax, images.convolvedSide], [2, 9, 4]);
  assertEquals(config.layers.map(({ offsets }) => offsets), [
    { side: 3, areWindows: true },
    { side: 3, areWindows: true },
    { side: 16, areWindows: false },
  ]);
  assertEquals([config.norm.epsilon, second!.config.norm.epsilon], [1e-6, 1e-5]);
  assertEquals([config.patches!.countMax, second!.config.patches!.countMax], [256, 17]);
  const deeper = readVision(parseGguf(tinyDeepseekOcr({ samLayers: 13 }))).description.config;
  const whole = deeper.layers.flatMap(({ offsets }, i) => offsets!.areWindows ? [] : [i]);
  assertEquals(whole, [2, 5, 8, 11]);
  const { projector } = config;
  assertEquals([projector!.columns, projector!.outputLength], [{ start: 64, end: 128 }, 128]);
  assertEquals(second!.config.projector!.columns, { start: 0, end: 64 });
  assertEquals(description.tensors.projector!.first.bias?.length, 64);
  assertEquals(second!.tensors.projector!.first.bias, null);
  const tiles = read({ preproc_min_tiles: 0, preproc_max_tiles: 1 }).images;
  assertEquals([tiles.tilesMin, tiles.tilesMax], [0, 1]);
});

Deno.test("readVision() refuses a file of DeepSeek-OCR that is wrong in one place", () => {
  const wrong: Readonly<Record<string, () => unknown>> = {
    "sam.head_count": () => read({ "sam.head_count": 3 }),
    "attention.head_count": () => read({ "attention.head_count": 5 }),
    "sam.block_count": () => read({ "sam.block_count": 999 }),
    "block_count": () => read({ "block_count": 999 }),
    "window_size": () => read({ "window_size": 17 }),
    "preproc_min_tiles": () => read({ "preproc_min_tiles": 10 }),
    "preproc_max_tiles": () => read({ "preproc_max_tiles": 300 }),
    "image_mean": () => read({ "image_mean": Float32Array.of(0.5) }),
    "multiples of 4": () => read({}, withTensor(FILE, POSITIONS, { dims: [32, 6, 6] })),
    "v.sam.pos_embd.weight": () => read({}, withTensor(FILE, POSITIONS, { dims: [32, 16, 12] })),
    "2000 pixels": () => read({}, withTensor(FILE, PATCHES, { dims: [2000, 2000, 3, 32] })),
    "257 pixels long, 256 are possible where 16": () =>
      read({}, withTensor(FILE, PATCHES, { dims: [257, 257, 3, 32] })),
    "an integer from 1 to 16": () =>
      read({ "preproc_max_tiles": 17 }, withTensor(FILE, PATCHES, { dims: [256, 256, 3, 32] })),
    "v.sam.net_3.weight": () => read({ "embedding_length": 60 }, withoutHalf(60)),
    "v.sam.blk.1.attn.pos_h.weight": () => read({}, withoutTensor(FILE, TABLE)),
    "v.view_seperator": () => read({}, withoutTensor(FILE, "v.view_seperator")),
    "mm.model.fc.bias": () => read({}, withoutTensor(FILE, "mm.model.fc.bias")),
  };
  for (const [text, make] of Object.entries(wrong)) assertThrows(make, ModelFormatError, text);
});

Deno.test("readVision() refuses halves of a row that are no whole blocks, and tensors it has no use for", () => {
  const blocks = withTensor(FILE, LAST, { type: "Q4_K" });
  assertThrows(() => read({}, blocks), UnsupportedModelError, "64 numbers are no whole blocks");
  const more = withTensor(FILE, "resampler.query", { dims: [4], type: "F32" });
  assertThrows(() => read({}, more), UnsupportedModelError, "resampler.query");
  // CLIP's own patches make nothing.
  read({}, withTensor(FILE, "v.patch_embd.weight", { dims: [4], type: "F32" }));
});

const POSITIONS = "v.sam.pos_embd.weight";
const PATCHES = "v.sam.patch_embd.weight";
const LAST = "mm.model.fc.weight";
const TABLE = "v.sam.blk.1.attn.pos_h.weight";

/** The last matrix and what goes with it as if CLIP's rows were so long. */
function withoutHalf(width: number): GgufFile {
  return withTensor(FILE, LAST, { dims: [2 * width, 64] });
}
