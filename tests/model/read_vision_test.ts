import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { bool, type GgufFile, type GgufValue, packStrings, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel, readVision, VISION_KINDS } from "../../src/model/mod.ts";
import { KINDS } from "../../src/model/vision/kinds.ts";
import {
  TINY_KINDS,
  TINY_TOWER,
  tinyVision,
  type TinyVisionName,
  type TinyVisionOptions,
} from "../support/tiny_vision.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withMetadata, withoutTensor, withTensor } from "./changed_file.ts";

type Lengths = Record<"width" | "neurons", number>;

const NAMES = Object.keys(TINY_KINDS) as TinyVisionName[];

function fileOf(options: TinyVisionOptions = {}): GgufFile {
  return parseGguf(tinyVision(options));
}

/** A tiny projector of gemma3 with other values of `clip.` keys. */
function read(changes: Readonly<Record<string, GgufValue | undefined>>, options = {}) {
  const keys = Object.entries(changes).map(([key, value]) => [`clip.${key}`, value]);
  return readVision(withMetadata(fileOf(options), Object.fromEntries(keys)));
}

Deno.test("readVision() reads towers of every kind, whatever its matrices' type", () => {
  const projectors = new Set<string>();
  for (const kind of NAMES) {
    for (const type of ["F32", "Q8_0"] as const) {
      const { description: { config, tensors }, images } = readVision(fileOf({ kind, type }));
      projectors.add(images.projector);
      assert(config.isEncoder);
      assertEquals(config.patches?.length, 3 * images.patchSize ** 2);
      const { width, neurons }: Lengths = { ...TINY_TOWER, ...TINY_KINDS[kind] };
      assertEquals([config.embeddingLength, config.feedForwardLength], [width, neurons]);
      assertEquals(tensors.layers.length, config.blockCount);
      assertEquals(tensors.tokenEmbedding.rows, width);
      const parts = 1 + (config.projector?.deepLayers?.length ?? 0);
      assertEquals(config.projector?.outputLength, parts * TINY_TOWER.outputLength);
      const { mergedRows, fold } = config.projector!;
      const { mergeSide, convolvedSide = 1 } = images;
      assertEquals(mergedRows * (fold?.rows ?? 1), (mergeSide * convolvedSide) ** 2);
    }
  }
  // Those have tests of their own: read_deepseekocr_test.ts, read_gemma3n_test.ts.
  assertEquals(
    [...projectors, "deepseekocr", "deepseekocr2", "gemma3nv"].sort(),
    [...VISION_KINDS].sort(),
  );
});

Deno.test("readVision() says what preparing images takes", () => {
  const of = (kind: TinyVisionName) => readVision(fileOf({ kind })).images;
  const { mean, deviation, imageSize, pixelsMax, classTokens } = of("gemma3");
  assertEquals([mean, deviation], [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]);
  assertEquals([imageSize, pixelsMax, classTokens], [24, null, null]);
  assertEquals(of("mlp").positions?.classRow, 0);
  const biases = (["mlp", "gemma3", "internvl"] as const).map((kind) => of(kind).patchBias);
  assertEquals(biases, [null, null, "v.patch_embd.bias"]);
  assertEquals(of("idefics3").longestEdge, 48);
  assertEquals([of("pixtral").pixelsMin, of("pixtral").pixelsMax], [128, 16384]);
  assertEquals([of("pixtral-merging").pixelsMin, of("pixtral").firstPosition], [512, 0]);
  assertEquals(of("pixtral").lineBreak, "v.token_embd.img_break");
  assertEquals(of("qwen2.5vl_merger").windowSide, 8);
  assertEquals(of("lfm2").positions?.resize, "bilinear");
  const sizes = Uint32Array.of(24, 48, 48, 24);
  const { images } = read({ "vision.image_grid_pinpoints": sizes }, { kind: "mlp" });
  assertEquals(images.gridSizes, [[24, 48], [48, 24]]);
  const tiles = { "vision.preproc_min_tiles": 1, "vision.preproc_max_tiles": 12 };
  assertEquals(read(tiles, { kind: "internvl" }).images.tilesMax, 12);
});

