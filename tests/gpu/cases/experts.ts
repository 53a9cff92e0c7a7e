/** Products of each route with its expert, and what a token's experts give together. */
import { combineRoutes, fireNeurons, type Gpu, matmul, multiplyOne } from "../../../gpu/mod.ts";
import { needsOf, type ProductName, routedName } from "../../../gpu/kernels.ts";
import {
  PLAIN_VARIANTS,
  type TunedKernel,
  usableVariants,
  VARIANTS,
} from "../../../gpu/variants.ts";
import { activation } from "../../../src/reference/activation_ops.ts";
import { matmul as referenceMatmul, rmsNorm } from "../../../src/reference/ops.ts";
import { assertNear, normals } from "./compare.ts";
import { asRead, boundOf, byReading, makeBatch, makeMatrix } from "./readings.ts";
import { CONFIG, type Mixed, mixed, runMixed, sharesOf } from "./routes.ts";
import type { GpuCase } from "./types.ts";

interface RoutedShape extends Mixed {
  readonly type: string;
  /** Of an expert. */
  readonly rows: number;
  readonly columns: number;
  readonly isInt8?: boolean;
  /** Rows of inputs that a token has: 1, or as many as it uses experts. */
  readonly perToken: readonly number[];
  /** Bytes of a binding; left out: as many as the adapter allows. */
  readonly bindingBytes?: number;
}

/** Products of each token's row, and of a row for each route, with the experts that are chosen. */
async function checkRouted(gpu: Gpu, shape: RoutedShape): Promise<void> {
  const { type, rows, columns, n, isInt8 = false, config: { count, usedCount: used } } = shape;
  const { matrix, values } = await makeBatch(gpu, shape, count);
  const biases = normals(2, count * rows);
  const bias = await gpu.createVector("bias", biases);
  const way = isInt8 ? "int8" : "float";
  const shares = sharesOf(shape).flat();
  const weightSizes = values.map(Math.abs);
  for (const perToken of shape.perToken) {
    const x = normals(3, n * perToken * columns);
    const before = normals(4, n * used * rows);
    const actual = await runMixed(gpu, shape, {
      rows: {
        x: { values: x, width: columns, perToken },
        to: { values: before, width: rows, perToken: used },
      },
      build: (builder, routes, { x, to }) =>
        matmul(builder, { matrix, bias, routes, x, to, accumulate: true, scale: 0.5 }),
      read: "to",
    });
    const expected: number[] = [], bounds: number[] = [];
    shares.forEach(({ expert }, route) => {
      const at = perToken === 1 ? Math.floor(route / used) : route;
      const input = asRead(x.subarray(at * columns, (at + 1) * columns), way);
      const begin = expert * rows * columns, end = begin + rows * columns;
      const sums = referenceMatmul(values.subarray(begin, end), input, columns);
      const ownSizes = weightSizes.subarray(begin, end);
      const sizes = referenceMatmul(ownSizes, input.map(Math.abs), columns);
      sums.forEach((sum, r) => {
        expected.push(before[route * rows + r] + 0.5 * (sum + biases[expert * rows + r]));
        bounds.push((isInt8 ? 2e-5 : 2e-6) * (sizes[r] + 1));
      });
    });
    assertNear(`${type} × ${n}, ${perToken} rows a token`, actual, expected, (i) => bounds[i]);
  }
  matrix.destroy();
  gpu.destroyBuffer(bias);
}

const checkVariant = (job: TunedKernel, name: ProductName): GpuCase["run"] => async (gpu) => {
  if (!usableVariants(job, gpu.features).includes(name)) return;
  gpu.variants = { ...PLAIN_VARIANTS, [job]: name };
  const isInt8 = needsOf(name).includes("int8");
  const types = job.endsWith("float") ? ["F16"] : job.endsWith("byte") ? ["Q6_K"] : ["Q4_0"];
  const columns = types[0] === "F16" ? 84 : 256;
  // One tile of an expert, then several of some and none of others.
  const steps = job.startsWith("matvec")
    ? [mixed(3, { isApart: true }), mixed(5)]
    : [mixed(200, { isUneven: true })];
  // A token's row, or one for each route: rows are found in one way by all shaders.
  const perToken = job.endsWith("nibble") ? [1] : job.endsWith("byte") ? [3] : [1, 3];
  try {
    for (const type of types) {
      for (const step of steps) {
        await checkRouted(gpu, { ...step, type, rows: 68, columns, isInt8, perToken });
      }
    }
  } finally {
    gpu.variants = PLAIN_VARIANTS;
  }
};

const variantCases = Object.entries(VARIANTS).flatMap(([job, names]) =>
  names.map((name): GpuCase => ({
    kernels: [routedName(name)],
    name: `matmul() of experts gives routes their products by ${name}, as ${job}`,
    run: checkVariant(job as TunedKernel, name),
  }))
);

const partsCase: GpuCase = {
  kernels: ["matvec_float_routed", "matmul_float_routed"],
  name: "matmul() of experts in several buffers has each route's in one of them",
  run: async (gpu) => {
    const shape = { type: "F32", rows: 8, columns: 64, bindingBytes: 2 * 8 * 64 * 4 + 500 };
    for (const step of [mixed(2, { isApart: true }), mixed(40)]) {
      await checkRouted(gpu, { ...step, ...shape, perToken: [3] });
    }
  },
};

