import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufFile, parseGguf } from "../../src/gguf/mod.ts";
import { qwen2 } from "../../src/model/families/qwen2.ts";
import { DEQUANTIZED_TYPES, describeModel } from "../../src/model/mod.ts";
import { readTensors } from "../../src/model/read/read_tensors.ts";
import { VECTOR_TYPES } from "../../src/model/read/tensor_checker.ts";
import { TINY_FAMILIES, type TinyFamilyName } from "../support/tiny_families.ts";
import { LAYERED_FAMILIES } from "../support/tiny_layered_families.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withoutTensor, withTensor } from "./changed_file.ts";

const QWEN2 = parseGguf(tinyModel({ architecture: "qwen2", ropeFactors: true }));
const { config: CONFIG } = describeModel(QWEN2);

function tensorsOf(file: GgufFile) {
  return readTensors(file, CONFIG, qwen2);
}

/** Models without these are models, too: other layers than the first are not. */
const OPTIONAL = new RegExp(
  "^output\\.weight$|^blk\\.0\\.(attn_(qkv|q|k|v|output)|ffn_(gate|up|down))\\.bias$",
);
/** Nor are they models without these: Gemma 4's values may be what keys are made of. */
const OPTIONAL_OF_LAYERS = /\.(layer_output_scale\.weight|ffn_down_exps\.scale|attn_v\.weight)$/;

/** Some indexers, and what is for images, are not computed: nobody looks at their shapes. */
const UNUSED = /\.(indexer\.|vis_)/;

for (const architecture of Object.keys(TINY_FAMILIES) as TinyFamilyName[]) {
  const file = parseGguf(tinyModel({ architecture }));

  Deno.test(`describeModel() refuses a ${architecture} that lacks any one tensor`, () => {
    for (const name of file.tensors.keys()) {
      const isOptional = OPTIONAL.test(name) || UNUSED.test(name) ||
        architecture in LAYERED_FAMILIES && OPTIONAL_OF_LAYERS.test(name);
      if (isOptional) continue;
      const error = assertThrows(() => describeModel(withoutTensor(file, name)));
      const isClear = error instanceof ModelFormatError || error instanceof UnsupportedModelError;
      assertEquals(isClear, true, `without ${name}: ${error}`);
    }
  });

  Deno.test(`describeModel() refuses a ${architecture} with any one tensor misshapen`, () => {
    for (const [name, { dims }] of file.tensors) {
      if (UNUSED.test(name)) continue;
      for (const index of dims.keys()) {
        // A table may have more rows than are named.
        if (architecture === "qwen4exp" && name.startsWith("per_layer_") && index === 1) continue;
        const wrong = dims.with(index, dims[index] + 32);
        const changed = withTensor(file, name, { dims: wrong });
        assertThrows(() => describeModel(changed), ModelFormatError, undefined, name);
      }
    }
  });
}

Deno.test("describeModel() refuses tensors of blocks behind those that the file counts", () => {
  for (const architecture of ["llama", "glm4moe"] as const) {
    const file = parseGguf(tinyModel({ architecture }));
    const key = `${architecture}.block_count`;
    const { blockCount } = describeModel(file).config;
    // Of the one that guesses a tensor may be there; behind it none may.
    const guesses = Number(file.metadata.get(key)) - blockCount;
    for (let block = blockCount; block <= blockCount + guesses; block++) {
      const name = `blk.${block}.attn_norm.weight`;
      const describe = () => describeModel(withTensor(file, name, {}));
      if (block < blockCount + guesses) assertEquals(describe().config.blockCount, blockCount);
      else assertThrows(describe, UnsupportedModelError, name);
    }
  }
});

// fault 20: required tensors that are missing, or of another shape.
Deno.test("readTensors() names the tensor that a file lacks", () => {
  for (const name of QWEN2.tensors.keys()) {
    assertThrows(
      () => tensorsOf(withoutTensor(QWEN2, name)),
      ModelFormatError,
      `Cannot find tensor "${name}"`,
    );
  }
});

Deno.test("readTensors() names a tensor with another shape, and both shapes", () => {
  for (const [name, { dims }] of QWEN2.tensors) {
    for (const index of dims.keys()) {
      const wrong = dims.with(index, dims[index] + 32);
      const error = assertThrows(
        () => tensorsOf(withTensor(QWEN2, name, { dims: wrong })),
        ModelFormatError,
        `Cannot use tensor "${name}"`,
      );
      assertStringIncludes(error.message, `[${dims.toReversed().join(", ")}]`);
      assertStringIncludes(error.message, `[${wrong.toReversed().join(", ")}]`);
    }
  }
});

Deno.test("readTensors() refuses a transposed matrix and one dimension too many", () => {
  const transposed = withTensor(QWEN2, "blk.0.ffn_up.weight", { dims: [96, 64] });
  assertThrows(() => tensorsOf(transposed), ModelFormatError, '"blk.0.ffn_up.weight"');
  const deep = withTensor(QWEN2, "blk.0.ffn_up.weight", { dims: [64, 96, 2] });
  assertThrows(() => tensorsOf(deep), ModelFormatError, "[2, 96, 64]");
});

Deno.test("readTensors() overlooks dimensions of 1 at the end", () => {
  const file = withTensor(QWEN2, "output_norm.weight", { dims: [64, 1] });
  assertEquals(tensorsOf(file), tensorsOf(QWEN2));
});

