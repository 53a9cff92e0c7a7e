import { assertEquals, assertThrows } from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import {
  dequantize,
  DEQUANTIZED_TYPES,
  dequantizeInto,
} from "../../src/model/quants/dequantize.ts";
import { dtypeByName } from "../../src/model/dtypes.ts";
import {
  bf16ToNumber,
  dequantizeQ4_0,
  dequantizeQ8_0,
  f16ToNumber,
} from "../../src/reference/ops.ts";
import { Rng } from "../support/rng.ts";

const ALL_HALVES = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

Deno.test("dequantize() gives back F32 weights, also from an odd address", () => {
  const values = Float32Array.of(0, -0, 1.5, -3.25e-30, 3e38, Infinity);
  const bytes = new Uint8Array(1 + values.byteLength);
  bytes.set(new Uint8Array(values.buffer), 1);
  assertEquals(dequantize("F32", bytes.subarray(1)), values);
});

Deno.test("dequantize() reads known F16 and BF16 weights", () => {
  const halves = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x3555);
  assertEquals(
    [...dequantize("F16", new Uint8Array(halves.buffer))],
    [1, -2, 2 ** -24, 65504, 0.333251953125],
  );
  const brains = Uint16Array.of(0x3f80, 0xc000, 0x4049, 0x0001);
  assertEquals(
    [...dequantize("BF16", new Uint8Array(brains.buffer))],
    [1, -2, 3.140625, 2 ** -133],
  );
});

Deno.test("dequantize() agrees with the reference on all 65536 F16 and BF16 numbers", () => {
  const bytes = new Uint8Array(ALL_HALVES.buffer);
  assertEquals(dequantize("F16", bytes), Float32Array.from(ALL_HALVES, f16ToNumber));
  assertEquals(dequantize("BF16", bytes), Float32Array.from(ALL_HALVES, bf16ToNumber));
});

Deno.test("dequantize() reads a Q8_0 block done by hand", () => {
  const bytes = new Uint8Array(34);
  bytes.set([0x00, 0x38, 0x01, 0xff, 0x7f, 0x80]); // scale 0.5; 1, -1, 127, -128
  const expected = new Float32Array(32);
  expected.set([0.5, -0.5, 63.5, -64]);
  assertEquals(dequantize("Q8_0", bytes), expected);
});

Deno.test("dequantize() reads a Q4_0 block done by hand", () => {
  const bytes = new Uint8Array(18).fill(0x88); // nibbles 8: zero
  bytes.set([0x00, 0xc0, 0x1f]); // scale -2; weight 0 is 15 - 8, weight 16 is 1 - 8
  const expected = new Float32Array(32).fill(-0);
  expected[0] = -14;
  expected[16] = 14;
  assertEquals(dequantize("Q4_0", bytes), expected);
});

Deno.test("dequantize() agrees with the reference on random blocks, exactly", () => {
  const rng = new Rng(8);
  const bytes = Uint8Array.from({ length: 34 * 18 }, () => rng.int(256));
  for (let at = 1; at < bytes.length; at += 2) bytes[at] &= 0x7b; // no NaN or infinite scale
  assertEquals(
    Float64Array.from(dequantize("Q8_0", bytes)),
    dequantizeQ8_0(bytes),
  );
  assertEquals(
    Float64Array.from(dequantize("Q4_0", bytes)),
    dequantizeQ4_0(bytes),
  );
});

Deno.test("dequantize() refuses types it does not know and broken blocks", () => {
  assertThrows(() => dequantize("Q8_K", new Uint8Array(292)), UnsupportedModelError, '"Q8_K"');
  assertThrows(() => dequantize("toString", new Uint8Array(4)), UnsupportedModelError);
  for (const type of DEQUANTIZED_TYPES) {
    if (type === "F32" || type === "F16" || type === "BF16") continue;
    const { blockBytes } = dtypeByName(type)!;
    assertThrows(() => dequantize(type, new Uint8Array(blockBytes - 1)), Error, "no whole blocks");
  }
});

Deno.test("dequantizeInto() refuses an array of another length as a bug", () => {
  const bytes = new Uint8Array(36);
  assertThrows(() => dequantizeInto("Q4_0", bytes, new Float32Array(63)), Error, "63 weights");
  assertThrows(() => dequantizeInto("Q4_0", bytes, new Float32Array(65)), Error, "65 weights");
});

Deno.test("dequantize() reads every type from an odd address", () => {
  const rng = new Rng(9);
  for (const type of DEQUANTIZED_TYPES) {
    const { blockBytes } = dtypeByName(type)!;
    const bytes = Uint8Array.from({ length: 1 + 2 * blockBytes }, () => rng.int(256) & 0x7b);
    assertEquals(dequantize(type, bytes.subarray(1)), dequantize(type, bytes.slice(1)), type);
  }
});
