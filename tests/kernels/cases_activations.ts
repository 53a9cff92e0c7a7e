/** What neurons do: every activation, alone and times a second input. */
import { assert, assertAlmostEquals } from "@std/assert";
import type { XieluCurve } from "../../src/model/types.ts";
import {
  activate,
  activateMul,
  type ActivationName,
  geluErf,
  xielu,
} from "../../src/reference/activation_ops.ts";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { assertClose, randomFloats, unstride } from "./data.ts";

const WIDTHS = [1, 3, 7, 8, 9, 16, 172, 257];
/** Sizes of inputs: where the functions are nearly linear, ordinary, and where exp overflows. */
const SIZES = [1e-4, 1, 100];
const NAMES: readonly ActivationName[] = ["silu", "gelu", "quickGelu", "relu", "relu2", "swiglu7"];

/** What gates heads, in place. */
const GATES: KernelCase = {
  name: "sigmoid_mul_f32",
  sweep: sweepSigmoid,
  legalCall: (arena) => [arena.place(512), arena.place(512), 64, arena.place(512), 64, 2, 60],
  addresses: [0, 1, 3],
  counts: [2, 4, 5, 6],
};

export const activationCases: readonly KernelCase[] = [
  GATES,
  {
    name: "sigmoid_f32",
    sweep: sweepSigmoidAlone,
    legalCall: (arena) => [arena.place(512), 64, arena.place(512), 64, 2, 60],
    addresses: [0, 2],
    counts: [1, 3, 4, 5],
  },
  {
    name: "xielu_f32",
    sweep: sweepXielu,
    legalCall: (arena) => [arena.place(512), 64, arena.place(512), 64, 2, 60, arena.place(16)],
    addresses: [0, 2, 6],
    counts: [1, 3, 4, 5],
  },
  {
    name: "gelu_erf_f32",
    sweep: sweepGeluErf,
    legalCall: (arena) => [arena.place(512), 64, arena.place(512), 64, 2, 60],
    addresses: [0, 2],
    counts: [1, 3, 4, 5],
  },
  ...NAMES.flatMap((name) => ofNeurons(name)),
];

/** Names of kernels are written otherwise. */
function kernelOf(name: ActivationName) {
  return name === "quickGelu" ? "quick_gelu" : name;
}

function ofNeurons(name: ActivationName): KernelCase[] {
  return [
    {
      name: `${kernelOf(name)}_mul_f32` as const,
      sweep: (arena) => sweepGated(arena, name),
      legalCall: (arena) => [arena.place(512), arena.place(512), 64, arena.place(512), 64, 2, 60],
      addresses: [0, 1, 3],
      counts: [2, 4, 5, 6],
    },
    {
      name: `${kernelOf(name)}_f32` as const,
      sweep: (arena) => sweepAlone(arena, name),
      legalCall: (arena) => [arena.place(512), 64, arena.place(512), 64, 2, 60],
      addresses: [0, 2],
      counts: [1, 3, 4, 5],
    },
  ];
}

/** By |x| · 1e-7 another, however small the result is. */
function sweepGeluErf(arena: TestArena): void {
  assertAlmostEquals(geluErf(1), 0.8413447460685429, 1e-15);
  assertAlmostEquals(geluErf(-3), -0.0040496940948902835, 1e-15);
  for (const { d, n, size, rng } of shapes()) {
    arena.reset();
    const stride = d + 6;
    const x = randomFloats(rng, n * stride, size);
    const at = arena.put(x, 4);
    arena.run(() => arena.kernels.gelu_erf_f32(at, stride, at, stride, n, d), [at, 4 * n * stride]);
    const given = unstride(x, n, stride, d);
    unstride(arena.floats(at, n * stride), n, stride, d).forEach((value, i) =>
      assert(Math.abs(value - geluErf(given[i])) <= 4e-7 * Math.abs(given[i]), `erf ${given[i]}`)
    );
  }
}

function sweepSigmoid(arena: TestArena): void {
  for (const { d, n, size, rng } of shapes()) {
    arena.reset();
    const stride = d + 6;
    const [gate, up] = [size, 1].map((of) => randomFloats(rng, n * stride, of));
    const [gateAt, upAt] = [arena.put(gate, 4), arena.put(up, 4)];
    arena.run(
      () => arena.kernels.sigmoid_mul_f32(gateAt, upAt, stride, upAt, stride, n, d),
      [upAt, 4 * n * stride],
    );
    const factors = unstride(gate, n, stride, d);
    const expected = Float64Array.from(
      unstride(up, n, stride, d),
      (x, i) => x / (1 + Math.exp(-factors[i])),
    );
    assertRows(arena.floats(upAt, n * stride), expected, { n, d, label: `sigmoid_mul ${d}` });
  }
}

function sweepSigmoidAlone(arena: TestArena): void {
  for (const { d, n, size, rng } of shapes()) {
    arena.reset();
    const stride = d + 6;
    const x = randomFloats(rng, n * stride, size);
    const at = arena.put(x, 4);
    arena.run(() => arena.kernels.sigmoid_f32(at, stride, at, stride, n, d), [at, 4 * n * stride]);
    const expected = Float64Array.from(unstride(x, n, stride, d), (g) => 1 / (1 + Math.exp(-g)));
    assertRows(arena.floats(at, n * stride), expected, { n, d, label: `sigmoid ${d}` });
  }
}

