/** Which types the kernels know, and what their rows take. */
import { assert, assertEquals } from "@std/assert";
import * as layout from "../../src/memory/row_layout.ts";
import { DEQUANTIZED_TYPES } from "../../src/model/quants/dequantize.ts";
import { rowBytes } from "../../src/model/dtypes.ts";
import {
  blockWeights,
  isQuantType,
  packedRowBytes,
  QUANT_TYPES,
  typeId,
  WEIGHT_TYPES,
} from "../../src/rank/plan/weight_types.ts";

Deno.test("WEIGHT_TYPES are the types that can be read as numbers, so that each has a twin", () => {
  assertEquals([...WEIGHT_TYPES].sort(), [...DEQUANTIZED_TYPES].sort());
});

Deno.test("QUANT_TYPES have ggml's numbers in the kernels, too", () => {
  const numbers = new Map<string, unknown>(Object.entries(layout));
  for (const type of QUANT_TYPES) assertEquals(numbers.get(`TYPE_${type}`), typeId(type), type);
});

Deno.test("packedRowBytes() of whole superblocks is the file's row, up to the alignment", () => {
  for (const type of WEIGHT_TYPES) {
    if (type.startsWith("NVFP4")) continue; // a superblock has a factor more
    for (const columns of [256, 768, 4096]) {
      const padding = packedRowBytes(type, columns) - rowBytes(type, columns);
      assert(padding >= 0 && padding < layout.ROW_ALIGN_BYTES, `${type} [${columns}]: ${padding}`);
    }
  }
});

Deno.test("packedRowBytes() pads blocks of 32 to a superblock", () => {
  for (const type of ["NVFP4", "NVFP4S"] as const) {
    assertEquals([64, 256, 320].map((columns) => packedRowBytes(type, columns)), [160, 160, 304]);
  }
  assertEquals(packedRowBytes("Q4_0", 32), packedRowBytes("Q4_0", 256));
  assertEquals(packedRowBytes("Q8_0", 288), packedRowBytes("Q8_0", 512));
});

Deno.test("blockWeights() is how finely columns can be cut: 1 of floats, 32 or 256 of quants", () => {
  assertEquals([...new Set(WEIGHT_TYPES.filter((t) => !isQuantType(t)).map(blockWeights))], [1]);
  assertEquals(blockWeights("Q4_0"), 32);
  assertEquals(["Q2_K", "Q6_K", "IQ4_XS"].map((t) => blockWeights(t as "Q2_K")), [256, 256, 256]);
});
