/** Packed rows: repacking, and back to floats. */
import { assertEquals } from "@std/assert";
import { alignUp } from "../../src/base/check.ts";
import { dtypeByName } from "../../src/model/dtypes.ts";
import { packedRowBytes, QUANT_TYPES, type QuantType } from "../../src/rank/plan/weight_types.ts";
import { bf16ToNumber, f16ToNumber, numberToBf16, numberToF16 } from "../../src/reference/ops.ts";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { assertClose, FLAVOURS, randomBlocks, randomFloats } from "./data.ts";

const WIDTHS = [1, 3, 4, 5, 31, 32, 33, 172, 255, 256, 257, 2048];

export const rowCases: readonly KernelCase[] = [
  ...QUANT_TYPES.map(quantisedRepack),
  {
    name: "repack_float",
    sweep: sweepRepackFloat,
    legalCall: (arena) => [arena.place(256), 100, arena.place(256), 128, 2, 90],
    addresses: [0, 2],
    counts: [1, 3, 4, 5],
  },
  ...QUANT_TYPES.map(quantisedDequantize),
  floatDequantize("f32"),
  floatDequantize("f16"),
  floatDequantize("bf16"),
];

/** Bytes of packed superblocks that are not as many as in the file. */
const OWN_BYTES: Partial<Record<QuantType, number>> = {
  ...{ NVFP4: 148, NVFP4S: 148, IQ1_M_W: 148, IQ2_XS_W: 148, IQ2_S_W: 148 },
  ...{ IQ1_S_W: 140, IQ2_XXS_W: 140, IQ3_XXS_W: 140, IQ3_S_W: 140, TQ1_0_W: 66 },
};

/** Room that repack and dequantize_row_q ask for: their contract in wasm/kernels.ts. */
const SCRATCH_BYTES = 640;

/** File blocks of one row as the kernels pack them. */
export function packRow(arena: TestArena, type: QuantType, blocks: Uint8Array): Uint8Array {
  const { id, blockBytes, blockElements } = dtypeByName(type)!;
  const count = blocks.length / blockBytes;
  const [src, scratch] = [arena.put(blocks, 2), arena.place(SCRATCH_BYTES)];
  const rowBytes = packedRowBytes(type, count * blockElements);
  const dst = arena.place(rowBytes);
  arena.kernels.repack(id, src, blocks.length, dst, rowBytes, 1, count, scratch);
  return arena.slice(dst, rowBytes);
}

/**
 * What lies in the packed rows is the kernels' business (row_layout.ts draws it), so they are read
 * back as floats. Their size is not: but for NVFP4, whose superblocks have a factor more, and what
 * is written out, no type takes more bytes than in the file.
 */
function quantisedRepack(type: QuantType): KernelCase {
  const { id, blockBytes, blockElements } = dtypeByName(type)!;
  return {
    name: "repack",
    label: type,
    sweep(arena) {
      const rng = new Rng(1);
      for (const blocks of blockElements === 256 ? [1, 2, 9] : [1, 2, 7, 8, 9, 16, 17, 64]) {
        for (const rows of [1, 2, 5]) {
          arena.reset();
          const k = blocks * blockElements;
          const files = Array.from(
            { length: rows },
            () => randomBlocks(rng, type, k, "random"),
          );
          const srcStride = blocks * blockBytes + 6;
          const src = arena.place(rows * srcStride, 2);
          files.forEach(({ bytes }, r) => arena.bytes.set(bytes, src + r * srcStride));
          const rowBytes = packedRowBytes(type, k);
          const ownBytes = OWN_BYTES[type] ?? 256 / blockElements * blockBytes;
          const fileBytes = Math.ceil(k / 256) * ownBytes;
          assertEquals(rowBytes, alignUp(fileBytes, 16), `${type}: its own bits`);
          const dstStride = alignUp(rowBytes, 64);
          const [dst, scratch] = [arena.place(rows * dstStride), arena.place(SCRATCH_BYTES)];
          arena.run(
            () => arena.kernels.repack(id, src, srcStride, dst, dstStride, rows, blocks, scratch),
            [scratch, SCRATCH_BYTES],
            ...files.map((_, r) => [dst + r * dstStride, rowBytes] as const),
          );
          files.forEach(({ weights }, r) => {
            const got = rowFloats(arena, type, { row: dst + r * dstStride, k });
            assertClose(got, weights, 1e-14, `repack ${type} blocks ${blocks}, row ${r}`);
          });
        }
      }
    },
    legalCall: (arena) => [
      id,
      ...[arena.place(4096), 1024, arena.place(8192), 2400, 2, 8],
      arena.place(SCRATCH_BYTES),
    ],
    addresses: [1, 3, 7],
    counts: [2, 4, 5, 6],
  };
}

