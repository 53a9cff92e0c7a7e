/** What rarer families' files say, and what of them is refused. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withMetadata } from "./changed_file.ts";

Deno.test("describeModel() knows BitNet models with squared ReLU by their vocabulary", () => {
  const file = parseGguf(tinyModel({ architecture: "bitnet" }));
  const activation = (vocabSize: number) => {
    const metadata = { "bitnet.vocab_size": vocabSize, "tokenizer.ggml.tokens": undefined };
    const table = file.tensors.get("token_embd.weight")!;
    const tensors = new Map(file.tensors)
      .set(table.name, { ...table, dims: [table.dims[0], vocabSize] });
    return describeModel({ ...withMetadata(file, metadata), tensors }).config.feedForward
      .activation;
  };
  assertEquals([activation(32002), activation(128256)], ["silu", "relu2"]);
  const said = withMetadata(file, { "bitnet.hidden_activation": "relu2" });
  assertEquals(describeModel(said).config.feedForward.activation, "relu2");
});

Deno.test("describeModel() refuses biases behind norms inside of blocks", () => {
  const file = parseGguf(tinyModel({ architecture: "bitnet" }));
  const norm = file.tensors.get("blk.0.attn_norm.weight")!;
  for (const name of ["blk.0.attn_output.bias", "blk.0.ffn_down.bias"]) {
    const tensors = new Map(file.tensors).set(name, { ...norm, name });
    assertThrows(() => describeModel({ ...file, tensors }), UnsupportedModelError, name);
  }
});

Deno.test("describeModel() refuses numbers of heads that layers cannot have", () => {
  const read = (architecture: "openelm" | "deci", lists: Record<string, readonly number[]>) => () =>
    describeModel(withMetadata(
      parseGguf(tinyModel({ architecture })),
      Object.fromEntries(
        Object.entries(lists).map((
          [key, list],
        ) => [`${architecture}.${key}`, Int32Array.from(list)]),
      ),
    ));
  const [heads, kvHeads, neurons] = [
    ...["attention.head_count", "attention.head_count_kv", "feed_forward_length"] as const,
  ];
  const linear = { [kvHeads]: [2, 0, 0, 0, 0, 2] };
  assertThrows(read("deci", linear), UnsupportedModelError, "in the place of attention");
  const wrong: readonly Record<string, readonly number[]>[] = [
    { [kvHeads]: [2, 0, 3, 0, 0, 2] },
    { [kvHeads]: [2, 1, 1, 0, 0, 2] },
    { [heads]: [4, 0, 4, 0, 0] },
    { [heads]: [0, 0, 0, 0, 0, 0] },
    { [neurons]: [96, 64, 192, -1, 160, 96] },
    { [neurons]: [0, 0, 0, 0, 0, 0] },
  ];
  for (const lists of wrong) {
    assertThrows(read("deci", lists), ModelFormatError, Object.keys(lists)[0]);
  }
  assertThrows(read("openelm", { [heads]: [2, 0, 6] }), ModelFormatError, "all 1 or more");
  assertThrows(read("openelm", { [neurons]: [64, 0, 160] }), ModelFormatError, "all 1 or more");
});

Deno.test("describeModel() reads curves of xIELU, of all layers or of each", () => {
  const file = parseGguf(tinyModel({ architecture: "apertus" }));
  const curves = (changes: Record<string, GgufValue | undefined>) =>
    describeModel(withMetadata(file, changes)).config.layers.map(({ curve }) => curve!);
  const [first, second] = curves({ "xielu.beta": 0.25, "xielu.alpha_n": 0 });
  assertEquals([first.linear, second.linear, first.negative], [0.25, 0.25, 0.25 + Math.LN2]);
  assertEquals([first.least, second.positive], [Math.fround(-1e-6), 21]);
  const wrong = [undefined, "no", Float32Array.of(1), Float32Array.of(1, NaN), Infinity];
  for (const value of wrong) {
    assertThrows(() => curves({ "xielu.alpha_p": value }), ModelFormatError, '"xielu.alpha_p"');
  }
});

Deno.test("describeModel() reads limits of SwiGLU, of all layers or of each", () => {
  const read = (architecture: "maple" | "step35", value: GgufValue | undefined) =>
    describeModel(withMetadata(parseGguf(tinyModel({ architecture })), {
      [`${architecture}.swiglu_clamp_exp`]: value,
    })).config.layers.map(({ limits }) => limits?.experts ?? null);
  assertEquals(read("step35", 2), Array(4).fill({ gate: 2, up: 2 }));
  // What gates before they are activated are limited to is less behind it: silu(2).
  assertEquals(read("maple", 2), Array(4).fill({ gate: 2 / (1 + Math.exp(-2)), up: 2 }));
  assertEquals(read("maple", undefined), Array(4).fill(null));
  for (const wrong of [-1, 0.2, NaN, "no", Float32Array.of(1, 1, 1)]) {
    assertThrows(() => read("maple", wrong), ModelFormatError, "maple.swiglu_clamp_exp");
  }
});
