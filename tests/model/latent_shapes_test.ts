/** What models must say whose windowed layers have latents of their own, and what is refused. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { configOf } from "../../src/model/layer_config.ts";
import { describeModel } from "../../src/model/mod.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { SINGULAR_FAMILIES } from "../support/tiny_singular_families.ts";
import { withKeys, withoutTensor } from "./changed_file.ts";

const LATENTS = SINGULAR_FAMILIES["dots3note-chosen"].latent;
const FILE = parseGguf(tinyModel({ architecture: "dots3note-chosen" }));

function read(changes: Record<string, GgufValue | undefined>, contextLength?: number) {
  return describeModel(withKeys(FILE, changes), { contextLength });
}

Deno.test("describeModel() reads latents, heads and scales of windowed layers and of others", () => {
  const { config, tensors } = read({});
  const of = (layer: number) => {
    const { headCount, headDim, latent, attentionScale } = configOf(config, layer);
    return [headCount, headDim, latent?.length, latent?.plainDim, latent?.valueDim, attentionScale];
  };
  assertEquals(of(0), [2, 64, 32, 16, 32, 1 / Math.sqrt(48)]);
  assertEquals(of(1), [4, 96, 64, 32, 16, 1 / Math.sqrt(64)]);
  const choices = config.layers.map(({ choosesKeys = "none" }) => choosesKeys).join(" ");
  assertEquals(choices, "none own none own");
  const [first, second] = tensors.layers;
  assertEquals([first, second].map(({ attentionGate }) => attentionGate?.gate.count), [1, 1]);
  assertEquals([first, second].map(({ latent }) => latent?.turnedNorm?.length), [32, 32]);
  assertEquals([first, second].map(({ latent }) => latent?.indexer?.weights.rows), [undefined, 8]);
});

Deno.test("describeModel() has layers of as many heads and the same latents be like each other", () => {
  const shapes = (windowedHeads: number) => {
    const windowed = { ...LATENTS.windowed, heads: windowedHeads };
    const changes = { latent: { ...LATENTS, windowed } };
    const file = parseGguf(tinyModel({ architecture: "dots3note-chosen", changes }));
    const { config } = describeModel(file, { contextLength: 16 });
    assertEquals(config.indexer, undefined);
    return config.layers.map(({ shape }) => shape?.headCount);
  };
  assertEquals(shapes(2), [2, undefined, 2, undefined]);
  assertEquals(shapes(6), [6, 4, 6, 4]);
});

Deno.test("describeModel() refuses latents of windowed layers that make no sense", () => {
  const wrong: readonly (readonly [string, GgufValue | undefined])[] = [
    ...[["attention.kv_lora_rank_swa", 0], ["attention.kv_lora_rank_swa", undefined]] as const,
    ...[["attention.key_length_mla_swa", 32], ["attention.key_length_mla_swa", "no"]] as const,
    ...[["attention.value_length_mla_swa", 0], ["attention.key_length_swa", 72]] as const,
    ...[["rope.dimension_count_swa", 16], ["attention.head_count", 0]] as const,
    ...[["attention.head_count", Int32Array.of(2, 4)]] as const,
    ...[["attention.head_count", Int32Array.of(2, 4, 0, 4)]] as const,
    ...[["attention.sliding_window_pattern", Int32Array.of(1)]] as const,
    ...[["attention.sliding_window", -1], ["attention.indexer.top_k", undefined]] as const,
  ];
  for (const [key, value] of wrong) {
    assertThrows(() => read({ [key]: value }), ModelFormatError, key);
  }
  for (const key of ["kv_lora_rank", "value_length_mla"]) {
    const changes = { [`attention.${key}_swa`]: 40, "attention.key_length_swa": undefined };
    assertThrows(() => read(changes), UnsupportedModelError, "multiple of 16");
  }
  // Whose layers have no window are as the others: tensors do not fit.
  const unwindowed = { "attention.sliding_window": 0 };
  assertThrows(() => read(unwindowed), ModelFormatError, "blk.0.");
});

Deno.test("describeModel() misses what layers' own latents, gates and indexers are made of", () => {
  const names = ["blk.0.attn_k_norm", "blk.1.attn_k_norm", "blk.0.attn_gate", "blk.2.attn_k_b"];
  for (const name of [...names, "blk.3.indexer.proj"].map((name) => `${name}.weight`)) {
    assertThrows(() => describeModel(withoutTensor(FILE, name)), ModelFormatError, name);
  }
});
