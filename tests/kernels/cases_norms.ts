/** Norms and scales: what some families need and others do not. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  clamp,
  cutBelow,
  layerNorm,
  rowSquares,
  softCap,
} from "../../src/reference/activation_ops.ts";
import { rmsNorm } from "../../src/reference/ops.ts";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { assertClose, randomFloats, unstride } from "./data.ts";
import { rowShapes, rowsOf } from "./row_shapes.ts";

const WIDTHS = [1, 3, 4, 7, 8, 9, 15, 16, 17, 33, 172, 257, 2048];
const EPSILON = 1e-5;

export const normCases: readonly KernelCase[] = [
  {
    name: "layer_norm_f32",
    sweep: sweepLayerNorm,
    legalCall: (a) => [a.place(512), 64, a.place(256), a.place(256), a.place(512), 64, 2, 60, 1e-5],
    addresses: [0, 2, 3, 4],
    counts: [1, 5, 6, 7],
  },
  {
    name: "head_norm_f32",
    sweep: sweepHeadNorm,
    legalCall: (a) => [a.place(512), 64, 2, 2, 32, a.place(256), 32, 1e-5, 1],
    addresses: [0, 5],
    counts: [1, 2, 3, 4, 6],
  },
  {
    name: "row_squares_f32",
    sweep: sweepRowSquares,
    legalCall: (a) => [a.place(512), 64, 2, 60, a.place(64)],
    addresses: [0, 4],
    counts: [1, 2, 3],
  },
  {
    name: "scale_f32",
    sweep: (arena) => sweepScale(arena, "scale_f32"),
    legalCall: (a) => [a.place(512), 64, 2, 60, 0.5],
    addresses: [0],
    counts: [1, 2, 3],
  },
  {
    name: "cut_below_f32",
    sweep: sweepCut,
    legalCall: (a) => [a.place(512), 64, 2, 60, 0.5],
    addresses: [0],
    counts: [1, 2, 3],
  },
  {
    name: "clamp_f32",
    sweep: sweepClamp,
    legalCall: (a) => [a.place(512), 64, 2, 60, 0.5],
    addresses: [0],
    counts: [1, 2, 3],
  },
  {
    name: "clamp_between_f32",
    sweep: sweepClampBetween,
    legalCall: (a) => [a.place(512), 64, 2, 60, a.place(4), a.place(4), a.place(512), 64],
    addresses: [0, 6],
    counts: [1, 2, 3, 7],
  },
  {
    name: "add_squares_f32",
    sweep: sweepSquares,
    legalCall: (a) => [a.place(512), 64, 2, 60, a.place(488, 8)],
    addresses: [0, 4],
    counts: [1, 2, 3],
  },
  {
    name: "scale_rows_f32",
    sweep: (arena) => sweepScale(arena, "scale_rows_f32"),
    legalCall: (a) => [a.place(512), 64, a.place(64), 2, 60],
    addresses: [0, 2],
    counts: [1, 3, 4],
  },
  {
    name: "mul_weight_f32",
    sweep: (arena) => sweepScale(arena, "mul_weight_f32"),
    legalCall: (a) => [a.place(512), 64, a.place(256), 2, 60],
    addresses: [0, 2],
    counts: [1, 3, 4],
  },
  {
    name: "soft_cap_f32",
    sweep: sweepSoftCap,
    legalCall: (a) => [a.place(256), 64, 30],
    addresses: [0],
    counts: [1],
  },
];

function sweepLayerNorm(arena: TestArena): void {
  for (const { d, n, stride, rng } of rowShapes(WIDTHS)) {
    for (const size of [0, 1e-3, 1, 1e4]) {
      for (const hasBias of [true, false]) {
        arena.reset();
        // Values that lie around size, not around zero: the mean must go before the squares.
        const x = randomFloats(rng, n * stride, size).map((value) => value + size);
        const [weight, bias] = [randomFloats(rng, d), randomFloats(rng, d)];
        const [xAt, weightAt, biasAt] = [x, weight, bias].map((data) => arena.put(data, 4));
        const outStride = d + 3;
        const out = arena.place(4 * n * outStride, 4);
        // deno-fmt-ignore
        arena.run(
          () => arena.kernels.layer_norm_f32(
            xAt, stride, weightAt, hasBias ? biasAt : 0, out, outStride, n, d, EPSILON,
          ),
          [out, 4 * n * outStride],
        );
        const padded = arena.floats(out, n * outStride);
        const expected = layerNorm(unstride(x, n, stride, d), {
          weight,
          bias: hasBias ? bias : null,
          epsilon: EPSILON,
        });
        // One value alone minus its mean is zero up to rounding, times 1 / sqrt(epsilon).
        const label = `layer_norm_f32 d ${d} n ${n} size ${size}`;
        assertClose(unstride(padded, n, outStride, d), expected, 1e-11, label);
        for (let t = 0; t < n; t++) {
          for (let i = d; i < outStride; i++) assert(padded[t * outStride + i] === 0, label);
        }
      }
    }
  }
}

function sweepHeadNorm(arena: TestArena): void {
  for (const headDim of [4, 12, 16, 64, 100, 128]) {
    for (const [n, heads] of [[1, 1], [1, 7], [5, 3]]) {
      for (const isShared of [true, false]) {
        for (const centred of [0, 1]) {
          const rng = new Rng(headDim * 10 + n);
          arena.reset();
          const width = heads * headDim;
          const stride = width + 4;
          const x = randomFloats(rng, n * stride, 3);
          const weight = randomFloats(rng, isShared ? headDim : width);
          const [xAt, weightAt] = [arena.put(x, 4), arena.put(weight, 4)];
          const step = isShared ? 0 : headDim;
          // deno-fmt-ignore
          arena.run(
            () => arena.kernels.head_norm_f32(
              xAt, stride, n, heads, headDim, weightAt, step, EPSILON, centred,
            ),
            ...Array.from({ length: n }, (_, t) => [xAt + 4 * t * stride, 4 * width] as const),
          );
          const got = unstride(arena.floats(xAt, n * stride), n, stride, width);
          for (let row = 0; row < n * heads; row++) {
            const from = Math.floor(row / heads) * stride + (row % heads) * headDim;
            const head = x.subarray(from, from + headDim);
            const first = (row % heads) * step;
            const own = weight.subarray(first, first + headDim);
            const expected = centred === 1
              ? layerNorm(head, { weight: own, bias: null, epsilon: EPSILON })
              : rmsNorm(head, own, EPSILON);
            const found = got.subarray(row * headDim, (row + 1) * headDim);
            assertClose(found, expected, 1e-12, `head_norm_f32 ${headDim} ${n} ${heads}`);
          }
        }
      }
    }
  }
}

function sweepRowSquares(arena: TestArena): void {
  for (const { d, n, stride, rng } of rowShapes(WIDTHS)) {
    arena.reset();
    const x = randomFloats(rng, n * stride, 3);
    const [xAt, out] = [arena.put(x, 4), arena.place(4 * n, 4)];
    arena.run(() => arena.kernels.row_squares_f32(xAt, stride, n, d, out), [out, 4 * n]);
    const expected = rowSquares(unstride(x, n, stride, d), d);
    assertClose(arena.floats(out, n), expected, 1e-12, `row_squares_f32 ${d}`);
  }
}

/** What was there stays: sums go on. */
function sweepSquares(arena: TestArena): void {
  for (const { d, n, stride, rng } of rowShapes(WIDTHS)) {
    arena.reset();
    const x = randomFloats(rng, n * stride, 3);
    const [xAt, out] = [arena.put(x, 4), arena.place(8 * (1 + d), 8)];
    const sums = new Float64Array(arena.memory.buffer, out, 1 + d);
    sums.forEach((_, i) => sums[i] = i);
    arena.run(() => arena.kernels.add_squares_f32(xAt, stride, n, d, out), [out, 8 * (1 + d)]);
    const expected = Float64Array.from({ length: 1 + d }, (_, i) => i);
    expected[0] += n;
    unstride(x, n, stride, d).forEach((value, i) => expected[1 + i % d] += value * value);
    assertEquals(sums, expected);
  }
}

