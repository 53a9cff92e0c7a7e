/** What models whose streams lie side by side must say, and what of it is refused. */
import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withKeys, withoutTensor, withTensor } from "./changed_file.ts";

const FILE = parseGguf(tinyModel({ architecture: "hy_v4-chosen" }));

function read(changes: Record<string, GgufValue | undefined>, contextLength?: number) {
  return describeModel(withKeys(FILE, changes), { contextLength });
}

Deno.test("describeModel() reads gates and sinks of heads that latents make, and their choice", () => {
  const { config, tensors } = read({});
  const choices = config.layers.map(({ choosesKeys }) => choosesKeys).join(" ");
  assertEquals(choices, "own before own before");
  const [{ attentionGate, attentionSinks, hyper, latent }, { latent: second }] = tensors.layers;
  assertEquals([attentionGate?.gate.matrix.rows, attentionGate?.gate.count], [4 * 16, 16]);
  assertEquals(attentionSinks?.length, 4);
  // Four streams, shares of what is read and of where it goes.
  assertEquals([hyper?.attention.mixer.rows, hyper?.attention.scale?.length], [8, 2]);
  assertEquals([latent?.indexer?.query.rows, second?.indexer], [8 * 64, undefined]);
});

Deno.test("describeModel() has Hunyuan 4 attend to all keys where a file or a context says so", () => {
  const of = (changes: Record<string, GgufValue | undefined>, contextLength?: number) => {
    const { config, tensors } = read(changes, contextLength);
    return [config.indexer, config.layers[0].choosesKeys, tensors.layers[0].latent?.indexer];
  };
  const none = [undefined, undefined, undefined];
  assertEquals(of({ "attention.indexer.top_k": undefined }), none);
  assertEquals(of({ "attention.indexer.top_k": 0 }), none);
  assertEquals(of({}, 16), none);
});

Deno.test("describeModel() has a stretched context change Hunyuan 4's cosines, not its scores", () => {
  const { config } = read({ "rope.scaling.yarn_log_multiplier": 0.1 });
  assertEquals(config.attentionScale, 1 / Math.sqrt(64));
  assertAlmostEquals(config.ropes[0].scaling.attentionFactor, 1 / (1 + 0.01 * Math.log(8)), 1e-12);
});

Deno.test("describeModel() refuses streams and choices that make no sense", () => {
  const wrong: readonly (readonly [string, GgufValue | undefined])[] = [
    ...[["hyper_connection.count", 0], ["hyper_connection.count", 9]] as const,
    ...[["hyper_connection.count", undefined], ["hyper_connection.count", "no"]] as const,
    ...[["hyper_connection.epsilon", -1], ["hyper_connection.epsilon", undefined]] as const,
    ...[["hyper_connection.magnitude", 0], ["hyper_connection.magnitude", NaN]] as const,
    ...[["hyper_connection.magnitude", undefined]] as const,
    ...[["attention.indexer.types", undefined], ["attention.indexer.top_k", -1]] as const,
    ...[["attention.indexer.types", Int32Array.of(0, 1, 1, 1)]] as const,
    ...[["attention.indexer.types", Int32Array.of(1, 1)]] as const,
    ...[["attention.indexer.head_count", 0], ["attention.indexer.key_length", 28]] as const,
    ...[["swiglu_clamp_exp", -1], ["swiglu_clamp_exp", Float32Array.of(1)]] as const,
  ];
  for (const [key, value] of wrong) {
    assertThrows(() => read({ [key]: value }), ModelFormatError, key);
  }
  assertThrows(() => read({ "attention.causal": false }), UnsupportedModelError, "choose");
});

Deno.test("describeModel() misses what streams, gates and sinks are made of", () => {
  for (const name of ["hc_ffn_base", "hc_attn_fn", "attn_gate", "attn_sinks"]) {
    const whole = `blk.1.${name}.weight`;
    assertThrows(() => describeModel(withoutTensor(FILE, whole)), ModelFormatError, whole);
  }
  const end = "output_hc_scale.weight";
  assertThrows(() => describeModel(withoutTensor(FILE, end)), ModelFormatError, end);
  // As many rows as DeepSeek 4 has, which mixes streams with one another.
  const mixed = withTensor(FILE, "blk.0.hc_attn_fn.weight", { dims: [256, 24] });
  assertThrows(() => describeModel(mixed), ModelFormatError, "hc_attn_fn");
});
