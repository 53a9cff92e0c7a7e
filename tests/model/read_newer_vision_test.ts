/** What projector files say of kinds whose towers or projectors do what few others do. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import { type GgufFile, type GgufValue, parseGguf, u32 } from "../../src/gguf/mod.ts";
import { readVision } from "../../src/model/mod.ts";
import { tinyVision, type TinyVisionKind, type TinyVisionOptions } from "../support/tiny_vision.ts";
import { withMetadata, withoutTensor, withTensor } from "./changed_file.ts";

function fileOf(options: TinyVisionOptions): GgufFile {
  return parseGguf(tinyVision(options));
}

/** The kind's tiny projector with other values of `clip.` keys. */
function read(changes: Readonly<Record<string, GgufValue | undefined>>, of: TinyVisionOptions) {
  const keys = Object.entries(changes).map(([key, value]) => [`clip.${key}`, value]);
  return readVision(withMetadata(fileOf(of), Object.fromEntries(keys)));
}

Deno.test("readVision() reads where MiniCPM-V 4.6's rows become fewer, and that they do not", () => {
  const kind = "minicpmv4_6";
  const of = (changes: Record<string, GgufValue | undefined>) => read(changes, { kind });
  const { description: { config, tensors }, images } = of({});
  assertEquals(config.projector!.fold, { behind: 1, rows: 4 });
  assertEquals([config.blockCount, config.layers[1].attentionChunk], [3, 4]);
  assertEquals(tensors.layers.map(({ feedForward }) => feedForward === null), [false, true, false]);
  assertEquals([images.mergeSide, images.foldSide, config.projector!.mergedRows], [4, 2, 4]);
  // Two squares, and of whole patches the thinnest images get more.
  assertEquals([images.pixelsMax, images.positions?.count], [2 * 32 ** 2, 70 * 70]);
  const behind = (layers?: Int32Array) =>
    of({ "vision.wa_layer_indexes": layers }).description.config.projector!.fold!.behind;
  assertEquals([behind(), behind(Int32Array.of(1))], [1, 2]);
  for (const layers of [[2], [-1]]) {
    assertThrows(() => behind(Int32Array.from(layers)), ModelFormatError, "wa_layer_indexes");
  }
  // What is there for sixteen patches may be there for four.
  const four = of({ "vision.projector.scale_factor": 2 });
  assertEquals([four.images.foldSide, four.description.config.blockCount], [undefined, 2]);
  for (const side of [1, 3, 8]) {
    const wrong = () => of({ "vision.projector.scale_factor": side });
    assertThrows(wrong, ModelFormatError, "2 or 4");
  }
  const names = [
    "ln1.weight",
    "attn_q.weight",
    "attn_out.weight",
    "ds_ln.weight",
    "ds_ffn_down.weight",
  ];
  for (const name of names.map((each) => `v.vit_merger.${each}`)) {
    assertThrows(() => readVision(withoutTensor(fileOf({ kind }), name)), ModelFormatError, name);
    const other = withTensor(fileOf({ kind }), name, { dims: [48], type: "F32" });
    assertThrows(() => readVision(other), ModelFormatError, name);
  }
  const square = read({ "vision.image_size": 44 }, { kind }).images.imageSize;
  assertEquals(square, 44, "images need not be whole blocks");
  // Of 16 · 16 pixels is a block: two squares of 12 have so many, of 11 not.
  assertEquals(of({ "vision.image_size": 12 }).images.pixelsMax, 288);
  const small = () => of({ "vision.image_size": 11 });
  assertThrows(small, ModelFormatError, "large enough for 4 patches of 4 pixels");
});

Deno.test("readVision() has MiniMax M3's heads turned by thirds, and its images as large as they may be", () => {
  const absent = { "vision.image_min_pixels": undefined, "vision.image_max_pixels": undefined };
  const { description: { config }, images } = read(absent, { kind: "minimax_m3" });
  const turned = config.ropes.map((
    { start, dimensionCount, axes },
  ) => [start, dimensionCount, axes!.axisOf]);
  assertEquals(turned, [[4, 4, [1, 1]], [8, 4, [2, 2]]]);
  assertEquals([images.pixelsMin, images.pixelsMax], [8 * 64, 576 * 64]);
  const few = { "vision.attention.head_count": 48 };
  assertThrows(() => read(few, { kind: "minimax_m3" }), ModelFormatError, "head_count");
});