Deno.test("readTensors() says where in the file a misshapen tensor lies", () => {
  const file = withTensor(QWEN2, "output.weight", { dims: [32, 512], offsetBytes: 4096 });
  const error = assertThrows(() => tensorsOf(file), ModelFormatError);
  assertEquals(error.offsetBytes, 4096);
});

Deno.test("readTensors() takes the types that the engine computes with, and no others", () => {
  const attempts: [name: string, taken: readonly string[]][] = [
    ["blk.1.ffn_down.weight", DEQUANTIZED_TYPES],
    ["token_embd.weight", DEQUANTIZED_TYPES],
    ["blk.1.ffn_norm.weight", VECTOR_TYPES],
    ["blk.1.attn_k.bias", VECTOR_TYPES],
    ["rope_freqs.weight", VECTOR_TYPES],
  ];
  for (const [name, taken] of attempts) {
    for (const type of ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q4_K", "F64", "IQ4_NL"]) {
      const file = withTensor(QWEN2, name, { type });
      if (taken.includes(type)) assertEquals(tensorsOf(file).layers.length, 2);
      else {
        const error = assertThrows(() => tensorsOf(file), UnsupportedModelError, `"${name}"`);
        assertStringIncludes(error.message, type);
      }
    }
  }
});

Deno.test("readTensors() is quick with a damaged count of blocks", () => {
  const many = { ...CONFIG, blockCount: 1024 };
  assertThrows(() => readTensors(QWEN2, many, qwen2), ModelFormatError, '"blk.2.attn_norm.weight"');
});

Deno.test("readTensors() finds query, key and value in one fused tensor, with their biases", () => {
  const { layers } = describeModel(parseGguf(tinyModel({ architecture: "gpt2" }))).tensors;
  const part = (rowStart: number, rows: number) => ({
    tensor: "blk.1.attn_qkv.weight",
    rowStart,
    rows,
    columns: 64,
    bias: { tensor: "blk.1.attn_qkv.bias", start: rowStart, length: rows },
  });
  const { query, key, value } = layers[1];
  assertEquals([query, key, value], [part(0, 64), part(64, 32), part(96, 32)]);
});

Deno.test("readTensors() finds the gate in the first rows of a fused tensor, up in the others", () => {
  const { layers } = describeModel(parseGguf(tinyModel({ architecture: "phi3" }))).tensors;
  const part = (rowStart: number) => (
    { tensor: "blk.0.ffn_up.weight", rowStart, rows: 96, columns: 64, bias: null }
  );
  const { feedForward } = layers[0];
  assertEquals(feedForward?.kind === "dense" && [feedForward.gate, feedForward.up], [
    part(0),
    part(96),
  ]);
});

Deno.test("readTensors() finds experts one behind the other, or in a tensor each", () => {
  const experts = (architecture: "llama-moe" | "llama-moe-old") => {
    const { layers } = describeModel(parseGguf(tinyModel({ architecture }))).tensors;
    const { feedForward } = layers[1];
    return feedForward?.kind === "experts" ? feedForward.experts : [];
  };
  const down = { rows: 64, columns: 64, bias: null };
  assertEquals(
    experts("llama-moe").map((expert) => expert.down),
    [0, 64, 128, 192].map((at) => (
      { tensor: "blk.1.ffn_down_exps.weight", rowStart: at, ...down }
    )),
  );
  assertEquals(
    experts("llama-moe-old").map((expert) => expert.down),
    [0, 1, 2, 3].map((index) => (
      { tensor: `blk.1.ffn_down.${index}.weight`, rowStart: 0, ...down }
    )),
  );
});

Deno.test("readTensors() uses a bias that the first layer has in all layers", () => {
  const file = parseGguf(tinyModel({ architecture: "llama-biased" }));
  const { layers } = describeModel(file).tensors;
  assertEquals(layers[1].key?.bias, { tensor: "blk.1.attn_k.bias", start: 0, length: 32 });
  assertThrows(
    () => describeModel(withoutTensor(file, "blk.1.ffn_down.bias")),
    ModelFormatError,
    '"blk.1.ffn_down.bias"',
  );
  assertThrows(
    () => describeModel(withoutTensor(file, "blk.0.ffn_down.bias")),
    UnsupportedModelError,
    '"blk.1.ffn_down.bias"',
  );
});

Deno.test("readTensors() reads a bias of the output and of the choice of experts", () => {
  const file = parseGguf(tinyModel({ architecture: "llama-moe" }));
  let changed = withTensor(file, "output.bias", { dims: [512] });
  for (const block of [0, 1]) {
    changed = withTensor(changed, `blk.${block}.exp_probs_b.bias`, { dims: [4] });
  }
  const { output, layers } = describeModel(changed).tensors;
  assertEquals(output.bias, { tensor: "output.bias", start: 0, length: 512 });
  const { feedForward } = layers[1];
  assertEquals(feedForward?.kind === "experts" && feedForward.choiceBias, {
    tensor: "blk.1.exp_probs_b.bias",
    start: 0,
    length: 4,
  });
});

Deno.test("readTensors() checks both lists of long-rope, whichever the context chooses", () => {
  const file = parseGguf(tinyModel({ architecture: "phi3" }));
  for (const name of ["rope_factors_short.weight", "rope_factors_long.weight"]) {
    for (const contextLength of [256, 1024]) {
      const run = (changed: GgufFile) => () => describeModel(changed, { contextLength });
      assertThrows(run(withoutTensor(file, name)), ModelFormatError, `"${name}"`);
      assertThrows(run(withTensor(file, name, { dims: [9] })), ModelFormatError, `"${name}"`);
    }
  }
});
