/** Blocks of 32, done by hand. */
import { assertEquals } from "@std/assert";
import { dequantize } from "../../src/model/quants/dequantize.ts";

/** A block that begins with `head`, zeros behind it; `rest` are single bytes. */
function block(
  sizeBytes: number,
  head: readonly number[],
  rest: Readonly<Record<number, number>> = {},
): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  bytes.set(head);
  for (const [at, value] of Object.entries(rest)) bytes[Number(at)] = value;
  return bytes;
}

/** 32 weights: `value` everywhere but where `others` says. */
function weights(value: number, others: Readonly<Record<number, number>>): Float32Array {
  const all = new Float32Array(32).fill(value);
  for (const [index, other] of Object.entries(others)) all[Number(index)] = other;
  return all;
}

// f16: 0x3800 is 0.5, 0x3c00 1, 0x4000 2, 0xc000 -2, 0x0001 2^-24, 0x7bff 65504.

Deno.test("dequantize() reads a Q4_1 block: scale · q + minimum", () => {
  // Scale 0.5, minimum -2; byte 0 is weights 0 (q 15) and 16 (q 1), byte 15 is 15 and 31.
  const bytes = block(20, [0x00, 0x38, 0x00, 0xc0, 0x1f], { 19: 0xa0 });
  assertEquals(dequantize("Q4_1", bytes), weights(-2, { 0: 5.5, 16: -1.5, 31: 3 }));
});

Deno.test("dequantize() rounds the sum of a Q4_1 weight once, as f32", () => {
  // 65504 · 15 + 2^-24 has more bits than f32: 982560 is next.
  const bytes = block(20, [0xff, 0x7b, 0x01, 0x00, 0x0f]);
  assertEquals(dequantize("Q4_1", bytes), weights(2 ** -24, { 0: 982560 }));
});

Deno.test("dequantize() reads an E0M4 block: scale · q + offset, four weights in a row across words", () => {
  // Scale 0.5, offset -2. Byte 0 of word 0: weights 0 (q 15) and 16 (q 1); byte 0 of word 1: 1 and
  // 17; byte 1 of word 0: 4 and 20; byte 3 of word 3: 15 and 31.
  const others = { 8: 0x32, 5: 0x54, 19: 0xa6 };
  const bytes = block(20, [0x00, 0x38, 0x00, 0xc0, 0x1f], others);
  const expected = { 0: 5.5, 16: -1.5, 1: -1, 17: -0.5, 4: 0, 20: 0.5, 15: 1, 31: 3 };
  assertEquals(dequantize("E0M4", bytes), weights(-2, expected));
});

Deno.test("an E0M4 code is the top of a float's fraction: A · h + B is the weight", () => {
  const floats = new Float32Array(1);
  const bits = new Uint32Array(floats.buffer);
  for (let q = 0; q < 16; q++) {
    const bytes = block(20, [0x00, 0x38, 0x00, 0xc0, q]);
    bits[0] = q << 19 | 0x3f800000;
    assertEquals(floats[0], 1 + q / 16);
    assertEquals(16 * 0.5 * floats[0] + (-2 - 16 * 0.5), dequantize("E0M4", bytes)[0]);
  }
});

Deno.test("dequantize() reads a Q5_0 block: bit j of the u32 is weight j's fifth bit", () => {
  // Scale -2. Fifth bits of weights 0, 17 and 31.
  const bytes = block(22, [0x00, 0xc0, 0x01, 0x00, 0x02, 0x80, 0x0f, 0x30], { 21: 0xf1 });
  const expected = weights(32, { 0: -30, 15: 30, 17: -6, 31: -30 });
  assertEquals(dequantize("Q5_0", bytes), expected);
});

Deno.test("dequantize() reads a Q5_1 block: scale · q + minimum, five bits", () => {
  // Scale 2, minimum 0.5; fifth bits of weights 0 and 31.
  const bytes = block(24, [0, 0x40, 0x00, 0x38, 0x01, 0x00, 0x00, 0x80, 0x0f], { 23: 0xf2 });
  assertEquals(dequantize("Q5_1", bytes), weights(0.5, { 0: 62.5, 15: 4.5, 31: 62.5 }));
});

