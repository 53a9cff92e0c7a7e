/** What models of gated streams must say, and what of it is refused. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withKeys, withoutTensor, withTensor } from "./changed_file.ts";

const FILE = parseGguf(tinyModel({ architecture: "qwen4exp" }));

function read(changes: Record<string, GgufValue | undefined>, contextLength?: number) {
  return describeModel(withKeys(FILE, changes), { contextLength });
}

Deno.test("describeModel() reads which layers choose groups, and before which tokens name rows", () => {
  const { config, tensors } = read({});
  assertEquals(config.layers.map(({ groupRatio }) => groupRatio), [
    ...[undefined, 4, undefined, 4],
  ]);
  assertEquals(tensors.layers.map(({ ngrams }) => ngrams?.table.rows), [
    ...[186, undefined, undefined, undefined],
  ]);
  assertEquals(tensors.outputNorm, null);
  assertEquals(tensors.layers.map(({ groupIndexer }) => groupIndexer?.query.rows), [
    ...[undefined, 256, undefined, 256],
  ]);
});

Deno.test("describeModel() lets a context choose nothing that has no more than is chosen", () => {
  assertEquals(read({}, 12).config.groupIndexer !== undefined, true);
  assertEquals(read({}, 11).config.groupIndexer, undefined);
  const none = read({ "attention.compress_ratios": undefined }).config;
  assertEquals([none.groupIndexer, none.layers[1].groupRatio], [undefined, undefined]);
  assertEquals(read({ "attention.compress_ratios": 8 }).config.layers[3].groupRatio, 8);
});

Deno.test("describeModel() takes images to name rows as the token that the file says", () => {
  assertEquals(read({ "ple.image_token_id": 300 }).config.ngrams!.givenToken, 300);
  assertEquals(read({ "ple.image_token_id": 0 }).config.ngrams!.givenToken, 72);
});

Deno.test("describeModel() refuses gated streams, groups and names that make no sense", () => {
  const ratios = "attention.compress_ratios";
  const wrong: readonly (readonly [string, GgufValue | undefined])[] = [
    ...[["hyper_connection.count", 1], ["hyper_connection.count", 9]] as const,
    ...[["hyper_connection.count", undefined], ["hyper_connection.low_rank", 0]] as const,
    ...[["attention.indexer.head_count", 0], ["attention.indexer.top_k", 0]] as const,
    ...[["attention.indexer.key_length", 8], ["attention.indexer.key_length", 1e6]] as const,
    ...[[ratios, Uint32Array.of(0, 4, 0)], [ratios, Int32Array.of(0, -4, 0, 4)]] as const,
    ...[["ple.layers", Uint32Array.of(1)], ["ple.layers", Uint32Array.of(4)]] as const,
    ...[["ple.ngram_size", 1], ["ple.ngram_size", 9], ["ple.heads_per_ngram", 0]] as const,
    ...[["ple.heads_per_ngram", 3], ["ple.conv_kernel", 0], ["ple.conv_kernel", 33]] as const,
    ...[["embedding_length_per_layer_input", 15], ["ple.eos_token_id", 512]] as const,
    ...[["ple.image_token_id", 512], ["ple.layer_multipliers", undefined]] as const,
    ...[["ple.layer_multipliers", BigUint64Array.of(1n, 2n)]] as const,
    ...[["ple.layer_multipliers", Float32Array.of(1, 2, 0.5)]] as const,
    ...[["ple.head_offsets", BigUint64Array.of(0n, 1n, 2n)]] as const,
    ...[["ple.head_offsets", BigUint64Array.of(0n, 1n, 2n, 1n << 40n)]] as const,
    ...[["ple.head_vocab_sizes", BigUint64Array.of(1n, 1n, 0n, 1n)]] as const,
    ...[["ple.head_vocab_sizes", BigUint64Array.of(1n, 1n, 1n << 63n, 1n)]] as const,
    ...[["ple.head_vocab_sizes", BigUint64Array.of(1n, 1n, 1n, 500n)]] as const,
  ];
  for (const [key, value] of wrong) {
    assertThrows(() => read({ [key]: value }), ModelFormatError, undefined, `${key} ${value}`);
  }
});

Deno.test("describeModel() refuses what of gated models this version does not compute", () => {
  const ratios = "attention.compress_ratios";
  const refused: readonly (readonly [string, GgufValue, string])[] = [
    [ratios, Int32Array.of(0, 3, 0, 4), "chooses 8 positions by groups of 3"],
    [ratios, Int32Array.of(0, 64, 0, 4), "chooses 8 positions by groups of 64"],
    ["attention.indexer.top_k", 18, "chooses 18 positions by groups of 4"],
    ["attention.indexer.key_length", 40, "heads have 40 dimensions"],
    ["ple.layers", Uint32Array.of(0, 2), "2 of its layers look up"],
  ];
  for (const [key, value, says] of refused) {
    assertThrows(() => read({ [key]: value }), UnsupportedModelError, says, key);
  }
});

Deno.test("describeModel() refuses gated models without tensors, or with others", () => {
  const gone = ["blk.0.hc_attn_norm", "blk.3.hc_ffn_inject", "output_hc_up", "blk.0.ple_key"];
  for (const name of [...gone, "blk.1.indexer.k_norm", "per_layer_token_embd"]) {
    const file = withoutTensor(FILE, `${name}.weight`);
    assertThrows(() => describeModel(file), ModelFormatError, name);
  }
  for (const name of ["output_norm.weight", "blk.1.attn_norm.weight", "blk.2.ple_key.weight"]) {
    const file = withTensor(FILE, name, {});
    assertThrows(() => describeModel(file), UnsupportedModelError, name);
  }
});