Deno.test("readVision() makes Gemma 4's colours go from -1 to 1", () => {
  const colours = {
    "vision.image_mean": Float32Array.of(0, 0, 0.25),
    "vision.image_std": Float32Array.of(1, 1, 0.5),
  };
  const { images } = read(colours, { kind: "gemma4v" });
  assertEquals(images.mean, [0.5, 0.5, 0.5]);
  assertEquals(images.deviation, [0.5, 0.5, 0.25]);
});

Deno.test("readVision() gives Gemma 4's images positions on both axes, as many as they may have", () => {
  const of = (positionTables: number) => () =>
    readVision(fileOf({ kind: "gemma4v", changes: { positionTables } })).images.positions;
  assertEquals(of(50)()?.count, 100);
  assertThrows(of(49), ModelFormatError, "49 columns and as many rows, and images may be 50");
});

Deno.test("readVision() reads limits of products where Gemma 4's files have some, and of no other kind", () => {
  const name = "v.blk.0.attn_q.input_max";
  const limited = (kind: TinyVisionName, dims: number[]) => () =>
    readVision(withTensor(fileOf({ kind }), name, { dims, type: "F32" })).description;
  const { config, tensors } = limited("gemma4v", [1])();
  const none = { inputMin: null, outputMin: null, outputMax: null };
  const inputMax = { tensor: name, start: 0, length: 1 };
  assertEquals(tensors.layers[0].query?.limits, { ...none, inputMax });
  assertEquals([tensors.layers[0].key?.limits, config.limitsProducts], [undefined, true]);
  assertThrows(limited("gemma4v", [2]), ModelFormatError, name);
  assertThrows(limited("gemma3", [1]), UnsupportedModelError, name);
});

Deno.test("readVision() knows MiniCPM-V's versions by the file, and refuses later ones and other heads", () => {
  const kind = "resampler";
  const { description: { config: { projector, patches } }, images } = read({}, { kind });
  const { epsilon } = TINY_TOWER;
  assertEquals(projector!.resampler, {
    ...{ queryCount: 5, width: 256, headDim: 128, epsilon: Math.fround(epsilon) },
  });
  assertEquals([images.tileRows, images.firstPosition, images.positions?.count], [5, 0, 70 * 70]);
  // Two squares of 6 · 6 patches.
  assertEquals([patches!.countMax, images.pixelsMax], [72, 2 * 24 ** 2]);
  const marksOf = (version?: number) =>
    read({ minicpmv_version: version }, { kind }).images.hasOldMarks ?? false;
  const versions = [undefined, 0, 2, 3, 4, 5, 6, 100045];
  assertEquals(versions.map(marksOf), versions.map((version) => (version ?? 0) <= 2));
  assertThrows(() => marksOf(7), UnsupportedModelError, "version 7 of MiniCPM-V");
  assertEquals(
    read({ minicpmv_query_num: undefined }, { kind }).images.tileRows,
    5,
  );
  assertThrows(() => read({ minicpmv_query_num: 6 }, { kind }), ModelFormatError, "query");
  const lengths = { dims: [64, 255], type: "F32" } as const;
  const odd = () => readVision(withTensor(fileOf({ kind }), "resampler.kv.weight", lengths));
  assertThrows(odd, ModelFormatError, "255 rows, which are no heads of 128");
});

Deno.test("readVision() refuses convolutions and rows around Hunyuan's images of other lengths", () => {
  const file = fileOf({ kind: "hunyuanvl" });
  const { images, description: { config: { projector } } } = readVision(file);
  assertEquals([images.isFramed, images.pixelsMin, images.positions?.count], [true, 256, 36]);
  assertEquals([projector!.frameEpsilon, projector!.merge], [Math.fround(0.05), "turns"]);
  const other: Readonly<Record<string, readonly number[]>> = {
    "mm.0.weight": [3, 3, 96, 112],
    "mm.2.weight": [2, 2, 112, 128],
    "v.image_newline": [64],
    "mm.image_begin": [128],
    "mm.image_end": [128],
    "mm.post_norm.weight": [128],
    "v.position_embd.weight": [96, 37],
  };
  for (const [name, dims] of Object.entries(other)) {
    const changed = withTensor(file, name, { dims, type: "F32" });
    assertThrows(() => readVision(changed), ModelFormatError, name);
  }
});