/** The packed row as floats [k]; checks that nothing else is written. */
function rowFloats(
  arena: TestArena,
  type: QuantType,
  { row, k }: { row: number; k: number },
): Float32Array {
  const [out, scratch] = [arena.place(4 * k, 4), arena.place(SCRATCH_BYTES)];
  const { id } = dtypeByName(type)!;
  arena.run(
    () => arena.kernels.dequantize_row_q(id, row, k, out, scratch),
    [out, 4 * k],
    [scratch, SCRATCH_BYTES],
  );
  return arena.floats(out, k);
}

function sweepRepackFloat(arena: TestArena): void {
  for (const bytes of [0, 1, 2, 4, 62, 64, 66, 4096]) {
    for (const rows of [1, 3]) {
      arena.reset();
      const srcStride = bytes + 2;
      const dstStride = Math.ceil(bytes / 64) * 64 + 64;
      const data = Uint8Array.from({ length: rows * srcStride }, (_, i) => 1 + i % 250);
      const src = arena.put(data, 2);
      const dst = arena.place(rows * dstStride);
      arena.run(
        () => arena.kernels.repack_float(src, srcStride, dst, dstStride, rows, bytes),
        [dst, rows * dstStride],
      );
      for (let r = 0; r < rows; r++) {
        const expected = new Uint8Array(dstStride);
        expected.set(data.subarray(r * srcStride, r * srcStride + bytes));
        assertEquals(arena.slice(dst + r * dstStride, dstStride), expected);
      }
    }
  }
}

function quantisedDequantize(type: QuantType): KernelCase {
  // A product, or a product and a minimum, rounded twice where the twin rounds once.
  const isExact = !["E0M4", "Q4_1", "Q5_1", "Q2_K", "Q4_K", "Q5_K"].includes(type);
  return {
    name: "dequantize_row_q",
    label: type,
    sweep(arena) {
      const rng = new Rng(2);
      for (const k of WIDTHS) {
        for (const flavour of FLAVOURS) {
          arena.reset();
          const { bytes, weights } = randomBlocks(rng, type, k, flavour);
          const row = arena.put(packRow(arena, type, bytes));
          const got = rowFloats(arena, type, { row, k });
          const expected = weights.slice(0, k);
          if (isExact) assertEquals(got, expected, `${type} k ${k}, ${flavour}`);
          else assertClose(got, expected, 1e-13, `${type} k ${k}, ${flavour}`);
        }
      }
    },
    legalCall: (arena) => [
      dtypeByName(type)!.id,
      ...[arena.place(1024), 256, arena.place(1024), arena.place(SCRATCH_BYTES)],
    ],
    addresses: [1, 3, 4],
    counts: [2],
  };
}

function floatDequantize(type: "f32" | "f16" | "bf16"): KernelCase {
  const name = `dequantize_row_${type}` as const;
  return {
    name,
    sweep(arena) {
      const rng = new Rng(3);
      for (const k of WIDTHS) {
        arena.reset();
        const values = randomFloats(rng, k, k % 2 === 0 ? 1 : 2 ** -15);
        const { data, exact } = encodeFloats(type, values);
        const row = arena.put(data);
        const out = arena.place(4 * k, 4);
        arena.run(() => arena.kernels[name](row, k, out), [out, 4 * k]);
        assertEquals(arena.floats(out, k), exact);
      }
    },
    legalCall: (arena) => [arena.place(1024), 256, arena.place(1024)],
    addresses: [0, 2],
    counts: [1],
  };
}

/** Values in the bits of `type`, and what those bits stand for. */
export function encodeFloats(
  type: "f32" | "f16" | "bf16",
  values: Float32Array,
): { data: Float32Array | Uint16Array; exact: Float32Array } {
  if (type === "f32") return { data: values, exact: values };
  const encode = type === "f16" ? numberToF16 : numberToBf16;
  const decode = type === "f16" ? f16ToNumber : bf16ToNumber;
  const data = Uint16Array.from(values, encode);
  return { data, exact: Float32Array.from(data, decode) };
}
