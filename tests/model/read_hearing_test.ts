/** Projectors that hear, read from files, sound and otherwise. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufFile, type GgufValue, packStrings, parseGguf } from "../../src/gguf/mod.ts";
import {
  describeModel,
  HEARING_KINDS,
  hears,
  projectedRows,
  readHearing,
  readVision,
  sees,
} from "../../src/model/mod.ts";
import { tinyBoth } from "../support/tiny_both.ts";
import {
  isOfConformer,
  TINY_EAR,
  TINY_HEARING_NAMES,
  tinyHearing,
  type TinyHearingName,
} from "../support/tiny_hearing.ts";
import { tinyVision } from "../support/tiny_vision.ts";
import { withMetadata, withoutTensor, withTensor } from "./changed_file.ts";

const fileOf = (kind: typeof TINY_HEARING_NAMES[number] = "ultravox"): GgufFile =>
  parseGguf(tinyHearing({ kind }));

const FILE = fileOf();

/** Two convolutions over time are before its layers. */
function isWhisper(kind: TinyHearingName): boolean {
  return !isOfConformer(kind) && kind !== "gemma4ua" && kind !== "qwen3a";
}

/** With other values of `clip.` keys. */
function read(changes: Readonly<Record<string, GgufValue | undefined>>, file = FILE) {
  const keys = Object.entries(changes).map(([key, value]) => [`clip.${key}`, value]);
  return readHearing(withMetadata(file, Object.fromEntries(keys)));
}

Deno.test("readHearing() reads towers of every kind", () => {
  assertEquals([...HEARING_KINDS], [...TINY_HEARING_NAMES]);
  for (const kind of TINY_HEARING_NAMES.filter(isWhisper)) {
    const { description: { config, tensors }, sounds } = readHearing(fileOf(kind));
    const { positions, melCount, hidden } = TINY_EAR;
    assertEquals(sounds.projector, kind);
    assertEquals([sounds.melCount, sounds.positions?.count], [melCount, positions]);
    assertEquals(config.patches, { length: 48, countMax: positions, areConvolved: true });
    // 48 rows: of two, or of four, which may be fewer of one kind.
    const rows = kind.startsWith("qwen2") || kind === "musicflamingo" ? 24 : 12;
    assertEquals(projectedRows(config.projector!, positions), rows);
    assertEquals(projectedRows(config.projector!, 9), kind === "ultravox" ? 3 : null);
    assertEquals(positions / sounds.rowsOfOne, rows);
    const { gate, hiddenNorm, first } = tensors.projector!;
    assertEquals(
      [gate?.tensor, gate?.rowStart, hiddenNorm?.weight?.length],
      kind === "ultravox"
        ? ["mm.a.mlp.1.weight", hidden, hidden]
        : kind === "meralion"
        ? ["mm.a.mlp.1.weight", 0, undefined]
        : [undefined, undefined, undefined],
    );
    assertEquals(
      sounds.around,
      kind === "glma" ? { begin: "v.boi", end: "v.eoi" } : undefined,
    );
    assertEquals(first.rows, kind.startsWith("qwen2") ? TINY_EAR.outputLength : hidden);
    assertEquals(tensors.secondConvolution?.columns, 3 * TINY_EAR.width);
  }
});

Deno.test("readHearing() and readVision() read a file of both, each its own", () => {
  for (
    const [names, vision, audio] of [
      ["qwen2.5o", "qwen2.5vl_merger", "qwen2.5o"],
      [{ vision: "gemma4uv", audio: "gemma4ua" }, "gemma4uv", "gemma4ua"],
      [{ vision: "gemma4v", audio: "gemma4a" }, "gemma4v", "gemma4a"],
    ] as const
  ) {
    const file = parseGguf(tinyBoth(names, { vision: { kind: vision }, audio: { kind: audio } }));
    assertEquals([sees(file), hears(file)], [true, true]);
    assertEquals(readVision(file).images.projector, vision);
    assertEquals(readHearing(file).sounds.projector, audio);
    const more = withTensor(file, "more", { ...[...file.tensors.values()][0], name: "more" });
    assertThrows(() => readHearing(more), UnsupportedModelError, '"more"');
  }
});

Deno.test("readHearing() cuts Qwen 2.5 Omni's sounds into two seconds", () => {
  const of = (kind: TinyHearingName) => {
    const file = parseGguf(tinyHearing({ kind, lengths: { positions: 144 } }));
    const { description: { config }, sounds } = readHearing(file);
    return [config.contextLength, sounds.rowsMax, sounds.positions?.count];
  };
  assertEquals(of("qwen2.5o"), [100, 100, 144]);
  assertEquals(of("qwen2a"), [144, 144, 144]);
});

