import { assertEquals, assertThrows } from "@std/assert";
import { dtypeById, dtypeByName, DTYPES, rowBytes } from "../../src/model/dtypes.ts";

Deno.test("DTYPES has every number and name once, in order", () => {
  const ids = DTYPES.map(({ id }) => id);
  assertEquals(ids, [...new Set(ids)].sort((a, b) => a - b));
  assertEquals(new Set(DTYPES.map(({ name }) => name)).size, DTYPES.length);
});

/** Bits per weight as ggml's documentation states them: an independent source of the sizes. */
const BITS: Record<string, number> = {
  F32: 32,
  F16: 16,
  BF16: 16,
  F64: 64,
  I8: 8,
  I16: 16,
  I32: 32,
  I64: 64,
  Q4_0: 4.5,
  Q4_1: 5,
  Q5_0: 5.5,
  Q5_1: 6,
  Q8_0: 8.5,
  Q8_1: 9,
  Q2_K: 2.625,
  Q3_K: 3.4375,
  Q4_K: 4.5,
  Q5_K: 5.5,
  Q6_K: 6.5625,
  Q8_K: 9.125,
  IQ1_S: 1.5625,
  IQ1_M: 1.75,
  IQ2_XXS: 2.0625,
  IQ2_XS: 2.3125,
  IQ2_S: 2.5625,
  IQ3_XXS: 3.0625,
  IQ3_S: 3.4375,
  IQ4_NL: 4.5,
  IQ4_XS: 4.25,
  TQ1_0: 1.6875,
  TQ2_0: 2.0625,
  MXFP4: 4.25,
  NVFP4: 4.5,
  Q1_0: 1.125,
  Q2_0: 2.25,
};

Deno.test("DTYPES has the bits per weight that ggml states, and our own types behind them", () => {
  const own = DTYPES.slice(-2);
  assertEquals(own.map(({ name }) => name), ["E0M4", "NVFP4S"]);
  const text = (id: number) => new TextDecoder().decode(new Uint8Array(Uint32Array.of(id).buffer));
  assertEquals(own.map(({ id }) => text(id)), ["E0M4", "NVS4"], "a number is a name");
  const bits = DTYPES.slice(0, -2).map(({ name, blockBytes, blockElements }) => (
    [name, blockBytes * 8 / blockElements] as const
  ));
  assertEquals(Object.fromEntries(bits), BITS);
});

Deno.test("dtypeById() and dtypeByName() find types, and nothing else", () => {
  assertEquals(dtypeById(2)?.name, "Q4_0");
  assertEquals(dtypeById(30)?.name, "BF16");
  assertEquals(dtypeByName("Q8_0")?.id, 8);
  for (const id of [4, 5, 31, 36, 43, -1]) assertEquals(dtypeById(id), undefined);
  assertEquals(dtypeByName("q8_0"), undefined);
});

Deno.test("rowBytes() counts whole blocks and refuses parts of them", () => {
  assertEquals(rowBytes("F32", 3), 12);
  assertEquals(rowBytes("Q4_0", 64), 36);
  assertEquals(rowBytes("Q6_K", 512), 420);
  assertThrows(() => rowBytes("Q4_0", 48), Error, "not a multiple");
  assertThrows(() => rowBytes("Q9", 32), Error, 'no tensor type "Q9"');
});
