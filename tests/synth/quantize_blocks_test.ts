import { assertEquals, assertThrows } from "@std/assert";
import { openGguf, TensorReader } from "../../src/gguf/mod.ts";
import { dequantize } from "../../src/model/mod.ts";
import { packWeights, type WeightType } from "../../src/synth/quantize_blocks.ts";
import { Rng } from "../support/rng.ts";
import { sharedPath, sharedTest } from "../support/shared.ts";

for (const [type, folder] of [["Q8_0", "llama-q8_0"], ["Q4_0", "llama-q4_0"]] as const) {
  sharedTest("golden", `packWeights() makes ${type} blocks as llama.cpp, bit for bit`, () => {
    const base = openGguf(sharedPath("golden/quant-base/model.gguf"));
    const made = openGguf(sharedPath(`golden/${folder}/model.gguf`));
    using weights = TensorReader.open(base);
    using blocks = TensorReader.open(made);
    const tensors = [...made.tensors.values()].filter((tensor) => tensor.type === type);
    assertEquals(tensors.length, 16);
    for (const tensor of tensors) {
      const { buffer } = weights.readAll(base.tensors.get(tensor.name)!);
      const actual = packWeights(type, new Float32Array(buffer));
      const expected = blocks.readAll(tensor);
      const difference = actual.findIndex((byte, index) => byte !== expected[index]);
      assertEquals(difference, -1, `${tensor.name} differs at byte ${difference}`);
    }
  });
}

/** A block of zeros that begins with `weights`. */
function block(...weights: number[]): Float32Array {
  const all = new Float32Array(32);
  all.set(weights);
  return all;
}

Deno.test("packWeights() to Q8_0 rounds half away from zero", () => {
  // d = 1: the weights are the quants.
  const bytes = packWeights("Q8_0", block(127, 0.5, -0.5, 1.5, -2.5, 0.49, -127));
  assertEquals([...new Int8Array(bytes.buffer, 2, 8)], [127, 1, -1, 2, -3, 0, -127, 0]);
  assertEquals([...bytes.subarray(0, 2)], [0x00, 0x3c]);
});

Deno.test("packWeights() to Q4_0 takes its scale from the largest weight, with its sign", () => {
  const negative = packWeights("Q4_0", block(-8, 7, 1));
  assertEquals([...negative.subarray(0, 5)], [0x00, 0x3c, 0x80, 0x8f, 0x89]);
  // The largest is positive: d = -1, and 8.5 + 8 is cut to 15.
  const positive = packWeights("Q4_0", block(8, -8, 1));
  assertEquals([...positive.subarray(0, 5)], [0x00, 0xbc, 0x80, 0x8f, 0x87]);
});

Deno.test("packWeights() to Q4_0 puts weight 16 + i into the high nibble of byte i", () => {
  const weights = block(-8);
  weights[17] = 3;
  assertEquals(packWeights("Q4_0", weights)[2 + 1], 0xb8);
});

Deno.test("packWeights() makes zero blocks of zeros", () => {
  assertEquals(packWeights("Q8_0", block()), new Uint8Array(34));
  const nibbles = packWeights("Q4_0", block());
  assertEquals([...nibbles.subarray(0, 3)], [0, 0x80, 0x88]);
});

Deno.test("packWeights() rounds BF16 to nearest, ties to even, and keeps NaN", () => {
  const tieDown = 1 + 2 ** -8;
  const tieUp = 1 + 3 * 2 ** -8;
  const bytes = packWeights("BF16", Float32Array.of(1, tieDown, tieUp, -1, NaN, Infinity));
  const words = [...new Uint16Array(bytes.buffer)];
  assertEquals(words, [0x3f80, 0x3f80, 0x3f82, 0xbf80, 0x7fc0, 0x7f80]);
});

Deno.test("dequantize() gives back what packWeights() packed, within each type's step", () => {
  const rng = new Rng(3);
  const weights = Float32Array.from({ length: 320 }, () => rng.normal());
  const steps: [WeightType, number][] = [
    ["F32", 0],
    ["F16", 2 ** -9],
    ["BF16", 2 ** -6],
    ["Q8_0", 5 / 127],
    ["Q4_0", 5 / 8],
  ];
  for (const [type, step] of steps) {
    const back = dequantize(type, packWeights(type, weights));
    const error = Math.max(...weights.map((weight, i) => Math.abs(weight - back[i])));
    assertEquals(error <= step, true, `${type}: ${error}`);
  }
});

Deno.test("packWeights() refuses part of a block as a bug", () => {
  assertThrows(() => packWeights("Q8_0", new Float32Array(33)), Error, "not a multiple of 32");
});