function sweepScale(
  arena: TestArena,
  name: "scale_f32" | "scale_rows_f32" | "mul_weight_f32",
): void {
  for (const { d, n, stride, rng } of rowShapes(WIDTHS)) {
    arena.reset();
    const x = randomFloats(rng, n * stride);
    const factors = randomFloats(rng, name === "mul_weight_f32" ? d : n);
    const [xAt, at] = [arena.put(x, 4), arena.put(factors, 4)];
    const call = {
      scale_f32: () => arena.kernels.scale_f32(xAt, stride, n, d, factors[0]),
      scale_rows_f32: () => arena.kernels.scale_rows_f32(xAt, stride, at, n, d),
      mul_weight_f32: () => arena.kernels.mul_weight_f32(xAt, stride, at, n, d),
    }[name];
    arena.run(call, ...rowsOf(xAt, n, stride, d));
    const expected = unstride(x, n, stride, d).map((value, i) => {
      const [t, column] = [Math.floor(i / d), i % d];
      return value * factors[name === "scale_f32" ? 0 : name === "scale_rows_f32" ? t : column];
    });
    assertEquals(unstride(arena.floats(xAt, n * stride), n, stride, d), expected);
  }
}

function sweepCut(arena: TestArena): void {
  for (const { d, n, stride, rng } of rowShapes(WIDTHS)) {
    arena.reset();
    const x = randomFloats(rng, n * stride);
    x[0] = 0.25;
    if (d > 1) x[1] = NaN;
    const at = arena.put(x, 4);
    const call = () => arena.kernels.cut_below_f32(at, stride, n, d, 0.25);
    arena.run(call, ...rowsOf(at, n, stride, d));
    const expected = Float32Array.from(cutBelow(unstride(x, n, stride, d), 0.25));
    assertEquals(unstride(arena.floats(at, n * stride), n, stride, d), expected);
  }
}

