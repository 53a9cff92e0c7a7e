/** Rows of activations by a list of numbers: what mixtures of experts need. */
import { assertEquals } from "@std/assert";
import { scatterRows } from "../../src/reference/sparse_ops.ts";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { randomFloats } from "./data.ts";
import { rowShapes, rowsOf } from "./row_shapes.ts";

const WIDTHS = [1, 3, 8, 17, 33, 172, 257, 2048];

export const gatherCases: readonly KernelCase[] = [
  {
    name: "gather_rows_f32",
    sweep: sweepGather,
    legalCall: (a) => [a.place(512), 64, 2, a.place(64), 2, a.place(512), 64, 60],
    addresses: [0, 3, 5],
    counts: [1, 2, 4, 6, 7],
  },
  {
    name: "scatter_add_f32",
    sweep: sweepScatter,
    legalCall: (a) => [a.place(512), 64, 2, a.place(64), 2, a.place(512), 64, 60],
    addresses: [0, 3, 5],
    counts: [1, 2, 4, 6, 7],
  },
  {
    name: "scatter_add_row_f32",
    sweep: sweepScatterRow,
    legalCall: (a) => [a.place(512), 64, 2, a.place(64), a.place(64), 2, a.place(256), 60],
    addresses: [0, 3, 4, 6],
    counts: [1, 2, 5, 7],
  },
  {
    name: "gather_q8",
    sweep: sweepGatherQ8,
    legalCall: (a) => [a.place(4096), 2, 60, a.place(64), 2, a.place(4096)],
    addresses: [0, 3, 5],
    counts: [1, 4],
  },
  {
    name: "scatter_rows",
    sweep: sweepScatteredBytes,
    legalCall: (a) => [a.place(512), 256, 2, a.place(64), a.place(512), 256, 2, 240],
    addresses: [0, 3, 4],
    counts: [1, 2, 5, 6, 7],
  },
];

function sweepGather(arena: TestArena): void {
  for (const { d, n, stride, rng } of rowShapes(WIDTHS)) {
    arena.reset();
    const xRows = 4;
    const x = randomFloats(rng, xRows * stride);
    const rows = Uint32Array.from({ length: n }, () => rng.int(xRows));
    if (n > 1) rows[1] = 2 ** 32 - 1; // no row: the last one
    const [xAt, rowsAt] = [arena.put(x, 4), arena.put(new Uint8Array(rows.buffer), 4)];
    const outStride = d + 3;
    const out = arena.place(4 * n * outStride, 4);
    arena.run(
      () => arena.kernels.gather_rows_f32(xAt, stride, xRows, rowsAt, n, out, outStride, d),
      [out, 4 * n * outStride],
    );
    const got = arena.floats(out, n * outStride);
    rows.forEach((row, j) => {
      const from = Math.min(row, xRows - 1) * stride;
      const found = got.subarray(j * outStride, (j + 1) * outStride);
      assertEquals(found, Float32Array.from([...x.subarray(from, from + d), 0, 0, 0]));
    });
  }
}

function sweepScatter(arena: TestArena): void {
  for (const { d, n, stride, rng } of rowShapes(WIDTHS)) {
    arena.reset();
    const xRows = 4;
    const x = randomFloats(rng, xRows * stride);
    const yStride = d + 2;
    const y = randomFloats(rng, n * yStride);
    const rows = Uint32Array.from({ length: n }, () => rng.int(xRows));
    if (n > 1) rows[1] = 2 ** 32 - 1;
    const [xAt, yAt] = [arena.put(x, 4), arena.put(y, 4)];
    const rowsAt = arena.put(new Uint8Array(rows.buffer), 4);
    arena.run(
      () => arena.kernels.scatter_add_f32(xAt, stride, xRows, rowsAt, n, yAt, yStride, d),
      ...rowsOf(xAt, xRows, stride, d),
    );
    const expected = x.slice();
    rows.forEach((row, j) => {
      const to = Math.min(row, xRows - 1) * stride;
      for (let i = 0; i < d; i++) expected[to + i] += y[j * yStride + i];
    });
    assertEquals(arena.floats(xAt, xRows * stride), expected);
  }
}

