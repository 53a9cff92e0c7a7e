import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { readAdapter } from "../../src/adapter/mod.ts";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type MetadataEntry, parseGguf, text, u32 } from "../../src/gguf/mod.ts";
import { f32, list } from "../../src/gguf/stored_values.ts";
import { describeModel } from "../../src/model/mod.ts";
import { tinyAdapter, type TinyAdapterOptions, type TinyTensor } from "../support/tiny_adapter.ts";
import { tinyModel } from "../support/tiny_model.ts";

const MODEL = tinyModel();
const HALF = "blk.1.ffn_up.weight.lora_a";

function read(options: TinyAdapterOptions) {
  return readAdapter(parseGguf(tinyAdapter(MODEL, options)));
}

/** Changes one tensor. */
function changing(name: string, change: (tensor: TinyTensor) => TinyTensor | null) {
  return {
    change: (tensor: TinyTensor) => tensor.name === name ? change(tensor) : tensor,
  } satisfies TinyAdapterOptions;
}

function saying(...metadata: MetadataEntry[]): TinyAdapterOptions {
  return { metadata };
}

Deno.test("readAdapter() gives pairs by the tensor that they change, rank and alpha", () => {
  const { architecture, alpha, pairs, ignored } = read({ rank: 3, alpha: 7 });
  assertEquals([architecture, alpha, ignored.length, pairs.size], ["llama", 7, 0, 14]);
  const { a, b, rank } = pairs.get("blk.1.ffn_up.weight")!;
  assertEquals([a.dims, b.dims, rank], [[64, 3], [3, 96], 3]);
});

Deno.test("readAdapter() takes an embedding table's pair the other way round", () => {
  const { a, b, rank } = read({ targets: /^token_embd/ }).pairs.get("token_embd.weight")!;
  assertEquals([a.dims, b.dims, rank], [[4, 512], [4, 64], 4]);
});

Deno.test("readAdapter() lists norms, which nobody uses", () => {
  const change = (tensor: TinyTensor) => ({ ...tensor, name: "blk.0.attn_norm.weight" });
  const { ignored } = read({ targets: /ffn_up/, ...changingPair("blk.0.ffn_up.weight", change) });
  assertEquals(ignored, ["blk.0.attn_norm.weight"]);
});

/** Leaves out `lora_b` of a tensor and makes something else of its `lora_a`. */
function changingPair(name: string, change: (tensor: TinyTensor) => TinyTensor) {
  return {
    change: (tensor: TinyTensor) =>
      tensor.name === `${name}.lora_b`
        ? null
        : tensor.name === `${name}.lora_a`
        ? change(tensor)
        : tensor,
  } satisfies TinyAdapterOptions;
}

Deno.test("readAdapter() refuses what is not whole, no numbers, or of another kind", () => {
  const wrong: [options: TinyAdapterOptions, says: string][] = [
    [changing(HALF, () => null), `"${HALF}" is missing`],
    [changing(HALF, (tensor) => ({ ...tensor, name: "blk.1.ffn_up.weight" })), "half of no pair"],
    [
      changing(HALF, (tensor) => ({ ...tensor, dims: [128, 2] })),
      `"${HALF}" has the rank 2, "blk.1.ffn_up.weight.lora_b" the rank 4`,
    ],
    [changing(HALF, (tensor) => ({ ...tensor, dims: [256] })), "has 1 dimensions"],
    [changing(HALF, (tensor) => ({ ...tensor, dims: [16, 4, 2, 2] })), "has 4 dimensions"],
    [{ targets: /^nothing/ }, "it changes no tensor"],
    [saying(["adapter.lora.alpha", f32(NaN)]), "its alpha is NaN"],
    [saying(["adapter.lora.alpha", f32(Infinity)]), "its alpha is Infinity"],
    [saying(["adapter.lora.alpha", text("8")]), "it is a string, not a number"],
  ];
  for (const [options, says] of wrong) {
    const { message } = assertThrows(() => read(options), ModelFormatError);
    assertStringIncludes(message, says);
  }
  const others: [options: TinyAdapterOptions, says: string][] = [
    [saying(["adapter.type", text("ia3")]), 'of the kind "ia3"'],
    [
      saying(["adapter.alora.invocation_tokens", list(Uint32Array.of(1))]),
      "only behind certain tokens",
    ],
    [saying(["general.architecture", text("controlvector")]), "give it with --control-vector"],
  ];
  for (const [options, says] of others) {
    const { message } = assertThrows(() => read(options), UnsupportedModelError);
    assertStringIncludes(message, says);
  }
});

Deno.test("readAdapter() says that a model is one", () => {
  assertThrows(() => readAdapter(parseGguf(MODEL)), ModelFormatError, "it is a model");
});

Deno.test("describeModel() says of an adapter what it is, and how it is used", () => {
  const file = parseGguf(tinyAdapter(MODEL, saying(["llama.block_count", u32(2)])));
  assertThrows(() => describeModel(file), UnsupportedModelError, "this one with --lora");
});
