/** Norm, sums, rotary embedding, reading. */
import { assert, assertEquals } from "@std/assert";
import * as ops from "../../src/reference/ops.ts";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { assertClose, randomFloats, unstride } from "./data.ts";
import { rowShapes, rowsOf } from "./row_shapes.ts";

const WIDTHS = [1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 172, 255, 257, 2048];

export const elementwiseCases: readonly KernelCase[] = [
  {
    name: "rms_norm_f32",
    sweep: sweepRmsNorm,
    legalCall: (
      arena,
    ) => [arena.place(512), 64, arena.place(256), arena.place(512), 64, 2, 60, 1e-5],
    addresses: [0, 2, 3],
    counts: [1, 4, 5, 6],
  },
  {
    name: "add_f32",
    sweep: sweepAdd,
    legalCall: (arena) => [arena.place(512), 64, arena.place(512), 64, 2, 60],
    addresses: [0, 2],
    counts: [1, 3, 4, 5],
  },
  {
    name: "add_bias_f32",
    sweep: sweepAddBias,
    legalCall: (arena) => [arena.place(512), 64, arena.place(256), 2, 60],
    addresses: [0, 2],
    counts: [1, 3, 4],
  },
  {
    name: "rope_f32",
    sweep: sweepRope,
    legalCall: (arena) => [arena.place(512), 64, 2, 2, 32, 32, arena.place(256), 1],
    addresses: [0, 6],
    counts: [1, 2, 3, 4, 5],
  },
  {
    name: "read_only",
    sweep: sweepReadOnly,
    legalCall: (arena) => [arena.place(512), 512],
    addresses: [0],
    counts: [1],
  },
];

function sweepRmsNorm(arena: TestArena): void {
  for (const { d, n, stride, rng } of rowShapes(WIDTHS)) {
    for (const size of [0, 1e-3, 1, 1e4]) {
      arena.reset();
      const x = randomFloats(rng, n * stride, size);
      const weight = randomFloats(rng, d);
      const xAt = arena.put(x, 4);
      const weightAt = arena.put(weight, 4);
      const outStride = d + 3;
      const out = arena.place(4 * n * outStride, 4);
      arena.run(
        () => arena.kernels.rms_norm_f32(xAt, stride, weightAt, out, outStride, n, d, 1e-5),
        [out, 4 * n * outStride],
      );
      const padded = arena.floats(out, n * outStride);
      const expected = ops.rmsNorm(unstride(x, n, stride, d), weight, 1e-5);
      assertClose(unstride(padded, n, outStride, d), expected, 1e-12, `rms_norm_f32 d ${d} n ${n}`);
      assertPadding(padded, n, outStride, d);
    }
  }
}

function sweepAdd(arena: TestArena): void {
  for (const { d, n, stride, rng } of rowShapes(WIDTHS)) {
    arena.reset();
    const x = randomFloats(rng, n * stride);
    const y = randomFloats(rng, n * (d + 2));
    const xAt = arena.put(x, 4);
    const yAt = arena.put(y, 4);
    arena.run(
      () => arena.kernels.add_f32(xAt, stride, yAt, d + 2, n, d),
      ...rowsOf(xAt, n, stride, d),
    );
    const expected = ops.add(unstride(x, n, stride, d), unstride(y, n, d + 2, d));
    assertEquals(
      unstride(arena.floats(xAt, n * stride), n, stride, d),
      Float32Array.from(expected),
    );
  }
}

function sweepAddBias(arena: TestArena): void {
  for (const { d, n, stride, rng } of rowShapes(WIDTHS)) {
    arena.reset();
    const x = randomFloats(rng, n * stride);
    const bias = randomFloats(rng, d);
    const xAt = arena.put(x, 4);
    const biasAt = arena.put(bias, 4);
    arena.run(
      () => arena.kernels.add_bias_f32(xAt, stride, biasAt, n, d),
      ...rowsOf(xAt, n, stride, d),
    );
    const expected = ops.addBias(unstride(x, n, stride, d), bias);
    assertEquals(
      unstride(arena.floats(xAt, n * stride), n, stride, d),
      Float32Array.from(expected),
    );
  }
}

function sweepRope(arena: TestArena): void {
  const dims = [[8, 8], [8, 2], [16, 6], [32, 32], [64, 64], [80, 20], [96, 96], [128, 64]];
  for (const [headDim, rotDim] of dims) {
    for (const kind of ["norm", "neox"] as const) {
      for (const [n, heads] of [[1, 1], [3, 5]]) {
        const rng = new Rng(headDim * 100 + rotDim);
        arena.reset();
        const width = heads * headDim;
        const stride = width + 4;
        const x = randomFloats(rng, n * stride);
        const cosSin = randomFloats(rng, n * rotDim);
        const [xAt, cosSinAt] = [arena.put(x, 4), arena.put(cosSin, 4)];
        const neox = kind === "neox" ? 1 : 0;
        arena.run(
          () => arena.kernels.rope_f32(xAt, stride, n, heads, headDim, rotDim, cosSinAt, neox),
          ...rowsOf(xAt, n, stride, width),
        );
        const shape = { heads, headDim, rotDim, kind };
        const expected = ops.rope(unstride(x, n, stride, width), cosSin, shape);
        const got = unstride(arena.floats(xAt, n * stride), n, stride, width);
        assertClose(got, expected, 1e-13, `rope_f32 ${headDim} ${rotDim} ${kind}`);
      }
    }
  }
}

function sweepReadOnly(arena: TestArena): void {
  for (const bytes of [0, 256, 4096]) {
    arena.reset();
    const words = Uint32Array.from({ length: bytes / 4 }, (_, i) => Math.imul(i + 1, 0x9e3779b1));
    const at = arena.put(new Uint8Array(words.buffer));
    const expected = words.reduce((all, word) => all ^ word, 0) | 0;
    assertEquals(arena.run(() => arena.kernels.read_only(at, bytes)), expected);
  }
}

function assertPadding(x: Float32Array, n: number, stride: number, d: number): void {
  for (let t = 0; t < n; t++) {
    for (let i = d; i < stride; i++) assert(x[t * stride + i] === 0, "padding is zero");
  }
}
