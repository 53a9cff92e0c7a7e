/** Packed rows: repacking, and back to floats. */
import { assert, assertEquals } from "@std/assert";
import { bf16ToNumber, f16ToNumber, numberToBf16, numberToF16 } from "../../src/reference/ops.ts";
import { Rng } from "../support/rng.ts";
import { sameBytes, type TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { FLAVOURS, randomBlocks, randomFloats } from "./data.ts";

const BLOCK_COUNTS = [1, 2, 7, 8, 9, 16, 17, 64];
const WIDTHS = [1, 3, 4, 5, 31, 32, 33, 172, 255, 256, 257, 2048];

export const rowCases: readonly KernelCase[] = [
  quantisedRepack("q4_0"),
  quantisedRepack("q8_0"),
  {
    name: "repack_float",
    sweep: sweepRepackFloat,
    legalCall: (arena) => [arena.place(256), 100, arena.place(256), 128, 2, 90],
    addresses: [0, 2],
    counts: [1, 3, 4, 5],
  },
  quantisedDequantize("q4_0"),
  quantisedDequantize("q8_0"),
  floatDequantize("f32"),
  floatDequantize("f16"),
  floatDequantize("bf16"),
];

/** Packed rows written out byte by byte from the drawing in row_layout.ts. */
export function packRow(type: "q4_0" | "q8_0", blocks: Uint8Array): Uint8Array {
  const [blockBytes, quantBytes] = type === "q4_0" ? [18, 16] : [34, 32];
  const count = blocks.length / blockBytes;
  const superblocks = Math.ceil(count / 8);
  const row = new Uint8Array(superblocks * 8 * (quantBytes + 2));
  const scalesAt = superblocks * 8 * quantBytes;
  const order = type === "q4_0"
    ? [0, 1, 2, 3, 4, 5, 6, 7]
    : [0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15];
  for (let b = 0; b < superblocks * 8; b++) {
    const block = blocks.subarray(b * blockBytes, (b + 1) * blockBytes);
    row.set(b < count ? block.subarray(0, 2) : [0, 0], scalesAt + 2 * b);
    const vectors = (b >> 3) * 8 * quantBytes;
    for (const [place, pair] of order.entries()) {
      for (const half of [0, 1]) {
        const quant = b < count ? block[2 + 2 * pair + half] : type === "q4_0" ? 0x88 : 0;
        const at = vectors + place * 16 + 2 * (b & 7) + half;
        row[at] = type === "q4_0" ? quant : quant ^ 0x80;
      }
    }
  }
  return row;
}

function quantisedRepack(type: "q4_0" | "q8_0"): KernelCase {
  const name = `repack_${type}` as const;
  const blockBytes = type === "q4_0" ? 18 : 34;
  return {
    name,
    sweep(arena) {
      const rng = new Rng(1);
      for (const blocks of BLOCK_COUNTS) {
        for (const rows of [1, 2, 5]) {
          arena.reset();
          const files = Array.from(
            { length: rows },
            () => randomBlocks(rng, type, blocks, "random").bytes,
          );
          const srcStride = blocks * blockBytes + 6;
          const src = arena.place(rows * srcStride, 2);
          files.forEach((file, r) => arena.bytes.set(file, src + r * srcStride));
          const packed = files.map((file) => packRow(type, file));
          const dstStride = Math.ceil(packed[0].length / 64) * 64;
          const dst = arena.place(rows * dstStride);
          const written = packed.map((row, r) => [dst + r * dstStride, row.length] as const);
          arena.run(
            () => arena.kernels[name](src, srcStride, dst, dstStride, rows, blocks),
            ...written,
          );
          packed.forEach((row, r) => {
            const got = arena.slice(dst + r * dstStride, row.length);
            assert(sameBytes(got, row), `${name} blocks ${blocks}, row ${r}`);
          });
        }
      }
    },
    legalCall: (arena) => [arena.place(1024), 300, arena.place(2048), 600, 2, 8],
    addresses: [0, 2],
    counts: [1, 3, 4, 5],
  };
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

function quantisedDequantize(type: "q4_0" | "q8_0"): KernelCase {
  const name = `dequantize_row_${type}` as const;
  return {
    name,
    sweep(arena) {
      const rng = new Rng(2);
      for (const k of WIDTHS) {
        for (const flavour of FLAVOURS) {
          arena.reset();
          const { bytes, weights } = randomBlocks(rng, type, Math.ceil(k / 32), flavour);
          const row = arena.put(packRow(type, bytes));
          const out = arena.place(4 * k, 4);
          arena.run(() => arena.kernels[name](row, k, out), [out, 4 * k]);
          assertEquals(arena.floats(out, k), Float32Array.from(weights.subarray(0, k)));
        }
      }
    },
    legalCall: (arena) => [arena.place(1024), 256, arena.place(1024)],
    addresses: [0, 2],
    counts: [1],
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
