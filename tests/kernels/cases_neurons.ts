/** Products with matrices that lie neuron by neuron: rows of any type, one token or several. */
import { assertEquals } from "@std/assert";
import { alignUp } from "../../src/base/check.ts";
import { dtypeByName } from "../../src/model/dtypes.ts";
import { type QuantType, WEIGHT_TYPES, type WeightType } from "../../src/rank/plan/weight_types.ts";
import { f16ToNumber } from "../../src/reference/ops.ts";
import { type LevelRows, sumOfRoundedRows, sumOfRows } from "../../src/reference/sparse_ops.ts";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { encodeFloats, packRow } from "./cases_rows.ts";
import { assertClose, type Flavour, FLAVOURS, randomBlocks, randomFloats } from "./data.ts";

const FLOATS = { F32: "f32", F16: "f16", BF16: "bf16" } as const;
const WIDTHS = [1, 15, 16, 24, 33, 256, 257, 300, 2080];
const LISTS = [[], [4], [0, 1], [0, 3, 8], [8, 2, 2, 5], [0, 1, 2, 3, 4, 5, 6, 7, 8]];

export const neuronCases: readonly KernelCase[] = [
  {
    name: "neurons_scratch_bytes",
    sweep: () => {},
    legalCall: () => [],
    addresses: [],
    counts: [],
  },
  ...[2, 4].map(transposed),
  ...WEIGHT_TYPES.map(firedNeurons),
  ...WEIGHT_TYPES.map(allNeurons),
];

function transposed(weightBytes: number): KernelCase {
  return {
    name: "repack_transposed",
    label: `${weightBytes} bytes`,
    sweep(arena) {
      for (const rows of [1, 2, 15, 16, 17, 40]) {
        for (const columns of [1, 3, 33]) {
          arena.reset();
          const rng = new Rng(rows * 100 + columns);
          const srcStride = columns * weightBytes + 6;
          const dstStride = rows * weightBytes + 10;
          const data = Uint8Array.from({ length: rows * srcStride }, () => rng.int(256));
          const [src, dst] = [arena.put(data, 2), arena.place(columns * dstStride, 2)];
          const written = Array.from(
            { length: columns },
            (_, c) => [dst + c * dstStride, rows * weightBytes] as const,
          );
          arena.run(
            () =>
              arena.kernels
                .repack_transposed(weightBytes, src, srcStride, dst, dstStride, rows, columns),
            ...written,
          );
          for (let r = 0; r < rows; r++) {
            for (let c = 0; c < columns; c++) {
              assertEquals(
                arena.slice(dst + c * dstStride + r * weightBytes, weightBytes),
                arena.slice(src + r * srcStride + c * weightBytes, weightBytes),
                `(${r}, ${c}) of ${rows} x ${columns}`,
              );
            }
          }
        }
      }
    },
    legalCall: (a) => [weightBytes, a.place(2000), 400, a.place(4000), 80, 4, 50],
    addresses: [1, 3],
    counts: [2, 4, 5, 6],
  };
}

/** 9 neurons of d weights. */
function firedNeurons(type: WeightType): KernelCase {
  const { id } = dtypeByName(type)!;
  return {
    name: "matmul_fired_neurons",
    label: type,
    sweep(arena) {
      for (const d of WIDTHS) {
        for (const list of LISTS) {
          for (const isListed of list.length === 9 ? [true, false] : [true]) {
            arena.reset();
            const { w, stride, ...rows } = putNeurons(arena, type, { neurons: 9, d });
            const values = randomFloats(new Rng(list.length), list.length);
            if (list.length > 2) values[1] = 0;
            const [listAt, valuesAt] = [putList(arena, list), arena.put(values, 4)];
            const [out, scratch] = [arena.place(4 * d, 4), placeScratch(arena, d)];
            const read = arena.run(
              () =>
                arena.kernels.matmul_fired_neurons(
                  ...[id, w, stride, 9, d, isListed ? listAt : 0] as const,
                  ...[valuesAt, list.length, out, scratch.at] as const,
                ),
              [out, 4 * d],
              [scratch.at, scratch.bytes],
            );
            assertEquals(read, values.filter((value) => value !== 0).length);
            const label = `${type} d ${d} of ${list}`;
            assertClose(
              arena.floats(out, d),
              sumOf(rows, onlyCounting({ values, list, d })),
              toleranceOf(d),
              label,
            );
          }
        }
      }
    },
    legalCall: (a) => [
      ...[id, a.place(4096), 1280, 2, 300, putList(a, [0, 1]), a.put(new Float32Array(2), 4), 2],
      ...[a.place(1200), placeScratch(a, 300).at],
    ],
    addresses: [1, 5, 6, 8, 9],
    counts: [2, 3, 4, 7],
  };
}