Deno.test("readVision() reads which of Youtu-VL's layers see windows, and of what size these are", () => {
  const of = (changes: Record<string, GgufValue | undefined>) => read(changes, { kind: "youtuvl" });
  const key = "vision.wa_layer_indexes";
  const sidesOf = (changes: Record<string, GgufValue | undefined>) =>
    of(changes).description.config.layers.map(({ windowSide }) => windowSide);
  const { images } = of({});
  assertEquals([images.windowSide, images.hasColoursLast], [4, true]);
  assertEquals(sidesOf({}), [4, undefined]);
  assertEquals(sidesOf({ [key]: Int32Array.of(0, 1) }), [undefined, undefined]);
  assertEquals(sidesOf({ [key]: new Int32Array(0) }), [undefined, undefined]);
  for (const layer of [-1, 2]) {
    const named = () => of({ [key]: Int32Array.of(layer) });
    assertThrows(named, ModelFormatError, `names layer ${layer}, and there are 2`);
  }
  for (const size of [undefined, 0, 7]) {
    assertThrows(() => of({ "vision.window_size": size }), ModelFormatError, "window_size");
  }
  assertEquals(of({ "vision.window_size": 23 }).images.windowSide, 4);
});

Deno.test("readVision() gives Llama 4's class token the last position, LLaVA's the first", () => {
  const rowOf = (kind: TinyVisionName) => readVision(fileOf({ kind })).images.positions?.classRow;
  assertEquals([rowOf("llama4"), rowOf("mlp"), rowOf("gemma3")], [36, 0, null]);
});

Deno.test("readVision() leaves tensors of sounds alone in files that say they hear, and in no others", () => {
  const hearing = (isSaid: boolean) => () => {
    const file = fileOf({
      kind: "gemma4v",
      metadata: isSaid ? [["clip.has_audio_encoder", bool(true)]] : [],
    });
    const both = withTensor(file, "a.blk.0.ln1.weight", { dims: [4] });
    return readVision(withTensor(both, "mm.a.input_projection.weight", { dims: [4, 4] }));
  };
  assertEquals(hearing(true)().images.projector, "gemma4v");
  assertThrows(hearing(false), UnsupportedModelError, "a.blk.0.ln1.weight");
});

Deno.test("readVision() lets LightOnOCR's images be as long as the file says, or a square's side", () => {
  const of = (changes: Record<string, GgufValue | undefined>) =>
    read(changes, { kind: "lightonocr" }).images;
  const said = of({});
  assertEquals([said.longestEdge, said.pixelsMin, said.pixelsMax], [64, 64, 64 * 64]);
  const { longestEdge, pixelsMax } = of({ "vision.preproc_image_size": undefined });
  assertEquals([longestEdge, pixelsMax], [24, 24 * 24]);
  assertEquals(of({ "vision.preproc_image_size": 65 }).pixelsMax, 72 * 72);
});

Deno.test("readVision() counts a step's rows by the largest image, and a class token", () => {
  const countMax = (kind: TinyVisionName) =>
    readVision(fileOf({ kind })).description.config.patches?.countMax;
  assertEquals(["gemma3", "mlp", "pixtral"].map((kind) => countMax(kind as TinyVisionName)), [
    ...[36, 37, 1024],
  ]);
});

Deno.test("readVision() lets EXAONE's queries share keys, and its files have windows or not", () => {
  const of = (n_wa_pattern: number | undefined) =>
    read({ "vision.n_wa_pattern": n_wa_pattern }, { kind: "exaone4_5" });
  const { images, description: { config, tensors } } = of(2);
  assertEquals([config.headCount, config.headCountKv, images.windowSide], [6, 2, 8]);
  assertEquals(tensors.layers[0].key?.rowStart, 96);
  assertEquals(tensors.layers[0].value?.rowStart, 96 + 32);
  for (const none of [0, undefined]) {
    const { images, description: { config } } = of(none);
    assertEquals([images.windowSide, config.layers[0].attentionChunk], [null, undefined]);
  }
});