function sweepGated(arena: TestArena, name: ActivationName): void {
  for (const { d, n, size, rng } of shapes()) {
    arena.reset();
    const stride = d + 5;
    const gate = randomFloats(rng, n * stride, size);
    // Beyond what swiglu7 clamps, on both sides.
    const up = randomFloats(rng, n * stride, name === "swiglu7" ? 10 : 1);
    const [gateAt, upAt] = [arena.put(gate, 4), arena.put(up, 4)];
    const outStride = d + 6;
    const out = arena.place(4 * n * outStride, 4);
    arena.run(
      () => arena.kernels[`${kernelOf(name)}_mul_f32`](gateAt, upAt, stride, out, outStride, n, d),
      [out, 4 * n * outStride],
    );
    const expected = activateMul(name, unstride(gate, n, stride, d), unstride(up, n, stride, d));
    assertRows(arena.floats(out, n * outStride), expected, { n, d, label: `${name}_mul ${d}` });
  }
}

function sweepAlone(arena: TestArena, name: ActivationName): void {
  for (const { d, n, size, rng } of shapes()) {
    arena.reset();
    const stride = d + 5;
    const x = randomFloats(rng, n * stride, size);
    const xAt = arena.put(x, 4);
    const outStride = d + 6;
    const out = arena.place(4 * n * outStride, 4);
    const kernel = arena.kernels[`${kernelOf(name)}_f32`];
    arena.run(() => kernel(xAt, stride, out, outStride, n, d), [out, 4 * n * outStride]);
    const expected = activate(name, unstride(x, n, stride, d));
    assertRows(arena.floats(out, n * outStride), expected, { n, d, label: `${name} ${d}` });
    // In place, at the same stride; what is behind the width becomes zero.
    arena.run(() => kernel(xAt, stride, xAt, stride, n, d), [xAt, 4 * n * stride]);
    const inPlace = unstride(arena.floats(xAt, n * stride), n, stride, d);
    assertClose(inPlace, expected, 1e-12, `${name} in place ${d}`);
  }
}

/** What learned numbers become: about as large as real ones, and with a least that cuts off. */
const CURVES: readonly XieluCurve[] = [
  { negative: 1.2, positive: 0.7, linear: 0.5, least: -1e-6 },
  { negative: 0.6, positive: 2.5, linear: 0.25, least: -0.75 },
];

function sweepXielu(arena: TestArena): void {
  for (const { d, n, size, rng } of shapes()) {
    for (const curve of CURVES) {
      arena.reset();
      const stride = d + 5;
      const x = randomFloats(rng, n * stride, size);
      const { negative, positive, linear, least } = curve;
      const curveAt = arena.put(Float32Array.of(negative, positive, linear, least), 4);
      const xAt = arena.put(x, 4);
      const outStride = d + 6;
      const out = arena.place(4 * n * outStride, 4);
      const { xielu_f32: kernel } = arena.kernels;
      arena.run(() => kernel(xAt, stride, out, outStride, n, d, curveAt), [out, 4 * n * outStride]);
      const padded = arena.floats(out, n * outStride);
      const got = unstride(padded, n, outStride, d);
      unstride(x, n, stride, d).forEach((value, i) => {
        const expected = xielu(value, curve);
        // Its two parts may take each other away.
        const parts = Math.abs(linear * value) + Math.abs(expected - linear * value);
        const error = Math.abs(got[i] - expected);
        assert(error <= 4e-7 * parts + 1e-33, `xielu ${value}: ${got[i]} for ${expected}`);
      });
      for (let t = 0; t < n; t++) {
        for (let i = d; i < outStride; i++) assert(padded[t * outStride + i] === 0, "padding");
      }
    }
  }
}

function* shapes(): Generator<{ d: number; n: number; size: number; rng: Rng }> {
  for (const d of WIDTHS) {
    for (const n of [1, 3]) {
      for (const size of SIZES) yield { d, n, size, rng: new Rng(d * 10 + n) };
    }
  }
}

/**
 * Each value within a few places of its own, all together much closer; zeros behind each row. The
 * exponents of gelu, quickGelu and swiglu7, at most 88, are rounded before they are exponents:
 * that loses places.
 */
function assertRows(
  padded: Float32Array,
  expected: Float64Array,
  by: { n: number; d: number; label: string },
): void {
  const { n, d, label } = by;
  const stride = d + 6;
  const places = /^(gelu|quickGelu|swiglu7)/.test(label) ? 2e-5 : 2e-6;
  const got = unstride(padded, n, stride, d);
  assertClose(got, expected, 1e-12, label);
  got.forEach((value, i) =>
    assert(
      Math.abs(value - expected[i]) <= places * Math.abs(expected[i]) + 1e-33,
      `${label}: ${value} for ${expected[i]}`,
    )
  );
  for (let t = 0; t < n; t++) {
    for (let i = d; i < stride; i++) assert(padded[t * stride + i] === 0, "padding is zero");
  }
}
