import { assertEquals, assertNotEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { applyAdapters, readAdapter, type SumType } from "../../src/adapter/mod.ts";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { parseGguf } from "../../src/gguf/mod.ts";
import { rowBytes } from "../../src/model/dtypes.ts";
import { tinyAdapter, type TinyAdapterOptions, type TinyTensor } from "../support/tiny_adapter.ts";
import { tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";

const UP = "blk.0.ffn_up.weight";

function apply(
  { model: options = {}, of = options, ...adapter }: TinyAdapterOptions & {
    readonly model?: TinyModelOptions;
    /** The model that the adapter was made for; left out: the same. */
    readonly of?: TinyModelOptions;
  },
  { scale = 1, type }: { readonly scale?: number; readonly type?: SumType } = {},
) {
  const file = parseGguf(tinyModel(options));
  const read = readAdapter(parseGguf(tinyAdapter(tinyModel(of), adapter)));
  return applyAdapters(file, [{ adapter: read, scale }], type);
}

Deno.test("applyAdapters() changes what pairs name, with scale, alpha and rank in one factor", () => {
  const { tensors, parts } = apply({ targets: /^blk\.0\.ffn_up/, rank: 2, alpha: 3 }, { scale: 5 });
  assertEquals([...tensors.values()].filter((each) => each.adapted).map(({ name }) => name), [UP]);
  const [{ scale, rank, left, right }] = tensors.get(UP)!.adapted!.products;
  assertEquals([scale, rank, left.name, right.name], [7.5, 2, `${UP}.lora_b`, `${UP}.lora_a`]);
  assertEquals(parts[left.part].use, "adapter, 5 times, as auto");
});

Deno.test("applyAdapters() takes an alpha of 0 for none said: the scale alone counts", () => {
  const { tensors } = apply({ alpha: 0 }, { scale: 0.5 });
  assertEquals(tensors.get(UP)!.adapted!.products[0].scale, 0.5);
});

Deno.test("applyAdapters() leaves a model as it is of which it is to change nothing", () => {
  const plain = parseGguf(tinyModel({ type: "Q4_0" }));
  const { tensors, parts } = apply({ model: { type: "Q4_0" } }, { scale: 0 });
  assertEquals([...tensors.values()].map(({ type }) => type), [
    ...[...plain.tensors.values()].map(({ type }) => type),
  ]);
  assertEquals([parts.length, [...tensors.values()].some(({ adapted }) => adapted)], [1, false]);
  // What does not fit is said all the same: it may be another file that was meant.
  assertThrows(
    () => apply({ of: { embeddingLength: 128 } }, { scale: 0 }),
    UnsupportedModelError,
    "give the model that it was trained on",
  );
});

Deno.test("applyAdapters() keeps types of floats, makes others Q8_0, and obeys who asks", () => {
  const cases = [
    ["F32", undefined, "F32"],
    ["F16", "auto", "F16"],
    ["BF16", undefined, "BF16"],
    ["Q4_0", undefined, "Q8_0"],
    ["Q4_0", "F16", "F16"],
    ["F32", "Q8_0", "Q8_0"],
    ["Q4_0", "same", "Q4_0"],
  ] as const;
  for (const [type, asked, expected] of cases) {
    const { type: found, sizeBytes } = apply({ model: { type } }, { type: asked }).tensors.get(UP)!;
    assertEquals([found, sizeBytes], [expected, 96 * rowBytes(expected, 64)]);
  }
});

Deno.test("applyAdapters() refuses to write again what is never written here", () => {
  const typeOf = (name: string) => name === UP ? "IQ2_XS" as const : undefined;
  const model = { embeddingLength: 256, typeOf };
  const same = () => apply({ model, targets: /^blk\.0\.ffn_up/ }, { type: "same" });
  assertThrows(same, UnsupportedModelError, "leave out --lora-type same");
  assertEquals(apply({ model, targets: /^blk\.0\.ffn_up/ }).tensors.get(UP)!.type, "Q8_0");
});

Deno.test("applyAdapters() leaves outputs alone where an embedding table is both", () => {
  const targets = /^token_embd/;
  const { tensors } = apply({ model: { tied: true }, targets });
  assertNotEquals(tensors.get("token_embd.weight")!.adapted, undefined);
  assertEquals(tensors.get("output.weight")!.adapted, undefined);
  const { offsetBytes } = tensors.get("token_embd.weight")!;
  assertEquals(tensors.get("output.weight")!.offsetBytes, offsetBytes);
});

Deno.test("applyAdapters() refuses what was made for another model", () => {
  const wrong: [Parameters<typeof apply>[0], says: string][] = [
    [{ of: { architecture: "qwen2" } }, 'architecture "qwen2", and this one\'s is "llama"'],
    [{ of: { blockCount: 3 } }, 'no tensor "blk.2.'],
    [{ of: { embeddingLength: 32 } }, "the model's tensor of [64,64]"],
    [{ of: { feedForwardLength: 64 }, targets: /ffn_up/ }, "is of [64,64], the model's"],
    [{ rank: 97, targets: /ffn_up/ }, "has the rank 97 in it"],
    [{ targets: /attn_norm/ }, "of [64,1], the model's tensor of [64]"],
  ];
  for (const [options, says] of wrong) {
    const { message } = assertThrows(() => apply(options), UnsupportedModelError);
    assertStringIncludes(message, says);
  }
});

Deno.test("applyAdapters() refuses pairs of more or fewer experts than a tensor has", () => {
  const model = { architecture: "llama-moe" } as const;
  for (const half of [".lora_a", ".lora_b"]) {
    const change = (tensor: TinyTensor) => {
      if (!tensor.name.endsWith(half)) return tensor;
      const [first, second, experts] = tensor.dims;
      const values = tensor.values.slice(0, tensor.values.length / 2);
      return { ...tensor, dims: [first, second, experts / 2], values };
    };
    const wrong = () => apply({ model, targets: /^blk\.0\.ffn_up_exps/, change });
    assertThrows(wrong, UnsupportedModelError, "the model's tensor of", half);
  }
});
