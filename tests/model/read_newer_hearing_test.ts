/** Projectors of Granite Speech and of Parakeet, read from files, sound and otherwise. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { parseGguf } from "../../src/gguf/mod.ts";
import { readHearing } from "../../src/model/mod.ts";
import { TINY_GRANITE } from "../support/tiny_conformer.ts";
import { TINY_EAR, tinyHearing } from "../support/tiny_hearing.ts";
import { withMetadata, withTensor } from "./changed_file.ts";

const FILE = parseGguf(tinyHearing({ kind: "granite_speech" }));

Deno.test("readHearing() reads Granite Speech's conformer, and queries behind it", () => {
  const { description: { config, tensors }, sounds } = readHearing(FILE);
  const { width, epsilon, neurons } = TINY_EAR;
  const { blockRows, distances, window, heads, said } = TINY_GRANITE;
  const queryCount = 2;
  assertEquals(config.patches, { length: 20, countMax: 3000 });
  assertEquals([sounds.melCount, sounds.framesOfRow, sounds.rowsMax], [10, 2, 3000]);
  assertEquals([sounds.spectrum, sounds.windows?.rows], ["loudest", window]);
  assertEquals(config.norm.epsilon, Math.fround(epsilon));
  const scale = 1 / Math.sqrt(48);
  const relative = { rowsSeen: null, blockRows, positionScale: scale, waves: null };
  assertEquals([config.relative, config.attentionScale], [relative, scale]);
  const { positions } = tensors.layers[1].relative!;
  assertEquals([positions.rowStart, positions.rows], [distances - blockRows + 1, 13]);
  // Twice as many channels as a row has numbers.
  assertEquals(config.layers.map(({ shape }) => shape?.headCount ?? 2), [2, 2, 4, 2, 2, 4]);
  const { filter, query } = tensors.layers[2];
  assertEquals([filter?.tapsAhead, filter?.gains.length, query?.rows], [2, 2 * width, 2 * width]);
  const { projector } = config;
  assertEquals(projector?.fold, { behind: 2, rows: 1, softens: true });
  assertEquals(tensors.projector?.fold?.first.rows, said);
  assertEquals(projector?.windowQueries, {
    ...{ rows: window, queryCount, width, headDim: width / heads, epsilon: 1e-12 },
  });
  assertEquals(tensors.projector?.windowQueries?.blocks.length, 2);
  const of = (metadata: Record<string, number>) =>
    readHearing(withMetadata(
      FILE,
      Object.fromEntries(
        Object.entries(metadata).map(([key, value]) => [`clip.audio.${key}`, value]),
      ),
    ));
  // Parts are whole windows; the middle of one block is before it.
  assertEquals(
    of({ "projector.window_size": 7, "projector.downsample_rate": 3 }).sounds.rowsMax,
    2996,
  );
  const one = parseGguf(tinyHearing({ kind: "granite_speech", lengths: { blockCount: 1 } }));
  assertEquals(readHearing(one).description.config.projector?.fold, undefined);
  const senseless: [string, number, string][] = [
    ["chunk_size", 0, "from 1 to 9"],
    ["chunk_size", 10, "from 1 to 9"],
    ["max_pos_emb", 70_000, "from 1 to 65536"],
    ["max_pos_emb", 10, "attn_rel_pos_emb"],
    ["num_mel_bins", 21, "must be even"],
    ["projector.window_size", 1025, "from 1 to 1024"],
    ["projector.downsample_rate", 6, "from 1 to 5"],
    ["projector.downsample_rate", 1, "a.proj_query"],
    ["projector.head_count", 7, "divisor"],
    ["attention.layer_norm_epsilon", 0, "above 0"],
  ];
  for (const [key, value, message] of senseless) {
    assertThrows(() => of({ [key]: value }), ModelFormatError, message, key);
  }
  assertThrows(() => of({ feature_layer: 3 }), UnsupportedModelError, "feature_layer");
  const wrong: [string, number[]][] = [
    ["a.blk.0.conv_pw1.weight", [width, 4 * width + 2]],
    ["a.blk.1.conv_pw1.weight", [width, 2 * width]],
    ["a.blk.1.conv_dw.weight", [4, 2 * width]],
    ["a.blk.0.conv_norm.bias", [width]],
    ["a.enc_ctc_out_mid.weight", [said + 1, width]],
    ["a.proj_query", [width, queryCount + 1, 1]],
    ["a.proj_blk.1.cross_attn_k.weight", [width, width + 1]],
    ["a.proj_blk.0.ffn_down.weight", [neurons + 1, width]],
  ];
  for (const [name, dims] of wrong) {
    assertThrows(() => readHearing(withTensor(FILE, name, { dims })), ModelFormatError, name);
  }
});

Deno.test("readHearing() reads Parakeet's conformer, with a window and filters of its own", () => {
  const file = parseGguf(tinyHearing({ kind: "parakeet" }));
  const { description: { config, tensors }, sounds } = readHearing(file);
  const { width, epsilon } = TINY_EAR;
  assertEquals(sounds.filters, { window: "a.window", bands: "a.mel_filters" });
  assertEquals([sounds.spectrum, sounds.framesOfRow, sounds.rowsMax], ["given", 8, 750]);
  assertEquals(config.norm, { kind: "layer", epsilon: Math.fround(epsilon) });
  assertEquals(config.projector?.norm, { of: "rows", kind: "rms", epsilon: 1e-6 });
  assertEquals(config.projector?.activation, "relu2");
  const { counted } = tensors.layers[2].filter!;
  assertEquals([counted?.mean.length, counted?.variance.tensor], [width, "a.blk.0.conv_norm_var"]);
  for (const value of [undefined, 4, 16]) {
    const changed = withMetadata(file, { "clip.audio.subsampling_factor": value });
    assertThrows(() => readHearing(changed), ModelFormatError, "subsampling_factor");
  }
  const wrong: [string, number[]][] = [
    ["a.window", [512]],
    ["a.mel_filters", [201, TINY_EAR.melCount]],
    ["a.blk.1.conv_norm_mean", [width + 1]],
    ["a.blk.0.conv_norm_var", [2, width]],
    ["mm.a.norm_pre.weight", [width, 2]],
  ];
  for (const [name, dims] of wrong) {
    assertThrows(() => readHearing(withTensor(file, name, { dims })), ModelFormatError, name);
  }
  // As one dimension, too.
  const flat = withTensor(file, "a.mel_filters", { dims: [257 * 12] });
  assertEquals(readHearing(flat).sounds.melCount, 12);
});