Deno.test("readVision() counts Nemotron's class tokens, which have no positions", () => {
  const of = (classTokens: number) =>
    readVision(fileOf({ kind: "nemotron_v2_vl", changes: { classTokens } }));
  const { images, description: { config } } = of(3);
  assertEquals([images.classTokenCount, images.positions?.count], [3, 36]);
  assertEquals([images.positions?.classRow, config.patches?.countMax], [null, 39]);
  assertThrows(() => of(0), ModelFormatError, "v.class_embd");
  assertThrows(() => of(257), ModelFormatError, "v.class_embd");
});

Deno.test("readVision() leaves out layers behind the one that a file names", () => {
  const { config, tensors } = readVision(fileOf({ kind: "mlp-siglip" })).description;
  assertEquals([config.blockCount, tensors.layers.length], [1, 1]);
  assertEquals(readVision(fileOf({ kind: "mlp" })).description.config.blockCount, 2);
  const named = (layers: Int32Array) => () =>
    read({ "vision.feature_layer": layers }, { kind: "mlp" });
  assertThrows(named(Int32Array.of(0)), ModelFormatError, "a layer from 1 to 2");
  assertThrows(named(Int32Array.of(3)), ModelFormatError, "the file says 3");
  assertThrows(named(Int32Array.of(1, 2)), UnsupportedModelError, "reads 2 layers");
});

Deno.test("readVision() takes up for down where old files have them exchanged", () => {
  const up = (kind: TinyVisionName, changes = {}) => {
    const { layers } = readVision(fileOf({ kind, changes })).description.tensors;
    const { feedForward } = layers[1];
    return feedForward?.kind === "dense" ? feedForward.up.tensor : null;
  };
  assertEquals(up("mlp"), "v.blk.1.ffn_down.weight");
  assertEquals(up("mlp", { swapped: false }), "v.blk.1.ffn_up.weight");
  assertEquals(up("ldpv2"), "v.blk.1.ffn_up.weight");
  assertEquals(up("ldpv2", { swapped: true }), "v.blk.1.ffn_down.weight");
  for (const kind of ["internvl", "granite4_vision"] as const) {
    assertThrows(() => up(kind, { swapped: true }), ModelFormatError, "ffn_up.weight");
  }
});

Deno.test("readVision() knows InternVL's large tower by its lengths, as its files do not say", () => {
  const { norm } = KINDS.find(({ name }) => name === "internvl")!;
  assert(typeof norm === "function");
  assertEquals(norm({ embeddingLength: 3200, blockCount: 45 }), "rms");
  assertEquals(norm({ embeddingLength: 1024, blockCount: 24 }), "layer");
  assertEquals(readVision(fileOf({ kind: "internvl" })).description.config.norm.kind, "layer");
});

Deno.test("readVision() refuses files that are no projectors of images, and kinds it knows not", () => {
  const text = parseGguf(tinyModel());
  assertThrows(() => readVision(text), ModelFormatError, "give the mmproj file");
  assertThrows(() => read({ has_vision_encoder: false }), UnsupportedModelError, "of sounds");
  const unknown = assertThrows(() => read({ projector_type: "cogvlm" }), UnsupportedModelError);
  assertStringIncludes(
    unknown.message,
    `"cogvlm": this version runs adapter, deepseekocr, deepseekocr2, dots_ocr, exaone4_5, gemma3`,
  );
  assertThrows(() => read({ projector_type: undefined }), ModelFormatError, "projector_type");
  const { images } = read({ projector_type: undefined, "vision.projector_type": "gemma3" });
  assertEquals(images.projector, "gemma3");
  const old = { projector_type: undefined, has_llava_projector: true };
  assertEquals(read(old, { kind: "mlp" }).images.projector, "mlp");
});

Deno.test("describeModel() says of a projector that it belongs to a model", () => {
  assertThrows(() => describeModel(fileOf()), UnsupportedModelError, "with --mmproj");
});

