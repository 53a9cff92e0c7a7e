/** What computes only what fires: lists, products with listed rows. */
import { assertEquals } from "@std/assert";
import { alignUp } from "../../src/base/check.ts";
import { dtypeByName } from "../../src/model/dtypes.ts";
import { QUANT_TYPES, type QuantType } from "../../src/rank/plan/weight_types.ts";
import {
  bf16ToNumber,
  dequantizeQ8,
  f16ToNumber,
  numberToBf16,
  numberToF16,
  quantizeQ8,
} from "../../src/reference/ops.ts";
import { fired, hush, loud, matmulRows, scatter } from "../../src/reference/sparse_ops.ts";
import type { Kernels } from "../../wasm/kernels.ts";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { packRow } from "./cases_rows.ts";
import { assertClose, randomBlocks, randomFloats } from "./data.ts";

const COUNTS = [0, 1, 3, 4, 5, 8, 31, 32, 33, 257, 2816];
const WIDTHS = [1, 31, 33, 256, 257, 2048];

export const sparseCases: readonly KernelCase[] = [
  {
    name: "fired_f32",
    sweep: (arena) => sweepFired(arena, "fired_f32"),
    legalCall: (a) => [a.place(256), 60, 0, a.place(256), a.place(256)],
    addresses: [0, 3, 4],
    counts: [1],
  },
  {
    name: "loud_f32",
    sweep: (arena) => sweepFired(arena, "loud_f32"),
    legalCall: (a) => [a.place(256), 60, 0, a.place(256), a.place(256)],
    addresses: [0, 3, 4],
    counts: [1],
  },
  {
    name: "hush_f32",
    sweep: sweepHush,
    legalCall: (a) => [a.place(512), 60, 2, 50, 0.5],
    addresses: [0],
    counts: [1, 2, 3],
  },
  {
    name: "scatter_f32",
    sweep: sweepScatter,
    legalCall: (a) => [a.place(256), a.place(256), 60, a.place(256), 60],
    addresses: [0, 1, 3],
    counts: [2, 4],
  },
  {
    name: "pick_listed",
    sweep: sweepPicked,
    legalCall: (a) => [a.place(256), 60, a.place(256), 60],
    addresses: [0, 2],
    counts: [1, 3],
  },
  ...QUANT_TYPES.map(listedRows),
  ...(["F32", "F16", "BF16"] as const).map(listedFloatRows),
];

/** fired_f32, or loud_f32, which is told from it by what is negative. */
function sweepFired(arena: TestArena, name: "fired_f32" | "loud_f32"): void {
  const judge = name === "fired_f32" ? fired : loud;
  for (const n of COUNTS) {
    for (const [threshold, inPlace] of [[0, false], [0, true], [0.7, false]] as const) {
      arena.reset();
      const x = randomFloats(new Rng(n + 1), n);
      if (n > 2) [x[0], x[1], x[2]] = [NaN, 0, -0];
      const at = arena.put(x, 4);
      const list = arena.place(4 * n, 4);
      const values = inPlace ? at : arena.place(4 * n, 4);
      const count = arena.run(
        () => arena.kernels[name](at, n, threshold, list, values),
        [list, 4 * n],
        [values, 4 * n],
      );
      const expected = judge(x, Math.fround(threshold));
      assertEquals(numbers(arena, list, count), expected);
      assertEquals([...arena.floats(values, count)], expected.map((i) => x[i]));
    }
  }
}

function sweepHush(arena: TestArena): void {
  for (const d of COUNTS.filter((count) => count > 0)) {
    for (const [n, gap, threshold] of [[1, 0, 0.7], [3, 5, 0.7], [2, 0, 0], [2, 1, 1e30]]) {
      arena.reset();
      const stride = d + gap;
      const x = randomFloats(new Rng(d), n * stride);
      if (d > 2) [x[0], x[1], x[2]] = [NaN, 0, -0];
      const at = arena.put(x, 4);
      arena.run(
        () => arena.kernels.hush_f32(at, stride, n, d, threshold),
        [at, 4 * n * stride],
      );
      const expected = Float32Array.from(
        x,
        (value, i) => i % stride < d ? hush([value], Math.fround(threshold))[0] : value,
      );
      assertEquals(arena.floats(at, n * stride), expected);
    }
  }
}

function sweepScatter(arena: TestArena): void {
  for (const n of COUNTS) {
    arena.reset();
    const x = randomFloats(new Rng(n + 1), n);
    const list = fired(x, 0.3);
    const values = Float32Array.from(list, (i) => x[i]);
    const [from, listAt, out] = [arena.put(values, 4), putList(arena, list), arena.place(4 * n, 4)];
    arena.run(
      () => arena.kernels.scatter_f32(from, listAt, list.length, out, n),
      [out, 4 * n],
    );
    assertEquals([...arena.floats(out, n)], [...scatter(values, list, n)]);
  }
}

function sweepPicked(arena: TestArena): void {
  for (const n of COUNTS) {
    arena.reset();
    const list = Array.from({ length: n }, (_, i) => 7 * i + 3);
    const picks = fired(randomFloats(new Rng(n + 1), n), 0.3);
    const [listAt, picksAt] = [putList(arena, list), putList(arena, picks)];
    arena.run(
      () => arena.kernels.pick_listed(listAt, n, picksAt, picks.length),
      [listAt, 4 * n],
    );
    const expected = picks.map((place) => list[place]);
    assertEquals(numbers(arena, listAt, picks.length), expected);
  }
}

