import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { openGguf, TensorReader } from "../../src/gguf/mod.ts";
import { dequantize } from "../../src/model/mod.ts";
import { rowBytes } from "../../src/model/dtypes.ts";
import { encodeWeights, WEIGHT_TYPES, type WeightType } from "../../src/quantize/mod.ts";
import { Rng } from "../support/rng.ts";
import { sharedPath, sharedTest } from "../support/shared.ts";

for (const [type, folder] of [["Q8_0", "llama-q8_0"], ["Q4_0", "llama-q4_0"]] as const) {
  sharedTest("golden", `encodeWeights() makes ${type} blocks as llama.cpp, bit for bit`, () => {
    const base = openGguf(sharedPath("golden/quant-base/model.gguf"));
    const made = openGguf(sharedPath(`golden/${folder}/model.gguf`));
    using weights = TensorReader.open(base);
    using blocks = TensorReader.open(made);
    const tensors = [...made.tensors.values()].filter((tensor) => tensor.type === type);
    assertEquals(tensors.length, 16);
    for (const tensor of tensors) {
      const { buffer } = weights.readAll(base.tensors.get(tensor.name)!);
      const actual = encodeWeights(type, new Float32Array(buffer));
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

Deno.test("encodeWeights() to Q8_0 rounds half away from zero", () => {
  // d = 1: the weights are the quants.
  const bytes = encodeWeights("Q8_0", block(127, 0.5, -0.5, 1.5, -2.5, 0.49, -127));
  assertEquals([...new Int8Array(bytes.buffer, 2, 8)], [127, 1, -1, 2, -3, 0, -127, 0]);
  assertEquals([...bytes.subarray(0, 2)], [0x00, 0x3c]);
});

Deno.test("encodeWeights() to Q4_0 takes its scale from the largest weight, with its sign", () => {
  const negative = encodeWeights("Q4_0", block(-8, 7, 1));
  assertEquals([...negative.subarray(0, 5)], [0x00, 0x3c, 0x80, 0x8f, 0x89]);
  // The largest is positive: d = -1, and 8.5 + 8 is cut to 15.
  const positive = encodeWeights("Q4_0", block(8, -8, 1));
  assertEquals([...positive.subarray(0, 5)], [0x00, 0xbc, 0x80, 0x8f, 0x87]);
});

Deno.test("encodeWeights() to Q4_0 puts weight 16 + i into the high nibble of byte i", () => {
  const weights = block(-8);
  weights[17] = 3;
  assertEquals(encodeWeights("Q4_0", weights)[2 + 1], 0xb8);
});

Deno.test("encodeWeights() makes zero blocks of zeros", () => {
  assertEquals(encodeWeights("Q8_0", block()), new Uint8Array(34));
  const nibbles = encodeWeights("Q4_0", block());
  assertEquals([...nibbles.subarray(0, 3)], [0, 0x80, 0x88]);
});

Deno.test("encodeWeights() rounds BF16 to nearest, ties to even, and keeps NaN", () => {
  const tieDown = 1 + 2 ** -8;
  const tieUp = 1 + 3 * 2 ** -8;
  const bytes = encodeWeights("BF16", Float32Array.of(1, tieDown, tieUp, -1, NaN, Infinity));
  const words = [...new Uint16Array(bytes.buffer)];
  assertEquals(words, [0x3f80, 0x3f80, 0x3f82, 0xbf80, 0x7fc0, 0x7f80]);
});

/** The largest error that each type may make on 2560 normal weights, root mean square. */
const ERRORS: Readonly<Record<WeightType, number>> = {
  F32: 0,
  F16: 0.00023,
  BF16: 0.002,
  Q8_0: 0.006,
  Q5_0: 0.045,
  Q5_1: 0.042,
  Q4_0: 0.09,
  Q4_1: 0.085,
  E0M4: 0.073,
  Q2_K: 0.28,
  Q3_K: 0.15,
  Q4_K: 0.073,
  Q5_K: 0.037,
  Q6_K: 0.018,
  IQ4_NL: 0.078,
  IQ4_XS: 0.079,
  MXFP4: 0.13,
  NVFP4: 0.099,
};

for (const type of WEIGHT_TYPES) {
  Deno.test(`encodeWeights() to ${type} makes the error that its bits allow`, () => {
    const rng = new Rng(3);
    const weights = Float32Array.from({ length: 2560 }, () => rng.normal());
    const bytes = encodeWeights(type, weights);
    assertEquals(bytes.length, rowBytes(type, 2560));
    const error = rootMeanSquare(dequantize(type, bytes).map((x, i) => x - weights[i]));
    assert(error <= ERRORS[type] && error >= ERRORS[type] * 0.8, `${error}`);
  });

  Deno.test(`encodeWeights() gives ${type} blocks that depend on nothing but their weights`, () => {
    const rng = new Rng(4);
    const weights = Float32Array.from({ length: 768 }, () => rng.normal() * 0.02);
    const all = encodeWeights(type, weights);
    const middle = encodeWeights(type, weights.subarray(256, 512));
    assertEquals(all.subarray(middle.length, 2 * middle.length), middle);
  });

  Deno.test(`encodeWeights() to ${type} keeps zeros, signs, single and tiny weights`, () => {
    const read = (weights: Float32Array) => dequantize(type, encodeWeights(type, weights));
    assertEquals(read(new Float32Array(256)).map((x) => x + 0), new Float32Array(256));
    // The rounding of scale and minimum; and IQ4 has no zero: its least level is 1 of 127.
    const zero = type.startsWith("IQ4") ? 0.01 : 0.0005;
    // NVFP4's scales have three bits of fraction, and end at 2^-9 and 448.
    const isNarrow = type === "NVFP4";
    const precision = isNarrow ? 0.065 : 0.02;
    for (const value of isNarrow ? [1, -1, 2 ** -4, -(2 ** 10)] : [1, -1, 2 ** -10, -(2 ** 12)]) {
      for (const at of [0, 31, 100, 255]) {
        const weights = new Float32Array(256);
        weights[at] = value;
        const back = read(weights);
        // Alone, a weight decides its scale: it is kept to the precision of a scale.
        assertAlmostEquals(back[at] / value, 1, precision, `${value} at ${at}`);
        back[at] = 0;
        assert(rootMeanSquare(back) <= Math.abs(value) * zero, `others of ${value} at ${at}`);
      }
    }
    // Too small for an f16 scale: zero is next, and nothing is NaN.
    const tiny = read(new Float32Array(256).map((_, i) => (i % 3 - 1) * 1e-12));
    assert(tiny.every((x) => Math.abs(x) <= 1e-7), `${tiny}`);
  });

  Deno.test(`encodeWeights() to ${type} follows weights all alike or of one sign`, () => {
    for (const sign of [1, -1]) {
      const equal = new Float32Array(256).fill(sign * 0.75);
      const back = dequantize(type, encodeWeights(type, equal));
      assert(back.every((x) => Math.abs(x - sign * 0.75) <= 0.02), `${back[0]}`);
      const ramp = Float32Array.from({ length: 256 }, (_, i) => sign * (1 + i % 32 / 32));
      const error = dequantize(type, encodeWeights(type, ramp)).map((x, i) => x - ramp[i]);
      assert(rootMeanSquare(error) < 0.25, `${rootMeanSquare(error)}`);
    }
  });
}

Deno.test("encodeWeights() to F16 rounds to nearest, ties to even", () => {
  const weights = Float32Array.of(1, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 65519, 65520, 2 ** -25, NaN);
  const words = [...new Uint16Array(encodeWeights("F16", weights).buffer)];
  assertEquals(words.slice(0, 6), [0x3c00, 0x3c00, 0x3c02, 0x7bff, 0x7c00, 0x0000]);
  assertEquals(words[6] & 0x7c00, 0x7c00);
  assert((words[6] & 0x03ff) !== 0, "NaN stays NaN");
});

Deno.test("encodeWeights() to Q4_1 and Q5_1 spans minimum and maximum", () => {
  // Minimum -1, maximum 14: the scale is 1, levels are w + 1.
  const bytes = encodeWeights("Q4_1", block(-1, 14, 3).fill(-1, 3));
  assertEquals([...bytes.subarray(0, 7)], [0x00, 0x3c, 0x00, 0xbc, 0x00, 0x0f, 0x04]);
  // Minimum 0, maximum 31; weight 16 is 31: all bits of its nibble, and bit 16 of the u32.
  const weights = block(1);
  weights[16] = 31;
  const five = encodeWeights("Q5_1", weights);
  assertEquals([...five.subarray(0, 10)], [0x00, 0x3c, 0, 0, 0, 0, 1, 0, 0xf1, 0]);
});

Deno.test("encodeWeights() to Q5_0 takes its scale from the largest weight, with its sign", () => {
  // d = 1: quants are w + 16; the fifth bit of a zero is set.
  const bytes = encodeWeights("Q5_0", block(-16, 15, 1));
  assertEquals([...bytes.subarray(0, 10)], [0, 0x3c, 0xfe, 0xff, 0xff, 0xff, 0x00, 0x0f, 0x01, 0]);
});

Deno.test("encodeWeights() to MXFP4 takes the exponent of the largest weight less two", () => {
  // 7.9 is below 8 = 2^3: the exponent is 2 - 2; beyond 6 there is nothing.
  const bytes = encodeWeights("MXFP4", block(7.9, -0.3, 0.25, 2.5, -6));
  assertEquals([...bytes.subarray(0, 6)], [127, 0x07, 0x09, 0x00, 0x04, 0x0f]);
  assertEquals(encodeWeights("MXFP4", block(8))[0], 128);
});

Deno.test("encodeWeights() to NVFP4 gives each 16 the scale next to a sixth of the largest", () => {
  // 6 · 1.125 of the first 16, 6 · 2^-9 of the second, nothing of the third; the fourth's is 448.
  const weights = new Float32Array(64);
  weights.set([6.75, -0.5625, 0.8, 1.2], 0);
  weights.set([-0.01171875, 0.002], 24);
  weights[48] = 3000;
  const bytes = encodeWeights("NVFP4", weights);
  assertEquals([...bytes.subarray(0, 4)], [0x39, 1, 0, 0x7e]);
  assertEquals([...bytes.subarray(4, 8)], [0x07, 0x09, 0x01, 0x02]);
  assertEquals([...bytes.subarray(12, 14)], [0xf0, 0x20]);
  assertEquals(bytes[28], 7);
  // Halfway between scales the larger one is taken.
  const halfway = encodeWeights("NVFP4", new Float32Array(64).fill(6 * 1.0625));
  assertEquals(halfway[0], 0x39);
  // 7.9 units of 2^-9 are 7: ggml does not round up to the smallest normal scale.
  assertEquals(encodeWeights("NVFP4", new Float32Array(64).fill(6 * 7.9 * 2 ** -9))[0], 7);
});

Deno.test("encodeWeights() ends on NaN and infinite weights, whatever the bytes", () => {
  for (const value of [NaN, Infinity, -Infinity, 3e38]) {
    for (const type of WEIGHT_TYPES) {
      const weights = new Float32Array(256).fill(1);
      weights[77] = value;
      assertEquals(encodeWeights(type, weights).length, rowBytes(type, 256));
    }
  }
});

/** llama.cpp's own files of these types, and how much larger our error may be. */
const JUDGED = [["Q4_K", "q4_k"], ["Q6_K", "q6_k"], ["Q2_K", "q2_k"], [
  "IQ4_NL",
  "iq4_nl",
]] as const;

for (const [type, folder] of JUDGED) {
  const model = `golden/llama-${folder}/model.gguf`;
  sharedTest(model, `encodeWeights() to ${type} makes no larger error than llama.cpp`, () => {
    const base = openGguf(sharedPath("golden/quant-base/model.gguf"));
    const made = openGguf(sharedPath(model));
    using weights = TensorReader.open(base);
    using blocks = TensorReader.open(made);
    for (const tensor of made.tensors.values()) {
      if (tensor.type !== type) continue;
      const { buffer } = weights.readAll(base.tensors.get(tensor.name)!);
      const exact = new Float32Array(buffer);
      const errorOf = (bytes: Uint8Array) =>
        rootMeanSquare(dequantize(type, bytes).map((x, i) => x - exact[i]));
      const ratio = errorOf(encodeWeights(type, exact)) / errorOf(blocks.readAll(tensor));
      assert(ratio <= 1, `${tensor.name}: ${ratio}`);
    }
  });
}

function rootMeanSquare(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
}

Deno.test("encodeWeights() refuses part of a block as a bug", () => {
  assertThrows(() => encodeWeights("Q8_0", new Float32Array(33)), Error, "not a multiple of 32");
  assertThrows(() => encodeWeights("Q4_K", new Float32Array(32)), Error, "not a multiple of 256");
});
