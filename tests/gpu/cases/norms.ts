/** Norms of rows and of heads. */
import { headNorm, joinNorms, norm, type NormKind } from "../../../gpu/mod.ts";
import { layerNorm } from "../../../src/reference/activation_ops.ts";
import { addBias, rmsNorm } from "../../../src/reference/ops.ts";
import { runStep } from "../../support/gpu.ts";
import { assertNear, normals } from "./compare.ts";
import { withLeastLimits } from "./least_limits.ts";
import type { GpuCase } from "./types.ts";

const EPSILON = 1e-5;

/** The norm of rows as the reference has it. */
function expectedNorm(
  kind: NormKind,
  x: ArrayLike<number>,
  weight: Float32Array,
  bias: Float32Array | null,
): Float64Array {
  if (kind === "layer") return layerNorm(x, { weight, bias, epsilon: EPSILON });
  const out = rmsNorm(x, weight, EPSILON);
  return bias === null ? out : addBias(out, bias);
}

const checkNorm = (
  kind: NormKind,
  { n, m, width, hasBias = false, accumulate = false, scale = 1 }: {
    n: number;
    m?: number;
    width: number;
    hasBias?: boolean;
    accumulate?: boolean;
    scale?: number;
  },
): GpuCase["run"] =>
async (gpu) => {
  const count = m ?? n;
  const from = normals(1, n * width, 3).map((value) => value + 1);
  const weightValues = normals(2, width);
  const biasValues = hasBias ? normals(3, width) : null;
  const before = normals(4, n * width);
  const weight = await gpu.createVector("weight", weightValues);
  const bias = biasValues && await gpu.createVector("bias", biasValues);
  const actual = await runStep(gpu, {
    n,
    m,
    rows: { from: { values: from, width }, to: { values: before, width } },
    build: (builder, { from, to }) =>
      norm(builder, {
        kind,
        epsilon: EPSILON,
        width,
        weight,
        bias,
        from,
        to,
        accumulate,
        scale,
        count: m === undefined ? "tokens" : "scored",
      }),
    read: "to",
  });
  const last = from.subarray((n - count) * width).map((value) => value * scale);
  const made = expectedNorm(kind, last, weightValues, biasValues);
  const expected = Float64Array.from(
    before,
    (old, i) => i < made.length ? made[i] + (accumulate ? old : 0) : old,
  );
  assertNear(`${kind} ${n} ${width}`, actual, expected, 2e-5);
};

/** Of what a block leaves, and of the stream behind it. */
const checkJoined = (
  { n, width, hasFactor = false, scale = 1 }: {
    n: number;
    width: number;
    hasFactor?: boolean;
    scale?: number;
  },
): GpuCase["run"] =>
async (gpu) => {
  const from = normals(1, n * width, 3);
  const before = normals(4, n * width);
  const weights = [normals(2, width), normals(3, width)];
  const [weight, nextWeight] = await Promise.all(
    weights.map((values) => gpu.createVector("weight", values)),
  );
  const factor = hasFactor ? await gpu.createVector("factor", Float32Array.of(0.3)) : null;
  const made = rmsNorm(from.map((value) => scale * value), weights[0], EPSILON);
  const stream = before.map((value, i) => (hasFactor ? 0.3 : 1) * (value + made[i]));
  const expected = { to: stream, normed: rmsNorm(stream, weights[1], 1e-3) };
  for (const read of ["to", "normed"] as const) {
    const rows = { from, to: before, normed: new Float32Array(n * width) };
    const actual = await runStep(gpu, {
      n,
      rows: {
        from: { values: rows.from, width },
        to: { values: rows.to, width },
        normed: { values: rows.normed, width },
      },
      build: (builder, { from, to, normed }) =>
        joinNorms(builder, {
          ...{ width, epsilon: EPSILON, weight, from, scale, to, factor },
          next: { weight: nextWeight, epsilon: 1e-3, normed },
        }),
      read,
    });
    assertNear(`${read} ${n} ${width}`, actual, expected[read], 2e-5);
  }
};

const checkHeadNorm = (
  kind: NormKind,
  heads: number,
  width: number,
  weightPerHead: boolean,
  hasBias = false,
): GpuCase["run"] =>
async (gpu) => {
  const n = 3;
  const before = 4; // columns in front of the heads
  const columns = before + heads * width;
  const x = normals(5, n * columns);
  const weightValues = normals(6, weightPerHead ? heads * width : width);
  const weight = await gpu.createVector("weight", weightValues);
  const biasValues = hasBias ? normals(7, weightValues.length) : null;
  const bias = biasValues && await gpu.createVector("bias", biasValues);
  const actual = await runStep(gpu, {
    n,
    rows: { x: { values: x, width: columns } },
    build: (builder, { x }) =>
      headNorm(builder, {
        kind,
        epsilon: EPSILON,
        weight,
        bias,
        weightPerHead,
        x: { ...x, column: before },
        heads,
        width,
      }),
    read: "x",
  });
  const expected = Float64Array.from(x);
  for (let t = 0; t < n; t++) {
    for (let h = 0; h < heads; h++) {
      const at = t * columns + before + h * width;
      const first = weightPerHead ? h * width : 0;
      const weights = weightValues.subarray(first, first + width);
      const biases = biasValues && biasValues.subarray(first, first + width);
      expected.set(expectedNorm(kind, x.subarray(at, at + width), weights, biases), at);
    }
  }
  assertNear(`${kind} heads ${heads}`, actual, expected, 1e-5);
};

export const normCases: readonly GpuCase[] = [
  {
    kernels: ["joined_norms"],
    name: "joinNorms() adds a norm to the stream, and makes the next one",
    run: async (gpu) => {
      for (const [n, width] of [[1, 4], [3, 100], [2, 256], [1, 8200]]) {
        await checkJoined({ n, width })(gpu);
      }
      await checkJoined({ n: 3, width: 100, hasFactor: true, scale: 0.25 })(gpu);
      await withLeastLimits(gpu, () => checkJoined({ n: 2, width: 2052, hasFactor: true })(gpu));
    },
  },
  ...(["rms", "layer"] as const).map((kind): GpuCase => ({
    kernels: ["norm"],
    name: `norm() of kind ${kind} normalises rows narrower and wider than a workgroup`,
    run: async (gpu) => {
      for (const width of [4, 36, 256, 1028]) {
        await checkNorm(kind, { n: 3, width })(gpu);
        await checkNorm(kind, { n: 2, width, hasBias: true, accumulate: true, scale: 0.3 })(gpu);
      }
      await checkNorm(kind, { n: 9, m: 2, width: 64 })(gpu);
    },
  })),
  ...(["rms", "layer"] as const).map((kind): GpuCase => ({
    kernels: ["head_norm"],
    name: `headNorm() of kind ${kind} normalises heads in place`,
    run: async (gpu) => {
      await checkHeadNorm(kind, 5, 20, false)(gpu);
      await checkHeadNorm(kind, 3, 128, true)(gpu);
      await checkHeadNorm(kind, 1, 640, false)(gpu);
      await checkHeadNorm(kind, 1, 100, false, true)(gpu);
      await checkHeadNorm(kind, 2, 20, true, true)(gpu);
    },
  })),
];