function allNeurons(type: WeightType): KernelCase {
  const { id } = dtypeByName(type)!;
  return {
    name: "matmul_neurons",
    label: type,
    sweep(arena) {
      for (const d of WIDTHS) {
        for (const n of d === 33 || d === 256 ? [1, 2, 3, 4, 5, 9] : [1, 6]) {
          for (const neurons of d === 33 ? [0, 1, 31, 32, 33, 70] : [35]) {
            sweepAll(arena, type, { neurons, d, n, flavour: "random" });
          }
        }
      }
      for (const neurons of [63, 64, 65]) {
        sweepAll(arena, type, { neurons, d: 288, n: 1, flavour: "random" });
      }
      for (const flavour of FLAVOURS) {
        for (const n of [1, 5]) sweepAll(arena, type, { neurons: 40, d: 300, n, flavour });
      }
    },
    legalCall: (a) => [
      ...[id, a.place(4096), 1280, 2, 300, a.place(64), 4, 2],
      ...[a.place(2560), 320, placeScratch(a, 300).at],
    ],
    addresses: [1, 5, 8, 10],
    counts: [2, 3, 4, 6, 7, 9],
  };
}

function sweepAll(
  arena: TestArena,
  type: WeightType,
  shape: { neurons: number; d: number; n: number; flavour: Flavour },
): void {
  const { neurons, d, n } = shape;
  const { id } = dtypeByName(type)!;
  const { kernels } = arena;
  arena.reset();
  const { w, stride, ...rows } = putNeurons(arena, type, shape);
  const xStride = neurons + 3;
  const x = randomFloats(new Rng(neurons + n), n * xStride);
  x.forEach((_, i) => i % 3 === 0 ? x[i] = 0 : 0);
  const xAt = arena.put(x, 4);
  const outStride = d + 3;
  const [out, scratch] = [arena.place(4 * n * outStride, 4), placeScratch(arena, d)];
  const written = Array.from({ length: n }, (_, t) => [out + 4 * t * outStride, 4 * d] as const);
  arena.run(
    () =>
      kernels.matmul_neurons(
        ...[id, w, stride, neurons, d, xAt, xStride, n, out, outStride, scratch.at] as const,
      ),
    [scratch.at, scratch.bytes],
    ...written,
  );
  const alone = arena.place(4 * d, 4);
  for (let t = 0; t < n; t++) {
    const own = x.subarray(t * xStride, t * xStride + neurons);
    const got = arena.floats(out + 4 * t * outStride, d);
    const label = `matmul_neurons ${type} ${JSON.stringify(shape)}, token ${t}`;
    const by = { values: own, list: own.keys().toArray(), d };
    const exact = sumOfRows(rows.weights, by);
    assertClose(got, n === 1 ? sumOf(rows, by) : exact, toleranceOf(d), label);
    // Rounded or not: as near as int8 activations come.
    if (neurons > 8 && d >= 256) assertClose(got, exact, 1e-4, `${label}, exactly`);
    if (!(type in FLOATS)) continue;
    const from = xAt + 4 * t * xStride;
    if (neurons === 0) continue;
    kernels.matmul_fired_neurons(id, w, stride, neurons, d, 0, from, neurons, alone, scratch.at);
    assertEquals(arena.floats(alone, d), got, `${label}: the bits of the sum over what fires`);
  }
}

