/** Products with a matrix that is kept by columns. */
import { assertEquals } from "@std/assert";
import { alignUp } from "../../src/base/check.ts";
import { COLUMN_SCRATCH_BYTES } from "../../src/memory/column_layout.ts";
import { dtypeByName } from "../../src/model/dtypes.ts";
import { byColumnsRowBytes, columnQuantBytes } from "../../src/rank/plan/weight_types.ts";
import { dequantizeQ8, matmul, quantizeQ8 } from "../../src/reference/ops.ts";
import { matmulColumns } from "../../src/reference/sparse_ops.ts";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { putList, quantised } from "./cases_sparse.ts";
import { activationsFor, assertClose, type Flavour, FLAVOURS, randomBlocks } from "./data.ts";

const COLUMN_TYPES = [
  ...["Q4_0", "Q4_1", "E0M4", "Q5_0", "Q8_0"] as const,
  ...["Q3_K", "Q4_K", "Q5_K", "Q6_K", "MXFP4", "NVFP4", "NVFP4S"] as const,
] as const;
type ColumnType = typeof COLUMN_TYPES[number];
/** An address that the test's memory does not have. */
const NOWHERE = 2 ** 32 - 16;

export const columnCases: readonly KernelCase[] = COLUMN_TYPES.flatMap(
  (type) => [repackedColumns(type), columns(type), columnsAt(type)],
);

/** Blocks of `rows` rows of k weights, repacked by columns in pieces; where they lie. */
function putColumns(
  arena: TestArena,
  type: ColumnType,
  { rows, k, rng, flavour }: { rows: number; k: number; rng: Rng; flavour: Flavour },
) {
  const { id, blockBytes, blockElements } = dtypeByName(type)!;
  const files = Array.from({ length: rows }, () => randomBlocks(rng, type, k, flavour));
  const blocks = Math.ceil(k / blockElements);
  const srcStride = blocks * blockBytes + 6;
  const src = arena.place(rows * srcStride, 2);
  files.forEach(({ bytes }, r) => arena.bytes.set(bytes, src + r * srcStride));
  const bytes = byColumnsRowBytes(type, blocks * blockElements) * rows;
  const [w, scratch] = [arena.place(bytes), arena.place(COLUMN_SCRATCH_BYTES)];
  for (let row = 0; row < rows; row += 128) {
    const count = Math.min(128, rows - row);
    const from = src + row * srcStride;
    arena.run(
      () =>
        arena.kernels
          .repack_columns(id, from, srcStride, w, rows, row, count, blocks, scratch),
      [w, bytes],
      [scratch, COLUMN_SCRATCH_BYTES],
    );
  }
  const weights = new Float64Array(rows * k);
  files.forEach((file, r) => weights.set(file.weights.subarray(0, k), r * k));
  return { w, weights, bytes };
}

/** What lies in the blocks is the kernels' business: they are read back through single columns. */
function repackedColumns(type: ColumnType): KernelCase {
  const { id } = dtypeByName(type)!;
  return {
    name: "repack_columns",
    label: type,
    sweep(arena) {
      const [rows, k] = [192, 40];
      arena.reset();
      const rng = new Rng(5);
      const { w, weights } = putColumns(arena, type, { rows, k, rng, flavour: "random" });
      for (let i = 0; i < k; i++) {
        const x = new Float32Array(k);
        x[i] = 127;
        const acts = quantised(arena, x, 1);
        const out = arena.place(4 * rows);
        assertEquals(arena.kernels.matmul_q8_columns(id, w, rows, k, acts, 1, out, rows), 1);
        const column = Float32Array.from({ length: rows }, (_, r) => weights[r * k + i] * 127);
        assertClose(arena.floats(out, rows), column, 1e-11, `column ${i} of ${type}`);
      }
    },
    legalCall: (a) => [
      ...[id, a.place(64 * 420), 420, a.place(64 * byColumnsRowBytes(type, 512)), 64, 0, 64, 2],
      a.place(COLUMN_SCRATCH_BYTES),
    ],
    addresses: [1, 3, 8],
    counts: [2, 4, 5, 6, 7],
  };
}