function sweepClamp(arena: TestArena): void {
  for (const { d, n, stride, rng } of rowShapes(WIDTHS)) {
    arena.reset();
    const x = randomFloats(rng, n * stride);
    x[0] = 0.25;
    if (d > 1) x[1] = NaN;
    const at = arena.put(x, 4);
    const call = () => arena.kernels.clamp_f32(at, stride, n, d, 0.25);
    arena.run(call, ...rowsOf(at, n, stride, d));
    const expected = Float32Array.from(clamp(unstride(x, n, stride, d), 0.25));
    assertEquals(unstride(arena.floats(at, n * stride), n, stride, d), expected);
  }
}

/** Within two numbers, one or none, elsewhere or in its place. */
function sweepClampBetween(arena: TestArena): void {
  for (const { d, n, stride, rng } of rowShapes(WIDTHS)) {
    for (const [hasLeast, hasMost] of [[true, true], [true, false], [false, true]]) {
      arena.reset();
      const x = randomFloats(rng, n * stride);
      const [at, least, most] = [x, [-0.2], [0.3]].map((of) => arena.put(Float32Array.from(of), 4));
      const to = arena.place(4 * n * (d + 3));
      const bounds = [hasLeast ? least : 0, hasMost ? most : 0] as const;
      const kernel = arena.kernels.clamp_between_f32;
      arena.run(() => kernel(at, stride, n, d, ...bounds, to, d + 3), [to, 4 * n * (d + 3)]);
      const end = arena.memory.buffer.byteLength;
      assertThrows(() => kernel(at, stride, n, d, end, 0, to, d + 3));
      assertThrows(() => kernel(at, stride, n, d, 0, end, to, d + 3));
      const of = (value: number) =>
        Math.min(
          Math.max(value, hasLeast ? Math.fround(-0.2) : -9),
          hasMost ? Math.fround(0.3) : 9,
        );
      const expected = unstride(x, n, stride, d).map(of);
      const out = arena.floats(to, n * (d + 3));
      assertEquals(unstride(out, n, d + 3, d), expected);
      for (let t = 0; t < n; t++) {
        assertEquals(out.slice(t * (d + 3) + d, (t + 1) * (d + 3)), new Float32Array(3));
      }
      arena.run(() => kernel(at, stride, n, d, ...bounds, at, stride), ...rowsOf(at, n, stride, d));
      assertEquals(unstride(arena.floats(at, n * stride), n, stride, d), expected);
    }
  }
}

function sweepSoftCap(arena: TestArena): void {
  for (const n of WIDTHS) {
    for (const cap of [1, 30, 50]) {
      for (const size of [1e-6, 0.1, 30, 1e6]) {
        arena.reset();
        const x = randomFloats(new Rng(n), n, size);
        const at = arena.put(x, 4);
        arena.run(() => arena.kernels.soft_cap_f32(at, n, cap), [at, 4 * n]);
        const expected = softCap(x, cap);
        arena.floats(at, n).forEach((value, i) =>
          assert(Math.abs(value - expected[i]) <= 5e-7 * Math.abs(expected[i]), `soft cap ${x[i]}`)
        );
      }
    }
  }
}
