import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufFile, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { MATRIX_TYPES, readTensors, VECTOR_TYPES } from "../../src/model/read_tensors.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withoutTensor, withTensor } from "./changed_file.ts";

const QWEN2 = parseGguf(tinyModel({ architecture: "qwen2", ropeFactors: true }));
const { config: CONFIG } = describeModel(QWEN2);

function tensorsOf(file: GgufFile) {
  return readTensors(file, CONFIG);
}

Deno.test("readTensors() refuses a file that lacks any one tensor, naming it", () => {
  for (const name of QWEN2.tensors.keys()) {
    assertThrows(
      () => tensorsOf(withoutTensor(QWEN2, name)),
      ModelFormatError,
      `Cannot find tensor "${name}"`,
    );
  }
});

Deno.test("readTensors() refuses any one tensor with another shape, naming both shapes", () => {
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
    ["blk.1.ffn_down.weight", MATRIX_TYPES],
    ["token_embd.weight", MATRIX_TYPES],
    ["blk.1.ffn_norm.weight", VECTOR_TYPES],
    ["blk.1.attn_k.bias", VECTOR_TYPES],
    ["rope_freqs.weight", VECTOR_TYPES],
  ];
  for (const [name, taken] of attempts) {
    for (const type of ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q4_K", "F64", "IQ4_NL"]) {
      const file = withTensor(QWEN2, name, { type });
      if (taken.includes(type)) assertEquals(tensorsOf(file).outputNorm, "output_norm.weight");
      else {
        const error = assertThrows(() => tensorsOf(file), UnsupportedModelError, `"${name}"`);
        assertStringIncludes(error.message, type);
      }
    }
  }
});

Deno.test("readTensors() is quick with a damaged count of blocks", () => {
  const many = { ...CONFIG, blockCount: 1024 };
  assertThrows(() => readTensors(QWEN2, many), ModelFormatError, '"blk.2.attn_norm.weight"');
});