function columns(type: ColumnType): KernelCase {
  const { id } = dtypeByName(type)!;
  return {
    name: "matmul_q8_columns",
    label: type,
    sweep(arena) {
      sweepNotFinite(arena, type);
      for (const flavour of FLAVOURS) {
        for (const share of [0, 0.1, 1]) {
          for (const k of [1, 32, 33, 96, 256, 288, 544]) {
            for (const rows of k === 96 ? [64, 128, 320] : [64]) {
              for (const n of k === 288 ? [1, 2, 3, 4, 5, 9] : [1, 5]) {
                sweepColumns(arena, type, { rows, k, n, flavour, share });
              }
            }
          }
        }
      }
    },
    legalCall: (a) => [
      ...[id, a.place(64 * byColumnsRowBytes(type, 512)), 64, 300],
      ...[a.place(a.kernels.q8_bytes(2, 300)), 2, a.place(1024), 64],
    ],
    addresses: [1, 4, 6],
    counts: [2, 3, 5, 7],
  };
}

function sweepColumns(
  arena: TestArena,
  type: ColumnType,
  shape: { rows: number; k: number; n: number; flavour: Flavour; share: number },
): void {
  const { rows, k, n, flavour, share } = shape;
  const { kernels } = arena;
  const rng = new Rng(k * 100 + rows + n);
  arena.reset();
  const { w, weights } = putColumns(arena, type, { rows, k, rng, flavour });
  const x = activationsFor(rng, n * k, flavour);
  x.forEach((_, i) => rng.int(1000) < share * 1000 ? 0 : x[i] = 0);
  const acts = quantised(arena, x, n);
  const outStride = rows + 3;
  const out = arena.place(4 * n * outStride, 4);
  const { id } = dtypeByName(type)!;
  const written = Array.from({ length: n }, (_, t) => [out + 4 * t * outStride, 4 * rows] as const);
  const read = arena.run(
    () => kernels.matmul_q8_columns(id, w, rows, k, acts, n, out, outStride),
    [acts, kernels.q8_bytes(n, k)],
    ...written,
  );
  const label = `matmul_q8_columns ${type} ${JSON.stringify(shape)}`;
  const byPairs = written.map(([at]) => arena.floats(at, rows));
  arena.run(
    () => arena.kernelsByFours.matmul_q8_columns(id, w, rows, k, acts, n, out, outStride),
    [acts, kernels.q8_bytes(n, k)],
    ...written,
  );
  assertEquals(written.map(([at]) => arena.floats(at, rows)), byPairs, `${label}, by fours`);
  for (let t = 0; t < n; t++) {
    const activations = quantizeQ8(x.subarray(t * k, t * k + k));
    const twin = matmulColumns(weights, activations);
    const got = arena.floats(out + 4 * t * outStride, rows);
    assertClose(got, twin.out, 1e-11, label);
    assertClose(got, matmul(weights, dequantizeQ8(activations), k), 1e-11, `${label}, dense`);
    assertEquals(read, n === 1 ? twin.read : k, label);
  }
}

/** What is not finite may have no quants, and no columns to read; no sum is finite all the same. */
function sweepNotFinite(arena: TestArena, type: ColumnType): void {
  const { id } = dtypeByName(type)!;
  const [rows, k] = [64, 543];
  arena.reset();
  const { w } = putColumns(arena, type, { rows, k, rng: new Rng(2), flavour: "random" });
  const out = arena.place(4 * rows);
  // In the first block of a superblock, in one among others, in the last one, which is cut short.
  for (const at of [0, 300, k - 1]) {
    // Alone, and behind a column that counts, or before it.
    for (const other of [-1, 140, 520]) {
      const x = Float32Array.from({ length: k }, (_, i) => i === other ? 1 : 0);
      for (const value of [NaN, Infinity, -Infinity]) {
        x[at] = value;
        const acts = quantised(arena, x, 1);
        const label = `${type}, ${value} at ${at}, beside ${other}`;
        arena.kernels.matmul_q8_columns(id, w, rows, k, acts, 1, out, rows);
        assertEquals(arena.floats(out, rows).some(Number.isFinite), false, label);
      }
    }
  }
}