Deno.test("readVision() has Muse Glimmer's windows as large as the square that has positions", () => {
  const of = (changes: Partial<TinyVisionKind>) =>
    readVision(fileOf({ kind: "muse-glimmer", changes }));
  const { images, description: { config } } = of({ blockCount: 6 });
  assertEquals([images.windowSide, images.firstPosition], [4, 0]);
  assertEquals([images.positions?.count, images.pixelsMax], [16, 16384]);
  // Each fourth layer and the last one see all.
  const sides = config.layers.map(({ windowSide }) => windowSide);
  assertEquals(sides, [4, 4, 4, undefined, 4, undefined]);
  assertEquals(config.feedForward.activation, "geluErf");
  assertThrows(() => of({ positionSide: 5 }), ModelFormatError, "divisor of the side");
});

Deno.test("readVision() reads convolutions that make Step3-VL's rows fewer, and its tiles' size", () => {
  const of = (changes: Partial<TinyVisionKind>) => readVision(fileOf({ kind: "step3vl", changes }));
  const { images, description: { config: { projector }, tensors } } = of({});
  assertEquals([images.imageSize, images.tileSize, images.convolvedSide], [32, 16, 4]);
  assertEquals(projector!.mergedRows, 16);
  const each = { side: 3, stride: 2, epsilon: null } as const;
  assertEquals(projector!.convolutions, [each, each]);
  const { convolutions, first } = tensors.projector!;
  assertEquals(convolutions!.map(({ matrix }) => [matrix.rows, matrix.columns]), [[40, 864], [
    72,
    360,
  ]]);
  assertEquals([convolutions![1].matrix.bias?.length, first.columns, first.bias], [72, 72, null]);
  // Step3-VL-10B's.
  assertEquals(of({ patchSize: 14, side: 52 }).images.tileSize, 504);
  // A tile is one row of the convolutions' at least.
  assertEquals(of({ side: 4 }).images.tileSize, 16);
  assertThrows(() => of({ side: 6 }), ModelFormatError, "a multiple of 4 patches");
  const keys = { "projector.scale_factor": u32(2) };
  assertThrows(() => of({ keys }), ModelFormatError, "scale_factor");
  const file = fileOf({ kind: "step3vl" });
  const other = withTensor(file, "mm.1.weight", { dims: [3, 3, 39, 72] });
  assertThrows(() => readVision(other), ModelFormatError, "mm.1.weight");
  assertThrows(() => readVision(withoutTensor(file, "mm.0.weight")), ModelFormatError, "mm.0");
  readVision(withoutTensor(file, "mm.0.bias"));
});

Deno.test("readVision() reads rows around GLM-Edge's images, as long as those of the text", () => {
  const file = fileOf({ kind: "adapter" });
  const { images, description: { config: { projector } } } = readVision(file);
  assertEquals(images.around, { begin: "adapter.boi", end: "adapter.eoi" });
  // The tower's epsilon in the projector, too.
  assertEquals(projector!.stages!.map(({ epsilon }) => epsilon), [null, Math.fround(0.05)]);
  for (const name of ["adapter.boi", "adapter.eoi"]) {
    assertThrows(() => readVision(withoutTensor(file, name)), ModelFormatError, name);
    const longer = withTensor(file, name, { dims: [96], type: "F32" });
    assertThrows(() => readVision(longer), ModelFormatError, name);
  }
});

Deno.test("readVision() reads what convolves each number of MobileVLM 2's rows", () => {
  const file = fileOf({ kind: "ldpv2" });
  const { images, description: { config: { projector }, tensors } } = readVision(file);
  assertEquals([images.mergeSide, projector!.mergedRows, projector!.merge], [2, 4, "mean"]);
  assertEquals([projector!.convolvesChannels, projector!.outputLength], [true, 64]);
  assertEquals(projector!.rowStages, [{ epsilon: null, activation: "gelu" }]);
  const { channels, first } = tensors.projector!;
  assertEquals([channels!.kernels.length, channels!.bias.length, first.rows], [576, 64, 64]);
  const peg = "mm.model.peg.0";
  for (const name of [`${peg}.weight`, `${peg}.bias`, "mm.model.mlp.0.weight"]) {
    assertThrows(() => readVision(withoutTensor(file, name)), ModelFormatError, name);
  }
  const other = withTensor(file, `${peg}.weight`, { dims: [3, 3, 1, 63] });
  assertThrows(() => readVision(other), ModelFormatError, peg);
  // As LLaVA's: a class token, a layer that is read in place of the last one, rows behind lines.
  const named = withMetadata(file, { "clip.vision.feature_layer": Int32Array.of(1) });
  assertEquals(readVision(named).description.config.blockCount, 1);
  const length = { dims: [64], type: "F32" } as const;
  const classed = withTensor(file, "v.class_embd", { ...length, dims: [images.positions!.count] });
  assertThrows(() => readVision(classed), ModelFormatError, "v.class_embd");
  for (const name of ["v.image_newline", "model.image_newline"]) {
    readVision(withTensor(file, name, length));
  }
});
