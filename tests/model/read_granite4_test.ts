/** What Granite 4 Vision's projector files say, and which of them are refused. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufFile, type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { readVision } from "../../src/model/mod.ts";
import { tinyVision } from "../support/tiny_vision.ts";
import { withMetadata, withoutTensor, withTensor } from "./changed_file.ts";

const FILE = parseGguf(tinyVision({ kind: "granite4_vision" }));

function read(changes: Readonly<Record<string, GgufValue | undefined>>, file: GgufFile = FILE) {
  const keys = Object.entries(changes).map(([key, value]) => [`clip.vision.${key}`, value]);
  return readVision(withMetadata(file, Object.fromEntries(keys)));
}

Deno.test("readVision() reads queries of windows of some layers, a part of a row each", () => {
  const { description: { config, tensors }, images } = read({});
  assertEquals([images.mergeSide, images.windowSide, images.behindParts], [
    ...[2, 4, "v.image_newline"],
  ]);
  assertEquals(images.gridSizes.length, 4);
  // Windows are queries' alone.
  assertEquals(config.layers, [0, 1].map(() => ({ slidingWindow: 0, rope: null })));
  const numbers = { rows: 16, queryCount: 4, width: 128, headDim: 64, epsilon: 1e-12 };
  const asked = config.projector!.layerQueries!;
  assertEquals(asked[0], { ...numbers, activation: "geluErf", layer: 1, taken: null });
  assertEquals(asked.map(({ layer, taken }) => [layer, taken]), [
    ...[[1, null], [0, null], [1, 1], [1, 2]],
  ]);
  assertEquals([config.projector!.outputLength, config.projector!.lacksLastNorm], [64, true]);
  assertEquals([tensors.projector!.first.rows, tensors.projector!.deep!.length], [16, 3]);
  // Layers behind the last one that is asked are not computed.
  const first = { feature_layer: Int32Array.of(0, 0, 0, 0) };
  assertEquals(read(first).description.config.blockCount, 1);
  const { projector } = read({
    feature_layer: Int32Array.of(1),
    "projector.spatial_offsets": Int32Array.of(-1),
  }, withoutParts([1, 2, 3])).description.tensors;
  assertEquals([projector!.deep, projector!.layerQueries!.length], [undefined, 1]);
});

Deno.test("readVision() refuses a file of Granite 4 Vision that is wrong in one place", () => {
  const offsets = (...all: number[]) => ({ "projector.spatial_offsets": Int32Array.of(...all) });
  const layers = (...all: number[]) => ({ feature_layer: Int32Array.of(...all) });
  const grid = (...all: number[]) => ({ image_grid_pinpoints: Int32Array.of(...all) });
  const wrong: Readonly<Record<string, readonly (() => unknown)[]>> = {
    "feature_layer": [
      ...[layers(), layers(0, 1, 2, 0), layers(0, -1, 0, 0), layers(...Array(65).fill(0))]
        .map((each) => () => read(each)),
      () => read({ feature_layer: undefined }),
      () => read({ feature_layer: Float32Array.of(NaN, 0, 0, 0) }),
    ],
    "spatial_offsets": [offsets(), offsets(-1, -1, 1), offsets(-1, -1, 1, 4), offsets(-2, 0, 0, 0)]
      .map((each) => () => read(each)),
    "from -1 to -1": [() => read({ "projector.query_side": 1 }, withQueries(1))],
    "query_side": [0, 3, 5].map((side) => () => read({ "projector.query_side": side })),
    "window_side": [0, 65, undefined].map((side) => () => read({ "projector.window_side": side })),
    "image_size": [() => read({ "projector.window_side": 6, "projector.query_side": 3 })],
    "image_grid_pinpoints": [
      // The last one is small, but of 1056 tiles.
      ...[grid(), grid(32, 33), grid(32), grid(0, 32), grid(32 * 1024, 32 * 1024), grid(1024, 1056)]
        .map((each) => () => read(each)),
      () => read({ image_grid_pinpoints: undefined }),
      // Not many, but large.
      () => read(grid(512 * 16, 512 * 32), parseGguf(tinyVision({ ...LARGE }))),
    ],
    "embedding_length": [
      () => read({}, parseGguf(tinyVision({ kind: "granite4_vision", changes: { width: 96 } }))),
    ],
    "v.proj_blk.2.img_pos": [
      () => read({}, withTensor(FILE, "v.proj_blk.2.img_pos", { dims: [128, 15] })),
      () => read({}, withoutTensor(FILE, "v.proj_blk.2.img_pos")),
    ],
    "v.proj_blk.1.linear.weight": [
      () => read({}, withTensor(FILE, "v.proj_blk.1.linear.weight", { dims: [128, 17] })),
    ],
    "v.image_newline": [
      () => read({}, withTensor(FILE, "v.image_newline", { dims: [64] })),
      () => read({}, withoutTensor(FILE, "v.image_newline")),
    ],
  };
  for (const [text, all] of Object.entries(wrong)) {
    for (const make of all) assertThrows(make, ModelFormatError, text);
  }
  const more = withTensor(FILE, "v.proj_blk.4.query", { dims: [4], type: "F32" });
  assertThrows(() => read({}, more), UnsupportedModelError, "v.proj_blk.4.query");
});

const LARGE = { kind: "granite4_vision", changes: { patchSize: 64, width: 64 } } as const;

function withQueries(count: number): GgufFile {
  return [0, 1, 2, 3].reduce<GgufFile>(
    (file, part) => withTensor(file, `v.proj_blk.${part}.query`, { dims: [128, count] }),
    FILE,
  );
}

function withoutParts(parts: readonly number[]): GgufFile {
  const names = [...FILE.tensors.keys()].filter((name) =>
    parts.some((part) => name.startsWith(`v.proj_blk.${part}.`))
  );
  return names.reduce<GgufFile>(withoutTensor, FILE);
}