/** Every column at a place of its own; what is not read has none. */
function columnsAt(type: ColumnType): KernelCase {
  const { id } = dtypeByName(type)!;
  return {
    name: "matmul_q8_columns_at",
    label: type,
    sweep(arena) {
      sweepAddressBeyond(arena, type);
      for (const flavour of FLAVOURS) {
        for (const share of [0, 0.1, 1]) {
          for (const [rows, k] of [[64, 1], [64, 33], [320, 96], [64, 256], [64, 544]]) {
            sweepColumnsAt(arena, type, { rows, k, flavour, share });
          }
        }
      }
    },
    legalCall: (a) => {
      const table = a.place(4 * 512);
      new Uint32Array(a.memory.buffer, table, 512).fill(table);
      const x = a.place(a.kernels.q8_bytes(1, 300));
      return [id, a.place(64 * byColumnsRowBytes(type, 512)), table, 64, 300, x, a.place(256)];
    },
    addresses: [1, 2, 5, 6],
    counts: [3, 4],
  };
}

function sweepColumnsAt(
  arena: TestArena,
  type: ColumnType,
  shape: { rows: number; k: number; flavour: Flavour; share: number },
): void {
  const { rows, k, flavour, share } = shape;
  const { kernels } = arena;
  const { id, blockElements } = dtypeByName(type)!;
  const rng = new Rng(k * 100 + rows);
  arena.reset();
  const { w, weights, bytes } = putColumns(arena, type, { rows, k, rng, flavour });
  const x = activationsFor(rng, k, flavour);
  x.forEach((_, i) => rng.int(1000) < share * 1000 ? 0 : x[i] = 0);
  const acts = quantised(arena, x, 1);
  const [out, expected] = [arena.place(4 * rows), arena.place(4 * rows)];
  const read = kernels.matmul_q8_columns(id, w, rows, k, acts, 1, expected, rows);
  const activations = quantizeQ8(x);
  const padded = alignUp(k, blockElements);
  const columnBytes = columnQuantBytes(type, rows);
  const moved = Array.from({ length: padded }, (_, i) => i < k && activations.quants[i] !== 0);
  const table = moved.map((isRead, i) => {
    if (!isRead) return NOWHERE;
    const column = arena.slice(w + i * columnBytes, columnBytes);
    return arena.put(column, 16 * (1 + rng.int(8)));
  });
  const columnsAt = putList(arena, table);
  const factors = arena.put(arena.slice(w + padded * columnBytes, bytes - padded * columnBytes));
  const label = `matmul_q8_columns_at ${type} ${JSON.stringify(shape)}`;
  const again = arena.run(
    () => kernels.matmul_q8_columns_at(id, factors, columnsAt, rows, k, acts, out),
    [acts, kernels.q8_bytes(1, k)],
    [out, 4 * rows],
  );
  assertEquals(again, read, label);
  assertEquals(arena.slice(out, 4 * rows), arena.slice(expected, 4 * rows), label);
  assertClose(arena.floats(out, rows), matmulColumns(weights, activations).out, 1e-11, label);
}

/** An address beyond the memory is that of the last column that fits. */
function sweepAddressBeyond(arena: TestArena, type: ColumnType): void {
  const { id, blockElements } = dtypeByName(type)!;
  const [rows, k] = [64, 32];
  arena.reset();
  const { w } = putColumns(arena, type, { rows, k, rng: new Rng(1), flavour: "random" });
  const columnBytes = columnQuantBytes(type, rows);
  const last = arena.bytes.length - columnBytes;
  arena.bytes.copyWithin(last, w, w + columnBytes);
  const factors = w + blockElements * columnBytes;
  const acts = quantised(arena, Float32Array.from({ length: k }, (_, i) => i === 0 ? 1 : 0), 1);
  const [out, expected] = [arena.place(4 * rows), arena.place(4 * rows)];
  arena.kernels.matmul_q8_columns(id, w, rows, k, acts, 1, expected, rows);
  for (const address of [last, last + 1, NOWHERE]) {
    const table = putList(arena, Array.from({ length: 256 }, () => address));
    arena.kernels.matmul_q8_columns_at(id, factors, table, rows, k, acts, out);
    assertEquals(arena.slice(out, 4 * rows), arena.slice(expected, 4 * rows), `${type} ${address}`);
  }
}