Deno.test("readHearing() reads convolutions over a plane, by the sizes of their tensors", () => {
  const file = fileOf("qwen3a");
  const { description: { config, tensors }, sounds } = readHearing(file);
  const plane = { frames: 100, rows: 13, bands: 12, channels: TINY_EAR.channels };
  assertEquals(config.patches, { length: 8 * 12, countMax: 8 * 13, plane });
  assertEquals([sounds.rowsMax, sounds.pieces], [8 * 13, {
    frames: 100,
    rows: 13,
    framesOfRow: 8,
  }]);
  const columns = tensors.planeMatrices?.map((matrix) => matrix.columns);
  assertEquals([tensors.tokenEmbedding.columns, columns], [9, [180, 180, 40]]);
  const few = parseGguf(tinyHearing({ kind: "qwen3a", lengths: { positions: 12 } }));
  assertThrows(() => readHearing(few), ModelFormatError, "12 positions");
  const wrong: [string, number[]][] = [
    ["a.conv2d.1.weight", [3, 3, 2, 20]],
    ["a.conv2d.2.weight", [3, 5, 20, 20]],
    ["a.conv2d.3.weight", [3, 3, 20, 21]],
    ["a.conv_out.weight", [20, TINY_EAR.width]],
    ["a.conv2d.1.weight", [3, 3, 1, 5000]],
  ];
  for (const [name, dims] of wrong) {
    assertThrows(() => readHearing(withTensor(file, name, { dims })), ModelFormatError, name);
  }
});

Deno.test("readHearing() reads a projector of samples, whatever it says of layers", () => {
  const file = fileOf("gemma4ua");
  const { description: { config, tensors }, sounds } = readHearing(file);
  assertEquals([config.blockCount, config.embeddingLength, config.patches?.areRows], [
    0,
    640,
    true,
  ]);
  assertEquals([sounds.melCount, sounds.samplesOfRow, sounds.positions], [0, 640, null]);
  assertEquals([tensors.tokenEmbedding.rows, tensors.projector?.first.rows], [0, 64]);
  assertEquals(projectedRows(config.projector!, 9), 9);
  const longer = withTensor(file, "mm.a.input_projection.weight", { dims: [641, 64] });
  assertThrows(() => readHearing(longer), ModelFormatError, "asks for");
});

Deno.test("hears() tells projectors that hear from those that see, and from models", () => {
  assertEquals([hears(fileOf()), hears(parseGguf(tinyVision()))], [true, false]);
  assertEquals([sees(fileOf()), sees(parseGguf(tinyVision()))], [false, true]);
  const both = withMetadata(fileOf(), { "clip.has_vision_encoder": true });
  assertEquals([sees(both), hears(both)], [true, true]);
  // What hears in a way that nobody knows here sees all the same.
  const other = withMetadata(both, { "clip.projector_type": "gemma3na" });
  assertEquals([sees(other), hears(other)], [true, false]);
  assertThrows(() => readVision(fileOf()), UnsupportedModelError, "of sounds");
  assertThrows(() => describeModel(fileOf()), UnsupportedModelError, "--mmproj");
});

Deno.test("readHearing() takes a kind from what files of several towers call it", () => {
  const named = { "projector_type": undefined, "audio.projector_type": "ultravox" };
  assertEquals(read(named).sounds.projector, "ultravox");
  for (const name of [undefined, "", "conformer", "gemma3"]) {
    assertThrows(
      () => read({ "projector_type": name }),
      name === undefined || name === "" ? Error : UnsupportedModelError,
    );
  }
});

const SENSELESS: readonly (GgufValue | undefined)[] = [
  ...[undefined, -1, 0, 0.5, NaN, Infinity, 2 ** 31, 2n ** 63n, true, "relu"],
  ...[Uint32Array.of(1, 2), new Float32Array(3), packStrings(["a"])],
];

Deno.test("readHearing() refuses senseless numbers", () => {
  const keys = ["embedding_length", "block_count", "attention.head_count", "num_mel_bins"];
  for (const key of [...keys, "projector.stack_factor"]) {
    for (const value of SENSELESS) {
      assertThrows(() => read({ [`audio.${key}`]: value }), ModelFormatError, undefined, key);
    }
  }
  for (const value of SENSELESS.filter((each) => each !== 0 && each !== 0.5)) {
    if (value === 2 ** 31) continue;
    const key = "audio.attention.layer_norm_epsilon";
    assertThrows(() => read({ [key]: value }), ModelFormatError, undefined, `${value}`);
  }
  assertThrows(() => read({ "audio.attention.head_count": 7 }), ModelFormatError, "divisor");
});