function sweepScatterRow(arena: TestArena): void {
  for (const { d, n, stride, rng } of rowShapes(WIDTHS)) {
    arena.reset();
    const xRows = 4;
    const x = randomFloats(rng, xRows * stride);
    const y = randomFloats(rng, d);
    const factors = randomFloats(rng, n);
    const rows = Uint32Array.from({ length: n }, () => rng.int(xRows));
    if (n > 1) rows[1] = 2 ** 32 - 1; // no row: the last one
    const [xAt, yAt] = [arena.put(x, 4), arena.put(y, 4)];
    const rowsAt = arena.put(new Uint8Array(rows.buffer), 4);
    const factorsAt = arena.put(factors, 4);
    const { kernels } = arena;
    arena.run(
      () => kernels.scatter_add_row_f32(xAt, stride, xRows, rowsAt, factorsAt, n, yAt, d),
      ...rowsOf(xAt, xRows, stride, d),
    );
    const expected = x.slice();
    rows.forEach((row, j) => {
      const to = Math.min(row, xRows - 1) * stride;
      for (let i = 0; i < d; i++) expected[to + i] += Math.fround(y[i] * factors[j]);
    });
    assertEquals(arena.floats(xAt, xRows * stride), expected);
  }
}

function sweepGatherQ8(arena: TestArena): void {
  for (const k of [32, 60, 256, 300, 1024]) {
    for (const xRows of [1, 3, 8, 18]) {
      for (const n of [1, 2, 4, 7]) {
        const rng = new Rng(k * 100 + n);
        arena.reset();
        const { kernels } = arena;
        const x = randomFloats(rng, xRows * k);
        const rows = Uint32Array.from({ length: n }, () => rng.int(xRows));
        if (n > 1) rows[1] = 2 ** 32 - 1; // no row: the last one
        const xAt = arena.put(x, 4);
        const picked = new Float32Array(n * k);
        rows.forEach((row, j) => {
          const from = Math.min(row, xRows - 1) * k;
          picked.set(x.subarray(from, from + k), j * k);
        });
        const pickedAt = arena.put(picked, 4);
        const rowsAt = arena.put(new Uint8Array(rows.buffer), 4);
        const bytes = kernels.q8_bytes(n, k);
        const acts = arena.place(kernels.q8_bytes(xRows, k));
        const [found, expected] = [arena.place(bytes), arena.place(bytes)];
        kernels.quantize_q8(xAt, k, xRows, k, acts);
        kernels.quantize_q8(pickedAt, k, n, k, expected);
        arena.run(() => kernels.gather_q8(acts, xRows, k, rowsAt, n, found), [found, bytes]);
        assertEquals(arena.slice(found, bytes), arena.slice(expected, bytes), `${k} ${xRows} ${n}`);
      }
    }
  }
}

/** Rows of bytes among others, whose gaps stay as they are. */
function sweepScatteredBytes(arena: TestArena): void {
  for (const bytes of [0, 16, 48, 2304]) {
    for (const count of [0, 1, 2, 5]) {
      arena.reset();
      const rng = new Rng(bytes + count);
      const [listed, counted] = [rowsOfBytes(rng, count, bytes), rowsOfBytes(rng, 4, bytes)];
      const list = Array.from({ length: count }, () => rng.int(4));
      if (count > 1) list[1] = 2 ** 32 - 1; // no row: the last one
      const [gap, wide] = [bytes + 32, bytes + 16];
      const few = putRows(arena, listed, gap);
      const many = putRows(arena, counted, wide);
      const listAt = arena.put(new Uint8Array(Uint32Array.from(list).buffer), 4);
      arena.run(
        () => arena.kernels.scatter_rows(few, gap, count, listAt, many, wide, 4, bytes),
        ...counted.map((_, i) => [many + i * wide, bytes] as const),
      );
      const got = counted.map((_, i) => arena.slice(many + i * wide, bytes));
      assertEquals(got, scatterRows(listed, list, counted));
    }
  }
}

function rowsOfBytes(rng: Rng, count: number, bytes: number): Uint8Array[] {
  return Array.from(
    { length: count },
    () => Uint8Array.from({ length: bytes }, () => rng.int(256)),
  );
}

function putRows(arena: TestArena, rows: readonly Uint8Array[], stride: number): number {
  const at = arena.place(rows.length * stride, 16);
  rows.forEach((row, i) => arena.bytes.set(row, at + i * stride));
  return at;
}