Deno.test("dequantize() reads an IQ4_NL block: the sixteen levels in their order", () => {
  // Scale -2; weights 0 .. 15 take levels 0 .. 15, weights 16 .. 31 the other way round.
  const nibbles = Array.from({ length: 16 }, (_, i) => i | (15 - i) << 4);
  const levels = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
  const both = [...levels, ...levels.toReversed()];
  const expected = Float32Array.from(both, (level) => -2 * level);
  assertEquals(dequantize("IQ4_NL", block(18, [0x00, 0xc0, ...nibbles])), expected);
});

Deno.test("dequantize() reads an MXFP4 block: the FP4 numbers, both zeros among them", () => {
  const nibbles = Array.from({ length: 16 }, (_, i) => i | (15 - i) << 4);
  const numbers = [0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6];
  const expected = Float32Array.from([...numbers, ...numbers.toReversed()], (x) => 4 * x);
  assertEquals(dequantize("MXFP4", block(17, [129, ...nibbles])), expected);
});

Deno.test("dequantize() reads an NVFP4 block: scales of 16, and the tensor's in front", () => {
  const codes = Array.from({ length: 8 }, (_, i) => i | (15 - i) << 4);
  const numbers = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -6, -4, -3, -2, -1.5, -1, -0.5, 0];
  const bytes = [0x38, 0x41, 0x03, 0x7e, ...codes, ...codes, ...codes, ...codes];
  const scales = [1, 2.25, 3 * 2 ** -9, 448];
  const expected = Float32Array.from(scales.flatMap((scale) => numbers.map((x) => scale * x)));
  const plain = dequantize("NVFP4", Uint8Array.from(bytes));
  assertEquals(plain.map((x) => x + 0), expected.map((x) => x + 0));
  const factor = [...new Uint8Array(Float32Array.of(-0.25).buffer)];
  const scaled = dequantize("NVFP4S", Uint8Array.from([...factor, ...bytes]));
  assertEquals(scaled.map((x) => x + 0), expected.map((x) => -0.25 * x + 0));
  // 127 would be NaN and is zero; the sign is not looked at.
  const first = (scale: number) => dequantize("NVFP4", block(36, [scale, 0, 0, 0, 0x02]))[0];
  assertEquals([0, 1, 127, 128, 0xb8].map(first), [0, 2 ** -9, 0, 0, 1]);
});

Deno.test("dequantize() reads MXFP4's smallest, largest and one but largest exponents", () => {
  const first = (exponent: number) => dequantize("MXFP4", block(17, [exponent, 0x07]))[0];
  assertEquals([0, 1, 127].map(first), [6 * 2 ** -127, 6 * 2 ** -126, 6]);
  // ggml does not make NaN of 255; 6 · 2^127 is beyond f32.
  assertEquals([252, 253, 255].map(first), [6 * 2 ** 125, Infinity, Infinity]);
  assertEquals(dequantize("MXFP4", block(17, [255, 0x01]))[0], 2 ** 127);
});

Deno.test("dequantize() reads the smallest and the largest f16 scales of every type", () => {
  // The first weight has the quant of largest magnitude: all bits set, or none.
  const types: [type: string, sizeBytes: number, firstByte: number, quant: number][] = [
    ["Q8_0", 34, 0x81, -127],
    ["Q4_0", 18, 0x00, -8],
    ["Q4_1", 20, 0x0f, 15],
    ["E0M4", 20, 0x0f, 15],
    ["Q5_0", 22, 0x00, -16],
    ["Q5_1", 24, 0x0f, 15],
    ["IQ4_NL", 18, 0x00, -127],
  ];
  const firstQuantAt: Readonly<Record<string, number>> = { Q4_1: 4, E0M4: 4, Q5_0: 6, Q5_1: 8 };
  for (const [type, sizeBytes, firstByte, quant] of types) {
    const at = firstQuantAt[type] ?? 2;
    const first = (low: number, high: number) =>
      dequantize(type, block(sizeBytes, [low, high], { [at]: firstByte }))[0];
    const scales = [first(0x01, 0x00), first(0xff, 0x7b), first(0xff, 0xfb), first(0x00, 0x80)];
    const expected = [quant * 2 ** -24, quant * 65504, quant * -65504, 0];
    assertEquals(scales.map((x) => x + 0), expected, type);
    assertEquals(Math.abs(first(0x00, 0x7c)), Infinity, type);
    assertEquals(first(0x00, 0x7e), NaN, type);
  }
});