// --- listed rows ---------------------------------------------------------------------------------

const LISTS = [[], [4], [0, 1], [0, 3, 8], [8, 2, 2, 5], [0, 1, 2, 3, 4, 5, 6, 7, 8]];

function listedRows(type: QuantType): KernelCase {
  const { id } = dtypeByName(type)!;
  return {
    name: "matmul_q8_rows",
    label: type,
    sweep(arena) {
      const { kernels } = arena;
      for (const k of WIDTHS) {
        for (const list of LISTS) {
          arena.reset();
          const rng = new Rng(k + list.length);
          const x = randomFloats(rng, k);
          const acts = quantised(arena, x, 1);
          const rows = Array.from({ length: 9 }, () => randomBlocks(rng, type, k, "random"));
          const packed = rows.map(({ bytes }) => packRow(arena, type, bytes));
          const stride = alignUp(packed[0].length, 64);
          const w = arena.place(9 * stride);
          packed.forEach((row, r) => arena.bytes.set(row, w + r * stride));
          const exact = Float64Array.from(rows.flatMap((row) => [...row.weights.subarray(0, k)]));
          const listAt = putList(arena, list.map((row) => row === 8 ? 2 ** 32 - 1 : row));
          const [out, all] = [arena.place(4 * list.length, 4), arena.place(36)];
          const rowsBy = ({ matmul_q8_rows }: Kernels) => {
            arena.run(
              () => matmul_q8_rows(id, w, stride, 9, k, acts, listAt, list.length, out),
              [acts, kernels.q8_bytes(1, k)],
              [out, 4 * list.length],
            );
            return Float32Array.from(arena.floats(out, list.length));
          };
          const got = rowsBy(kernels);
          kernels.matmul_q8(id, w, stride, 9, k, acts, 1, all, 9);
          const dense = arena.floats(all, 9);
          assertEquals([...got], list.map((row) => dense[row]), "the bits of the dense product");
          assertEquals(rowsBy(arena.kernelsByFours), got, "fours, the bits of pairs");
          const twin = matmulRows(exact, dequantizeQ8(quantizeQ8(x)), list);
          assertClose(got, twin, 1e-11, `matmul_q8_rows ${type} k ${k} of ${list}`);
        }
      }
    },
    legalCall: (a) => [
      ...[id, a.place(2048), 640, 2, 300, a.place(a.kernels.q8_bytes(1, 300))],
      ...[putList(a, [0, 1]), 2, a.place(64)],
    ],
    addresses: [1, 5, 6, 8],
    counts: [2, 3, 4, 7],
  };
}

function listedFloatRows(type: "F32" | "F16" | "BF16"): KernelCase {
  const { id, blockBytes } = dtypeByName(type)!;
  return {
    name: "matmul_float_rows",
    label: type,
    sweep(arena) {
      for (const k of WIDTHS) {
        for (const list of LISTS) {
          arena.reset();
          const rng = new Rng(k + list.length);
          const padded = alignUp(k, 16);
          const x = new Float32Array(padded);
          x.set(randomFloats(rng, k));
          const w = new Float32Array(9 * padded);
          for (let r = 0; r < 9; r++) w.set(randomFloats(rng, k), r * padded);
          const { data, values } = stored(type, w);
          const [wAt, xAt, listAt] = [arena.put(data), arena.put(x, 4), putList(arena, list)];
          const out = arena.place(4 * list.length, 4);
          const stride = padded * blockBytes;
          arena.run(
            () =>
              arena.kernels
                .matmul_float_rows(id, wAt, stride, 9, k, xAt, listAt, list.length, out),
            [out, 4 * list.length],
          );
          const twin = matmulRows(values, x, list);
          assertClose(arena.floats(out, list.length), twin, 1e-11, `${type} k ${k} of ${list}`);
        }
      }
    },
    legalCall: (a) => [
      ...[id, a.place(4096), 1280, 2, 300, a.place(2048), putList(a, [0, 1]), 2, a.place(64)],
    ],
    addresses: [1, 5, 6, 8],
    counts: [2, 3, 4, 7],
  };
}

function stored(type: "F32" | "F16" | "BF16", w: Float32Array) {
  if (type === "F32") return { data: w, values: w };
  const [to, from] = type === "F16" ? [numberToF16, f16ToNumber] : [numberToBf16, bf16ToNumber];
  const data = Uint16Array.from(w, to);
  return { data, values: Float64Array.from(data, from) };
}

/** The tile of x [n, k]. */
export function quantised(arena: TestArena, x: Float32Array, n: number): number {
  const k = x.length / n;
  const acts = arena.place(arena.kernels.q8_bytes(n, k));
  arena.kernels.quantize_q8(arena.put(x, 4), k, n, k, acts);
  return acts;
}

export function putList(arena: TestArena, list: readonly number[]): number {
  return arena.put(new Uint8Array(Uint32Array.from(list).buffer), 4);
}

function numbers(arena: TestArena, at: number, count: number): number[] {
  return [...new Uint32Array(arena.slice(at, 4 * count).buffer)];
}