/** Neurons of a token's experts, then their down. */
const fireCases = byReading(
  "gated",
  "fireNeurons() makes what the neurons of each route give on",
  async (gpu, { way, type, isFloat, isShort }) => {
    const [neurons, columns, n] = [256, isFloat ? 84 : 256, isShort ? 1 : 3];
    const { count, usedCount: used } = CONFIG;
    const step = mixed(n, { isApart: true });
    const isGated = !isShort;
    const rows = isGated ? 2 * neurons : neurons;
    const up = await makeMatrix(gpu, { type, rows: count * rows, columns }, 1);
    const down = await makeMatrix(gpu, { type, rows: count * 8, columns: neurons }, 2);
    const biases = normals(4, count * rows);
    const bias = await gpu.createVector("bias", biases);
    const x = normals(3, n * columns, 0.3);
    const actual = await runMixed(gpu, step, {
      rows: {
        x: { values: x, width: columns },
        hidden: { values: new Float32Array(n * used * neurons), width: neurons, perToken: used },
        to: { values: new Float32Array(n * used * 8), width: 8, perToken: used },
      },
      build: (builder, routes, { x, hidden, to }) => {
        const act = { activation: "silu", isGated, down: down.matrix } as const;
        fireNeurons(builder, { matrix: up.matrix, bias, routes, x, to: hidden, ...act });
        matmul(builder, { matrix: down.matrix, routes, x: hidden, to });
      },
      read: "to",
    });
    const bounds: number[] = [];
    const expected = sharesOf(step).flat().flatMap(({ expert }, route) => {
      const token = Math.floor(route / used);
      const ofExpert = (values: Float32Array, size: number) =>
        values.subarray(expert * size, (expert + 1) * size);
      const input = asRead(x.subarray(token * columns, (token + 1) * columns), way);
      const own = ofExpert(biases, rows);
      const both = referenceMatmul(ofExpert(up.values, rows * columns), input, columns)
        .map((value, i) => value + own[i]);
      const hidden = Array.from(
        { length: neurons },
        (_, i) => activation("silu", both[i]) * (isGated ? both[neurons + i] : 1),
      );
      const row = asRead(hidden, way);
      const weights = ofExpert(down.values, 8 * neurons);
      const bound = boundOf(weights, row, way);
      bounds.push(...Array.from({ length: 8 }, (_, r) => bound(r)));
      return [...referenceMatmul(weights, row, neurons)];
    });
    assertNear(type, actual, expected, (i) => bounds[i]);
    for (const { matrix } of [up, down]) matrix.destroy();
    gpu.destroyBuffer(bias);
  },
).map((each): GpuCase => ({
  ...each,
  kernels: each.kernels.map((name) => routedName(name as ProductName)),
}));

/** The stream behind experts, and who reads its norm. */
const joinCases = byReading(
  "heads",
  "combineRoutes() leaves half of a norm, and multiplyOne() the other half",
  async (gpu, { way, type, isShort }) => {
    // An odd number of pieces where the type has them.
    const width = isShort ? 256 : type === "Q2_K" ? 1280 : 1248;
    const [n, scale] = [isShort ? 1 : 2, 0.5];
    const { usedCount: used } = CONFIG;
    const step = mixed(n, { isApart: true });
    const readers = [type, "F32"];
    const read = await Promise.all(
      readers.map((each, i) => makeMatrix(gpu, { type: each, rows: 12, columns: width }, 5 + i)),
    );
    const weights = normals(4, width).map((value) => value + 2);
    const weight = await gpu.createVector("weight", weights);
    const [x, before] = [normals(2, n * used * width), normals(3, n * width)];
    const room = width + width / 32;
    const stream = sharesOf(step).map((shares, t) =>
      Float64Array.from(
        { length: width },
        (_, i) =>
          shares.reduce(
            (sum, { weight }, j) => sum + scale * weight * x[(t * used + j) * width + i],
            before[t * width + i],
          ),
      )
    );
    for (const [index, { matrix, values }] of read.entries()) {
      const actual = await runMixed(gpu, step, {
        rows: {
          x: { values: x, width, perToken: used },
          stream: { values: before, width },
          normed: { values: new Float32Array(n * room), width: room },
          to: { values: new Float32Array(n * 12), width: 12 },
        },
        build: (builder, routes, { x, stream, normed, to }) => {
          const matrices = read.map(({ matrix }) => matrix);
          const half = combineRoutes(builder, {
            ...{ routes, x, to: stream, width, accumulate: true, scale },
            next: { weight, epsilon: 1e-5, normed, readers: matrices },
          });
          if (half === null) throw new Error("no half of a norm");
          multiplyOne(builder, { matrix, bias: null, x: half, to });
        },
        read: "to",
      });
      const own = readers[index].startsWith("F") ? "float" : way;
      const bounds: number[] = [];
      const expected = stream.flatMap((row) => {
        const normed = asRead(rmsNorm(row, weights, 1e-5), own);
        const bound = boundOf(values, normed, own);
        bounds.push(...Array.from({ length: 12 }, (_, r) => bound(r)));
        return [...referenceMatmul(values, normed, width)];
      });
      assertNear(`${readers[index]} ${width}`, actual, expected, (i) => bounds[i]);
      matrix.destroy();
    }
    gpu.destroyBuffer(weight);
  },
);

export const expertCases: readonly GpuCase[] = [
  partsCase,
  ...variantCases,
  ...fireCases,
  ...joinCases,
];
