/** What models of compressed keys must say, and what of it is refused. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withKeys, withMetadata, withoutTensor, withTensor } from "./changed_file.ts";

const FILE = parseGguf(tinyModel({ architecture: "deepseek4" }));

function read(changes: Record<string, GgufValue | undefined>) {
  return describeModel(withKeys(FILE, changes));
}

Deno.test("describeModel() reads which layers compress keys, turn back, and list experts", () => {
  const { config, tensors } = read({});
  assertEquals(config.layers.map(({ keyRatio }) => keyRatio), [undefined, 4, 128, 4]);
  assertEquals(config.layers.map(({ rope, backRope }) => [rope, backRope]), [
    ...[[0, 1], [2, 3], [2, 3], [2, 3]],
  ]);
  const { ropes } = config;
  assertEquals<unknown>(ropes.map(({ start, turnsBack }) => [start, turnsBack]), [
    ...[[16, undefined], [16, true], [16, undefined], [16, true]],
  ]);
  assertEquals(ropes.map(({ scaling }) => scaling.type), ["none", "none", "yarn", "yarn"]);
  const parts = tensors.layers.map(({ compressed, feedForward }) => [
    compressed!.keys?.key.rows ?? 0,
    compressed!.indexer?.keys.key.rows ?? 0,
    feedForward?.kind === "experts" && feedForward.expertsOfTokens?.length,
  ]);
  assertEquals(parts, [
    ...[[0, 0, 512 * 3], [64, 128, undefined], [32, 0, undefined], [64, 128, undefined]],
  ]);
});

Deno.test("describeModel() limits all experts alike where a file says one kind of limits", () => {
  const of = (changes: Record<string, GgufValue | undefined>) =>
    read(changes).config.layers.map(({ limits }) => [limits?.experts?.up, limits?.others?.up]);
  const [first] = of({});
  assertEquals(first, [0.5, 0.5]);
  assertEquals(of({ "swiglu_clamp_shexp": 2 })[0], [0.5, 2]);
});

Deno.test("describeModel() leaves blocks that guess alone, where the file has them", () => {
  const key = "nextn_predict_layers";
  assertEquals(read({ [key]: 1 }).config.blockCount, 4, "it has none");
  const name = "blk.3.nextn.eh_proj.weight";
  const guessing = withMetadata(withTensor(FILE, name, {}), { [`deepseek4.${key}`]: 1 });
  assertEquals(describeModel(guessing).config.blockCount, 3);
});

Deno.test("describeModel() refuses compressed keys that make no sense", () => {
  const wrong: readonly (readonly [string, GgufValue | undefined])[] = [
    ...[["attention.head_count_kv", 2], ["attention.sliding_window", 0]] as const,
    ...[["attention.output_group_count", 3], ["attention.output_group_count", 0]] as const,
    ...[["attention.compress_ratios", Int32Array.of(0, 4, 128)]] as const,
    ...[["attention.compress_ratios", Int32Array.of(0, 4, 8, 4)]] as const,
    ...[["attention.compress_ratios", 4], ["attention.compress_ratios", undefined]] as const,
    ...[["attention.compress_rope_freq_base", 0], ["attention.q_lora_rank", 0]] as const,
    ...[["attention.output_lora_rank", 0], ["attention.indexer.top_k", 0]] as const,
    ...[["attention.indexer.head_count", 1025], ["attention.indexer.key_length", 8]] as const,
    ...[["hyper_connection.count", 0], ["hyper_connection.count", 9]] as const,
    ...[["hyper_connection.sinkhorn_iterations", 0]] as const,
    ...[["hyper_connection.sinkhorn_iterations", 257]] as const,
    ...[["hyper_connection.epsilon", -1], ["hash_layer_count", 5]] as const,
  ];
  for (const [key, value] of wrong) {
    assertThrows(() => read({ [key]: value }), ModelFormatError, key.split(".").at(-1));
  }
  const dims = { "attention.indexer.key_length": 72 };
  assertThrows(() => read(dims), UnsupportedModelError, "multiple of 16");
  assertThrows(() => read({ "attention.causal": false }), UnsupportedModelError, "later tokens");
});

Deno.test("describeModel() misses what compressed keys and listed experts are made of", () => {
  const names = ["attn_compressor_ape", "indexer_compressor_kv", "hc_attn_fn", "attn_output_a"];
  for (const name of names.map((name) => `blk.1.${name}.weight`)) {
    assertThrows(() => describeModel(withoutTensor(FILE, name)), ModelFormatError, name);
  }
  const table = "blk.0.ffn_gate_tid2eid.weight";
  assertThrows(() => describeModel(withoutTensor(FILE, table)), ModelFormatError, table);
  const asFloats = withTensor(FILE, table, { type: "F32" });
  assertThrows(() => describeModel(asFloats), UnsupportedModelError, "computes with I32");
});