/** Rows as they lie in an arena, and what they stand for, [neurons, d]. */
function putNeurons(
  arena: TestArena,
  type: WeightType,
  { neurons, d, flavour = "random" }: { neurons: number; d: number; flavour?: Flavour },
) {
  const rng = new Rng(d * 10 + neurons);
  const rows = Array.from({ length: neurons }, () => neuronRow(arena, type, { d, rng, flavour }));
  const stride = alignUp(rows[0]?.packed.length ?? 0, 64);
  const w = arena.place(neurons * stride);
  const weights = new Float64Array(neurons * d);
  rows.forEach(({ packed, exact }, i) => {
    arena.bytes.set(packed, w + i * stride);
    weights.set(exact, i * d);
  });
  const scales = rows.flatMap((row) => row.scales);
  return { w, stride, weights, scales };
}

/** Without the places whose value is zero. */
function onlyCounting(by: { values: Float32Array; list: readonly number[]; d: number }) {
  const counts = (_: unknown, j: number) => by.values[j] !== 0;
  return { ...by, values: by.values.filter(counts), list: by.list.filter(counts) };
}

/** The twin of a sum over one token's rows: Q4_0 adds integers. */
function sumOf(
  { weights, scales }: { weights: Float64Array; scales: readonly number[] },
  by: { values: Float32Array; list: readonly number[]; d: number },
): Float64Array {
  if (scales.length === 0) return sumOfRows(weights, by);
  const { d } = by;
  const blocks = Math.ceil(d / 32);
  const scaleOf = (i: number) => scales[Math.floor(i / d) * blocks + (i % d >> 5)];
  const levels = weights.map((weight, i) => weight === 0 ? 0 : weight / scaleOf(i));
  return sumOfRoundedRows({ levels, scales } satisfies LevelRows, by);
}

function neuronRow(
  arena: TestArena,
  type: WeightType,
  { d, rng, flavour }: { d: number; rng: Rng; flavour: Flavour },
): { packed: Uint8Array; exact: ArrayLike<number>; scales: readonly number[] } {
  if (isQuant(type)) {
    const { bytes, weights } = randomBlocks(rng, type, d, flavour);
    const packed = packRow(arena, type, bytes);
    return {
      packed,
      exact: weights.subarray(0, d),
      scales: type === "Q4_0" ? scalesOf(bytes) : [],
    };
  }
  const { data, exact } = encodeFloats(FLOATS[type], randomFloats(rng, d));
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const packed = new Uint8Array(alignUp(d, 16) * bytes.length / d);
  packed.set(bytes);
  return { packed, exact, scales: [] };
}

/** Of blocks of Q4_0. */
function scalesOf(blocks: Uint8Array): number[] {
  const view = new DataView(blocks.buffer, blocks.byteOffset, blocks.byteLength);
  return Array.from(
    { length: blocks.length / 18 },
    (_, b) => f16ToNumber(view.getUint16(18 * b, true)),
  );
}

/** A few outputs may all be small differences of large sums: offsets are subtracted late. */
function toleranceOf(d: number): number {
  return d < 100 ? 1e-9 : 1e-11;
}

function isQuant(type: WeightType): type is QuantType {
  return !(type in FLOATS);
}

function placeScratch(arena: TestArena, d: number) {
  const bytes = arena.kernels.neurons_scratch_bytes(d);
  return { at: arena.place(bytes), bytes };
}

function putList(arena: TestArena, list: readonly number[]): number {
  const numbers = Uint32Array.from(list, (row) => row === 8 ? 2 ** 32 - 1 : row);
  return arena.put(new Uint8Array(numbers.buffer), 4);
}
