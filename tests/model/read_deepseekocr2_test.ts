/** What DeepSeek-OCR 2's projector files say, and which of them are refused. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufFile, type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { readVision } from "../../src/model/mod.ts";
import { tinyDeepseekOcr } from "../support/tiny_deepseekocr.ts";
import { withMetadata, withoutTensor, withTensor } from "./changed_file.ts";

const FILE = parseGguf(tinyDeepseekOcr({ version: 2 }));

function read(
  changes: Readonly<Record<string, GgufValue | undefined>>,
  file: GgufFile = FILE,
) {
  const keys = Object.entries(changes).map(([key, value]) => [`clip.vision.${key}`, value]);
  return readVision(withMetadata(file, Object.fromEntries(keys)));
}

Deno.test("readVision() reads queries behind rows of a first tower, which one matrix reads alone", () => {
  const { description, second, images } = read({});
  const { config, tensors } = description;
  assertEquals([images.imageSize, images.patchSize, images.tileSize], [32, 2, 24]);
  assertEquals([images.tilesMin, images.tilesMax, images.convolvedSide], [2, 6, 4]);
  assertEquals([images.behindWhole, images.behindLines], ["v.view_seperator", undefined]);
  assertEquals(images.second!.queries, [
    { tensor: "v.resample_query_1024.weight", count: 16 },
    { tensor: "v.resample_query_768.weight", count: 9 },
  ]);
  // All that comes out of the first one are rows of the convolutions.
  const { projector } = config;
  assertEquals([projector!.passesOn, projector!.columns, projector!.outputLength], [
    ...[true, undefined, 64],
  ]);
  assertEquals([tensors.projector!.first.rows, config.norm.epsilon], [0, 1e-6]);
  const own = second!.config;
  assertEquals(own.patches, { length: 64, countMax: 32, areRows: true, areAsked: true });
  assertEquals([own.headCount, own.headCountKv, own.headDim], [4, 2, 16]);
  assertEquals(own.norm, { kind: "rms", epsilon: Math.fround(1e-6) });
  assertEquals(own.ropes.map(({ kind, frequencyBase }) => [kind, frequencyBase]), [["neox", 1e6]]);
  assertEquals([own.feedForward.activation, own.feedForward.isGated], ["silu", true]);
  assertEquals(own.projector!.lacksLastNorm, undefined);
  assertEquals(second!.tensors.projector!.first.bias?.length, 64);
  // Rows behind lines are there in some files, and are not this kind's.
  read({}, withTensor(FILE, "v.image_newline", { dims: [64], type: "F32" }));
  // Nor are patches of the second tower, which takes none.
  const patches = withTensor(FILE, "v.patch_embd.weight", { dims: [4, 4, 3, 64], type: "F32" });
  read({}, withTensor(patches, "v.patch_embd.bias", { dims: [64], type: "F32" }));
});

Deno.test("readVision() refuses a file of DeepSeek-OCR 2 that is wrong in one place", () => {
  const shorter = (name: string) => withTensor(FILE, name, { dims: [64, 8] });
  const wrong: Readonly<Record<string, () => unknown>> = {
    "attention.head_count_kv": () => read({ "attention.head_count_kv": 3 }),
    "attention.head_count": () => read({ "attention.head_count": 64 }),
    "sam.head_count": () => read({ "sam.head_count": 3 }),
    "block_count": () => read({ "block_count": 999 }),
    "preproc_max_tiles": () => read({ "preproc_max_tiles": 300 }),
    "layer_norm_epsilon": () => read({ "attention.layer_norm_epsilon": -1 }),
    "v.resample_query_1024.weight": () => read({}, shorter("v.resample_query_1024.weight")),
    "v.resample_query_768.weight": () => read({}, shorter("v.resample_query_768.weight")),
    "v.post_ln.weight": () => read({}, withoutTensor(FILE, "v.post_ln.weight")),
    "v.view_seperator": () => read({}, withoutTensor(FILE, "v.view_seperator")),
    "mm.model.fc.weight": () =>
      read({}, withTensor(FILE, "mm.model.fc.weight", { dims: [128, 64] })),
    "mm.model.fc.bias": () => read({}, withoutTensor(FILE, "mm.model.fc.bias")),
    "v.blk.1.ffn_gate.weight": () => read({}, withoutTensor(FILE, "v.blk.1.ffn_gate.weight")),
  };
  for (const [text, make] of Object.entries(wrong)) assertThrows(make, ModelFormatError, text);
  assertThrows(
    () => read({ "attention.head_count_kv": undefined }),
    ModelFormatError,
    "attention.head_count_kv",
  );
  const more = withTensor(FILE, "v.class_embd", { dims: [64], type: "F32" });
  assertThrows(() => read({}, more), UnsupportedModelError, "v.class_embd");
});