Deno.test("readHearing() refuses files that lack a tensor, or have another one", () => {
  for (const kind of TINY_HEARING_NAMES) {
    const file = fileOf(kind);
    const rare =
      /(^mm\.model\.mlp\.\d\.weight|put_(min|max)|(position_embd|\.per_dim_(k_)?scale)\.weight)$/;
    const ofConformers = /(\w*conv\w*|ffn_\w+|encode\.out|mlp\.0)\.bias$/;
    const isRare = (name: string) =>
      rare.test(name) || ofConformers.test(name) ||
      kind === "granite_speech" && name.endsWith(".bias") && name !== "a.proj_linear.bias";
    const mayLack = /\.blk\.\d+\.(attn|ffn)_\w+\.bias$|\.(ln\d|post_ln|norm_pre)\.bias$/;
    for (const name of file.tensors.keys()) {
      if (mayLack.test(name) || isOfConformer(kind) && isRare(name)) continue;
      assertThrows(() => readHearing(withoutTensor(file, name)), ModelFormatError, name);
    }
    const more = withTensor(file, "a.more", {
      ...file.tensors.get("a.post_ln.bias")!,
      name: "a.more",
    });
    assertThrows(() => readHearing(more), UnsupportedModelError, '"a.more"');
    // Tensors of images are another tower's where the file says that it sees, and nobody's else.
    const ofImages = withTensor(file, "v.more", { ...more.tensors.get("a.more"), name: "v.more" });
    assertThrows(() => readHearing(ofImages), UnsupportedModelError, '"v.more"');
    readHearing(withMetadata(ofImages, { "clip.has_vision_encoder": true }));
  }
});

Deno.test("readHearing() refuses kernels of another length, and positions that make no rows", () => {
  const wide = withTensor(fileOf(), "a.conv1d.1.weight", { dims: [5, 8, TINY_EAR.width] });
  assertThrows(() => readHearing(wide), ModelFormatError, "asks for");
  const odd = parseGguf(tinyHearing({ kind: "voxtral", lengths: { positions: 50 } }));
  assertThrows(() => readHearing(odd), UnsupportedModelError, "multiple of 4");
  const padded = parseGguf(tinyHearing({ lengths: { positions: 50 } }));
  assertEquals(readHearing(padded).description.config.contextLength, 50);
});

Deno.test("readHearing() reads a conformer's block as three layers", () => {
  const { description: { config, tensors }, sounds } = readHearing(fileOf("gemma4a"));
  const { blockCount, channels, width } = TINY_EAR;
  const hidden = 128;
  assertEquals([config.blockCount, config.layers.length], [3 * blockCount, 3 * blockCount]);
  const subsampling = {
    ...{ bands: 10, channels: [channels, channels / 2], epsilon: 1e-6 },
    order: "byBand" as const,
  };
  assertEquals(config.patches, { length: 40, countMax: 750, subsampling });
  assertEquals([sounds.framesOfRow, sounds.rowsMax, sounds.positions], [4, 750, null]);
  assertEquals([config.relative?.rowsSeen, config.relative?.waves], [12, "halves"]);
  assertEquals(sounds.spectrum, undefined);
  const shown = tensors.layers.slice(0, 3).map((layer) => [
    layer.query?.tensor,
    layer.relative !== undefined,
    layer.filter?.weights.length,
    layer.feedForward?.kind === "dense" ? layer.feedForward.up.tensor : undefined,
    layer.endNorm?.weight?.tensor,
  ]);
  assertEquals(shown, [
    [undefined, false, undefined, "a.blk.0.ffn_up.weight", undefined],
    ["a.blk.0.attn_q.weight", true, undefined, undefined, undefined],
    [
      "a.blk.0.conv_pw1.weight",
      false,
      5 * width,
      "a.blk.0.ffn_up_1.weight",
      "a.blk.0.ln2.weight",
    ],
  ]);
  const { hiddenEpsilon, hiddenLength, lacksLastNorm, activation } = config.projector!;
  assertEquals([hiddenEpsilon, hiddenLength, lacksLastNorm, activation], [
    ...[1e-6, hidden, true, null],
  ]);
  // The norm before the last matrix may have weights.
  const norm = "mm.a.soft_emb_norm.weight";
  const some = withTensor(fileOf("gemma4a"), norm, {
    ...{ ...[...fileOf("gemma4a").tensors.values()][0], name: norm, dims: [hidden], type: "F32" },
  });
  const { hiddenNorm } = readHearing(some).description.tensors.projector!;
  assertEquals(hiddenNorm?.weight?.tensor, norm);
  assertEquals(tensors.projector!.hiddenNorm?.weight, null);
});