Deno.test("readVision() refuses numbers that make no sense together", () => {
  const wrong: readonly [Record<string, GgufValue>, string][] = [
    [{ use_gelu: true, use_silu: true }, "both are true"],
    [{ "vision.attention.head_count": 5 }, "a divisor of the width, 96"],
    [{ "vision.attention.head_count_kv": 4 }, "a divisor of the number of heads, 6"],
    [{ "vision.block_count": 1000 }, "at most the number of tensors"],
    [{ "vision.patch_size": 25 }, "patch_size"],
    [{ "vision.image_size": 20 }, "a multiple of 2 patches"],
    [{ "vision.image_size": 28 }, "a multiple of 2 patches"],
    [{ "vision.image_std": Float32Array.of(1, 0, 1) }, "above 0"],
    [{ "vision.image_mean": Float32Array.of(1, NaN, 1) }, "three numbers"],
    [{ "vision.image_mean": Float32Array.of(1, 1) }, "three numbers"],
    [{ "vision.image_grid_pinpoints": Int32Array.of(24, 48, 24) }, "in turns"],
    [{ "vision.projector.scale_factor": 0 }, "scale_factor"],
    [{ "vision.projector.scale_factor": 4 }, "a multiple of 4 patches"],
  ];
  for (const [changes, message] of wrong) {
    assertThrows(() => read(changes), ModelFormatError, message);
  }
  const pixels = { "vision.image_min_pixels": 5000, "vision.image_max_pixels": 4000 };
  const ofPixtral = { kind: "pixtral" };
  assertThrows(() => read(pixels, ofPixtral), ModelFormatError, "at least 5000");
  const many = { "vision.image_max_pixels": 2 ** 28 };
  assertThrows(() => read(many, ofPixtral), ModelFormatError, "1 to 65536 patches");
});

Deno.test("readVision() refuses tensors that are missing, of another shape, or of no use", () => {
  const file = fileOf();
  const name = "mm.input_projection.weight";
  assertThrows(() => readVision(withoutTensor(file, name)), ModelFormatError, name);
  const dims = [TINY_TOWER.width, TINY_TOWER.outputLength];
  const turned = withTensor(file, name, { dims });
  assertThrows(() => readVision(turned), ModelFormatError, "asks for [96, 96]");
  const more = withTensor(file, "mm.2.weight", { ...file.tensors.get(name)!, name: "mm.2.weight" });
  assertThrows(() => readVision(more), UnsupportedModelError, '"mm.2.weight"');
  const patch = "v.patch_embd.weight";
  const flat = withTensor(file, patch, { dims: [48, TINY_TOWER.width] });
  assertThrows(() => readVision(flat), ModelFormatError, patch);
  const biased = withTensor(fileOf({ kind: "idefics3" }), "mm.model.fc.bias", {
    ...file.tensors.get("v.post_ln.bias")!,
    dims: [TINY_TOWER.outputLength],
  });
  assertThrows(() => readVision(biased), ModelFormatError, "have none");
});

const SENSELESS: readonly (GgufValue | undefined)[] = [
  ...[undefined, -1, 0, 0.5, NaN, Infinity, 2 ** 31, 2n ** 63n, true, "relu"],
  ...[Uint32Array.of(1, 2), new Float32Array(3), packStrings(["a"])],
];

// fault 20, of projectors
Deno.test("readVision() answers any value of any key, and any tensor that is gone, clearly", () => {
  for (const kind of NAMES) {
    const file = fileOf({ kind });
    const answer = (changed: GgufFile, what: string) => {
      try {
        readVision(changed);
      } catch (error) {
        if (error instanceof ModelFormatError || error instanceof UnsupportedModelError) return;
        throw new Error(`${kind} ${what}`, { cause: error });
      }
    };
    for (const key of file.metadata.keys()) {
      for (const value of SENSELESS) {
        answer(withMetadata(file, { [key]: value }), `${key} ${value}`);
      }
    }
    for (const name of file.tensors.keys()) answer(withoutTensor(file, name), name);
  }
});
