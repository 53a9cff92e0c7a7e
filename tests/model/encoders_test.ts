/** What files of encoders say, and what of them is refused. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { unitSources } from "../../src/bundle/units.ts";
import { type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel, positionsAhead } from "../../src/model/mod.ts";
import { ENCODER_FAMILIES, type TinyEncoderName } from "../support/tiny_encoder_families.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withMetadata } from "./changed_file.ts";

function read(architecture: TinyEncoderName | "llama", changes: Record<string, GgufValue>) {
  const file = parseGguf(tinyModel({ architecture }));
  const own = (ENCODER_FAMILIES as Record<string, { architecture?: string }>)[architecture];
  const prefix = own?.architecture ?? architecture;
  const keys = Object.entries(changes).map(([key, value]) => [`${prefix}.${key}`, value]);
  return describeModel(withMetadata(file, Object.fromEntries(keys)));
}

Deno.test("describeModel() puts a token in the middle of an encoder's window", () => {
  const { config } = read("modern-bert", {});
  assertEquals(config.layers.map(({ slidingWindow }) => slidingWindow), [0, 9, 9, 0]);
  assertEquals(config.layers.map((_, layer) => positionsAhead(config, layer)), [
    ...[2 ** 31 - 1, 8],
    ...[8, 2 ** 31 - 1],
  ]);
  assertEquals(config.layers.map(({ rope }) => rope), [0, 1, 1, 0]);
  const odd = read("modern-bert", { "attention.sliding_window": 17 });
  assertEquals(odd.config.layers[1].slidingWindow, 9);
  const causal = read("llama", {}).config;
  assertEquals(causal.isEncoder, undefined);
  assertEquals(positionsAhead(causal, 0), 0);
});

Deno.test("describeModel() takes the last norm of sums for the model's last one", () => {
  const { tensors } = read("bert", {});
  assertEquals(tensors.outputNorm?.weight?.tensor, "blk.1.layer_output_norm.weight");
  assertEquals(tensors.layers.map(({ feedForwardPostNorm: norm }) => norm?.weight?.tensor), [
    "blk.0.layer_output_norm.weight",
    undefined,
  ]);
  assertEquals(tensors.tokenKind, { tensor: "token_types.weight", start: 0, length: 64 });
  assertEquals(tensors.output, tensors.tokenEmbedding);
});

Deno.test("describeModel() lets any model read in both directions whose tokens see all", () => {
  const causal = { "attention.causal": false };
  assertEquals(read("llama", causal).config.isEncoder, true);
  const windowed = { ...causal, "attention.sliding_window": 8 };
  assertThrows(() => read("llama", windowed), UnsupportedModelError, "to later tokens");
  const encoder = { "attention.causal": true };
  assertThrows(() => read("bert", encoder), UnsupportedModelError, "to earlier tokens only");
  assertThrows(() => read("llama", { "attention.causal": 3 }), ModelFormatError, "causal");
});

Deno.test("describeModel() reads gates of jina-bert-v2 by the shapes of the file", () => {
  const gates = (name: TinyEncoderName) => {
    const { config, tensors } = read(name, {});
    const [{ feedForward }] = tensors.layers;
    if (feedForward?.kind !== "dense") throw new Error("a dense block");
    return [config.feedForward.isGated, feedForward.gate?.tensor, feedForward.up.rowStart];
  };
  assertEquals(gates("jina-bert-v2"), [true, "blk.0.ffn_gate.weight", 0]);
  assertEquals(gates("jina-bert-v2-fused"), [true, "blk.0.ffn_up.weight", 96]);
  assertEquals(gates("jina-bert-v2-plain"), [false, undefined, 0]);
});

Deno.test("describeModel() takes an encoder's gelu for that by tanh, and other models' for none", () => {
  const said = (name: TinyEncoderName | "llama", hidden_activation: string) =>
    read(name, { hidden_activation }).config.feedForward.activation;
  assertEquals(said("modern-bert", "gelu"), "gelu");
  assertEquals(said("modern-bert", "silu"), "silu");
  assertThrows(() => said("llama", "gelu"), UnsupportedModelError, "hidden_activation");
});

Deno.test("describeModel() refuses layers of nomic-bert-moe that take other turns", () => {
  for (const period of [0, 1, 3]) {
    const keys = { "moe_every_n_layers": period };
    assertThrows(() => read("nomic-bert-moe", keys), ModelFormatError, "moe_every_n_layers");
  }
});

Deno.test("describeModel() finds what follows a text's vector", () => {
  const { tensors: { textHead } } = read("gemma-embedding", {});
  assertEquals(textHead?.projections.map(({ rows, columns }) => [rows, columns]), [
    [128, 64],
    [64, 128],
  ]);
  assertEquals(textHead?.ranker, null);
  const { ranker } = read("bert-ranker", {}).tensors.textHead!;
  assertEquals([ranker?.reads, ranker?.activation, ranker?.output?.rows], ["first", "tanh", 1]);
  assertEquals(ranker?.dense?.bias?.tensor, "cls.bias");
  assertEquals(read("bert", {}).tensors.textHead, undefined);
});

Deno.test("describeModel() refuses heads that jina-bert-v2 normalises, which it does not compute", () => {
  const changes = { headNorms: "projection" } as const;
  const file = parseGguf(tinyModel({ architecture: "jina-bert-v2", changes }));
  assertThrows(() => describeModel(file), UnsupportedModelError, "attn_q_norm");
});

Deno.test("unitSources() refuses encoders", () => {
  assertThrows(() => unitSources(read("bert", {})), UnsupportedModelError, "it is an encoder");
});
