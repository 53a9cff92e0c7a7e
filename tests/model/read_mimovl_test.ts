/** What MiMo-VL's projector files say of heads and windows, and which of them are refused. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import { type GgufFile, type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { readVision } from "../../src/model/mod.ts";
import { tinyVision } from "../support/tiny_vision.ts";
import { withMetadata, withoutTensor, withTensor } from "./changed_file.ts";

const FILE = parseGguf(tinyVision({ kind: "mimovl" }));

function read(changes: Readonly<Record<string, GgufValue | undefined>>, file: GgufFile = FILE) {
  const keys = Object.entries(changes).map(([key, value]) => [`clip.vision.${key}`, value]);
  return readVision(withMetadata(file, Object.fromEntries(keys)));
}

const modes = (...all: number[]) => ({ wa_pattern_mode: Int32Array.from(all) });

Deno.test("readVision() reads layers along lines and columns, and heads as long as their matrix", () => {
  const { description: { config, tensors }, images } = read({});
  assertEquals([config.headCount, config.headCountKv, config.headDim], [4, 2, 32]);
  assertEquals(config.layers, [
    { slidingWindow: 6, rope: 0 },
    { slidingWindow: 6, byColumns: true, rope: 0 },
    { slidingWindow: 6, byColumns: true, rope: 0 },
    { slidingWindow: 0, rope: 0 },
  ]);
  assertEquals(tensors.layers.map(({ attentionSinks }) => attentionSinks?.length), [
    ...[4, 4, 4, undefined],
  ]);
  assertEquals(config.projector!.lacksLastNorm, true);
  assertEquals(config.projector!.norm, { of: "rows", kind: "layer", epsilon: 1e-6 });
  assertEquals([images.mergeSide, images.windowSide, images.firstPosition], [2, null, 0]);
  // Nothing says how long windows are where there are none, and sinks have no part in that.
  const whole = read({ ...modes(-1, -1, -1, -1), window_size: undefined }).description;
  assertEquals(whole.config.layers[0].slidingWindow, 0);
  assertEquals(whole.tensors.layers[0].attentionSinks, null);
  // Of files that do not say, up to 1280 rows of blocks of two patches.
  const silent = read({ image_min_pixels: undefined, image_max_pixels: undefined }).images;
  const block = (2 * silent.patchSize) ** 2;
  assertEquals([silent.pixelsMin, silent.pixelsMax], [8 * block, 1280 * block]);
  // Heads that are no part of the width.
  const odd = parseGguf(tinyVision({ kind: "mimovl", changes: { heads: 5, kvHeads: 1 } }));
  const { headDim } = read({ "attention.head_count_kv": 1 }, odd).description.config;
  assertEquals(headDim, 32);
});

Deno.test("readVision() refuses a file of MiMo-VL that is wrong in one place", () => {
  const wrong: Readonly<Record<string, readonly (() => unknown)[]>> = {
    "wa_pattern_mode": [
      ...[modes(), modes(0, 1, 1), modes(0, 1, 1, -1, -1), modes(0, 1, 2, -1), modes(0, 1, -2, -1)]
        .map((each) => () => read(each)),
      () => read({ wa_pattern_mode: undefined }),
      () => read({ wa_pattern_mode: Float32Array.of(0, NaN, 1, -1) }),
    ],
    "window_size": [0, -1, 65_537, undefined].map((size) => () => read({ window_size: size })),
    "attention.head_count": [
      () => read({ "attention.head_count": 6 }),
      () => read({}, withoutTensor(FILE, "v.blk.0.attn_qkv.weight")),
    ],
    "attention.head_count_kv": [() => read({ "attention.head_count_kv": 3 })],
    "v.blk.1.attn_sinks": [
      () => read({}, withoutTensor(FILE, "v.blk.1.attn_sinks")),
      () => read({}, withTensor(FILE, "v.blk.1.attn_sinks", { dims: [3] })),
    ],
    "v.blk.2.attn_qkv.weight": [
      () => read({}, withTensor(FILE, "v.blk.2.attn_qkv.weight", { dims: [96, 252] })),
    ],
    "v.post_ln.weight": [() => read({}, withoutTensor(FILE, "v.post_ln.weight"))],
    "mm.0.bias": [() => read({}, withTensor(FILE, "mm.0.bias", { dims: [128], type: "F32" }))],
  };
  for (const [text, all] of Object.entries(wrong)) {
    for (const make of all) assertThrows(make, ModelFormatError, text);
  }
});