Deno.test("readHearing() refuses conformers of other sizes", () => {
  const file = fileOf("gemma4a");
  const { width, channels, neurons } = TINY_EAR;
  const wrong: [string, number[]][] = [
    ["a.conv1d.0.weight", [3, 3, 2, channels]],
    ["a.conv1d.0.weight", [3, 3, 1, 5000]],
    ["a.conv1d.1.weight", [3, 5, channels, channels / 2]],
    ["a.conv1d.1.norm.weight", [channels]],
    ["a.input_projection.weight", [width, width]],
    ["a.blk.1.attn_k_rel.weight", [width, 2 * width]],
    ["a.blk.0.per_dim_scale.weight", [width]],
    ["a.blk.1.conv_dw.weight", [5, width - 1]],
    ["a.blk.1.conv_dw.weight", [65, width]],
    ["a.blk.0.conv_pw1.weight", [width, width]],
    ["a.blk.1.ffn_up_1.weight", [width, neurons + 1]],
    ["a.blk.0.attn_q.input_max", [2]],
  ];
  for (const [name, dims] of wrong) {
    assertThrows(() => readHearing(withTensor(file, name, { dims })), ModelFormatError, name);
  }
  for (const key of ["embedding_length", "block_count", "attention.head_count", "num_mel_bins"]) {
    for (const value of SENSELESS) {
      const of = { [`audio.${key}`]: value };
      assertThrows(() => read(of, file), ModelFormatError, undefined, key);
    }
  }
  assertThrows(() => read({ "audio.attention.head_count": 7 }, file), ModelFormatError, "divisor");
  // Of blocks, whatever the file has tensors for.
  assertThrows(() => read({ "audio.block_count": 342 }, file), ModelFormatError, "from 1 to 341");
  assertThrows(() => read({ "audio.block_count": 300 }, file), ModelFormatError, "of tensors");
  assertThrows(
    () => read({ "audio.num_mel_bins": 1025 }, file),
    ModelFormatError,
    "from 1 to 1024",
  );
});

Deno.test("readHearing() reads LFM2-Audio's conformer, which sees all rows", () => {
  const file = fileOf("lfm2a");
  const { description: { config, tensors }, sounds } = readHearing(file);
  const { channels, width, neurons } = TINY_EAR;
  assertEquals(config.patches?.subsampling, {
    ...{ bands: 12, channels: [channels, channels, channels], epsilon: null },
    order: "byChannel",
  });
  assertEquals([config.patches?.length, sounds.framesOfRow, sounds.spectrum], [96, 8, "even"]);
  assertEquals([config.patches?.countMax, sounds.rowsMax], [750, 750]);
  assertEquals(config.norm, { kind: "layer", epsilon: 1e-5 });
  assertEquals([config.relative?.rowsSeen, config.relative?.waves], [null, "pairs"]);
  assertEquals([config.attentionSoftCap, config.limitsProducts], [0, undefined]);
  const { filter } = tensors.layers[2];
  assertEquals([filter?.tapsAhead, filter?.isNormalized, filter?.sum?.length], [4, false, width]);
  assertEquals(tensors.layers[1].relative?.keySum?.length, width);
  assertEquals(tensors.projector?.hiddenNorm, undefined);
  const wrong: [string, number[]][] = [
    ["a.conv1d.2.weight", [3, 3, 2, channels]],
    ["a.conv1d.3.weight", [1, 1, channels, channels + 1]],
    ["a.conv1d.5.bias", [1, 1, channels + 1]],
    ["a.conv1d.0.weight", [3, 3, 1, 5000]],
    ["a.pre_encode.out.weight", [channels + 1, width]],
    ["a.blk.0.pos_bias_u", [width, 1]],
    ["a.blk.1.linear_pos.weight", [width, 2 * width]],
    ["a.blk.0.conv_dw.weight", [8, width]],
    ["a.blk.0.conv_norm.bias", [width + 1]],
    ["a.blk.1.ffn_down_1.weight", [neurons, width + 1]],
  ];
  for (const [name, dims] of wrong) {
    assertThrows(() => readHearing(withTensor(file, name, { dims })), ModelFormatError, name);
  }
});
