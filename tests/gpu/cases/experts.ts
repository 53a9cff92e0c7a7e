/** Mixtures: who is chosen, products of each route with its expert, and what they give together. */
import {
  chooseExperts,
  combineRoutes,
  createMatrix,
  createRoutes,
  fireNeurons,
  type Gpu,
  type GpuMatrix,
  matmul,
  multiplyOne,
  type ProgramBuilder,
  type Routes,
  type Rows,
} from "../../../gpu/mod.ts";
import { needsOf, type ProductName, routedName } from "../../../gpu/kernels.ts";
import {
  PLAIN_VARIANTS,
  type TunedKernel,
  usableVariants,
  VARIANTS,
} from "../../../gpu/variants.ts";
import type { ExpertsConfig } from "../../../src/model/mod.ts";
import { activation } from "../../../src/reference/activation_ops.ts";
import { matmul as referenceMatmul, rmsNorm } from "../../../src/reference/ops.ts";
import {
  chooseExperts as referenceChoice,
  type ExpertShare,
} from "../../../src/reference/routing.ts";
import { Rng } from "../../support/rng.ts";
import { runStep, type TestStep } from "../../support/gpu.ts";
import { assertNear, normals } from "./compare.ts";
import { asRead, boundOf, byReading, makeMatrix } from "./readings.ts";
import type { GpuCase } from "./types.ts";

const CONFIG: ExpertsConfig = {
  count: 5,
  usedCount: 3,
  feedForwardLength: 64,
  gating: "softmax",
  normalizesWeights: true,
  weightScale: 1.5,
  routerInput: "feedForward",
  sharedFeedForwardLength: 0,
  leadingDenseCount: 0,
};

/** A step's tokens, and what their router says. */
interface Mixed {
  readonly config: ExpertsConfig;
  readonly n: number;
  /** [n, experts]. */
  readonly logits: Float32Array;
  readonly bias?: Float32Array;
  readonly scales?: Float32Array;
  /** Tokens of a sequence each. */
  readonly isApart?: boolean;
}

/** Runs `build` behind the choice of experts. */
async function runMixed<Name extends string>(
  gpu: Gpu,
  { config, n, logits, bias, scales, isApart = false }: Mixed,
  { rows, build, read }: Pick<TestStep<Name>, "rows" | "read"> & {
    build: (
      builder: ProgramBuilder,
      routes: Routes,
      rows: Readonly<Record<Name, Rows>>,
    ) => void;
  },
): Promise<Float32Array> {
  const { count: experts, usedCount: used } = config;
  const routes = await createRoutes(gpu, { experts, used, maxTokens: n });
  const choiceBias = bias ? await gpu.createVector("choice", bias) : null;
  const scaling = scales ? await gpu.createVector("scales", scales) : null;
  const apart = Array.from({ length: n }, () => ({ position: 0, blocks: [] }));
  const out = await runStep<Name | "logits">(gpu, {
    n,
    ...isApart ? { sequences: apart } : {},
    rows: { ...rows, logits: { values: logits, width: experts } } as TestStep<
      Name | "logits"
    >["rows"],
    build: (builder, places) => {
      const of = { choiceBias, scales: scaling, routes };
      chooseExperts(builder, { logits: places.logits, config, ...of });
      build(builder, routes, places);
    },
    read,
  });
  for (const buffer of [routes.buffer, choiceBias, scaling]) if (buffer) gpu.destroyBuffer(buffer);
  return out;
}

/** Whom each token chooses, by the reference; best first. */
function sharesOf({ config, n, logits, bias, scales }: Mixed): ExpertShare[][] {
  return Array.from({ length: n }, (_, t) => {
    const own = logits.subarray(t * config.count, (t + 1) * config.count);
    return referenceChoice(own, bias ?? null, config)
      .map(({ expert, weight }) => ({ expert, weight: weight * (scales?.[expert] ?? 1) }));
  });
}

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

/** Experts' weights, one below the other, maybe in several buffers. */
async function makeExperts(
  gpu: Gpu,
  { type, rows, columns, config: { count }, bindingBytes }: RoutedShape,
): Promise<{ matrix: GpuMatrix; values: Float32Array }> {
  const whole = await makeMatrix(gpu, { type, rows: count * rows, columns }, 1);
  if (bindingBytes === undefined) return whole;
  whole.matrix.destroy();
  const limits = { maxBufferSize: bindingBytes, maxStorageBufferBindingSize: bindingBytes };
  const home = {
    ...{ limits, nothing: gpu.nothing },
    createBuffer: (label: string, bytes: number) => gpu.createBuffer(label, bytes),
    destroyBuffer: (buffer: GPUBuffer) => gpu.destroyBuffer(buffer),
    write: (buffer: GPUBuffer, offsetBytes: number, data: Uint8Array<ArrayBuffer>) =>
      gpu.write(buffer, offsetBytes, data),
  };
  const shape = { type, rows: count * rows, columns, expertRows: rows };
  const matrix = await createMatrix(home, "experts", shape);
  if (matrix.parts.length < 2) throw new Error("experts in one buffer");
  matrix.write(new Uint8Array(whole.values.buffer), { firstRow: 0 });
  return { matrix, values: whole.values };
}

/** Products of each token's row, and of a row for each route, with the experts that are chosen. */
async function checkRouted(gpu: Gpu, shape: RoutedShape): Promise<void> {
  const { type, rows, columns, n, isInt8 = false, config: { count, usedCount: used } } = shape;
  const { matrix, values } = await makeExperts(gpu, shape);
  const biases = normals(2, count * rows);
  const bias = await gpu.createVector("bias", biases);
  const way = isInt8 ? "int8" : "float";
  const shares = sharesOf(shape).flat();
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
      const own = values.subarray(expert * rows * columns, (expert + 1) * rows * columns);
      const sums = referenceMatmul(own, input, columns);
      const sizes = referenceMatmul(own.map(Math.abs), input.map(Math.abs), columns);
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

/** All tokens choose the same experts where `isUneven`. */
function mixed(n: number, { isUneven = false, config = CONFIG, isApart = false } = {}): Mixed {
  const logits = normals(9, n * config.count);
  if (isUneven) { for (let i = 0; i < logits.length; i++) logits[i] += 9 * (i % config.count % 2); }
  return { config, n, logits, isApart };
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
    : [mixed(150, { isUneven: true })];
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

/** Numbers of experts, exactly: expert e's weights are e. */
async function chosenOnGpu(gpu: Gpu, of: Mixed): Promise<Float32Array> {
  const { config: { count, usedCount: used }, n } = of;
  const matrix = await createMatrix(gpu, "e", { type: "F32", rows: 4 * count, columns: 4 });
  const numbers = Float32Array.from({ length: 16 * count }, (_, i) => Math.floor(i / 16) / 4);
  matrix.write(new Uint8Array(numbers.buffer), { firstRow: 0 });
  const out = await runMixed(gpu, of, {
    rows: {
      x: { values: new Float32Array(4 * n).fill(1), width: 4 },
      to: { values: new Float32Array(4 * n * used), width: 4, perToken: used },
    },
    build: (builder, routes, { x, to }) => matmul(builder, { matrix, routes, x, to }),
    read: "to",
  });
  matrix.destroy();
  return out.filter((_, i) => i % 4 === 0);
}

/** What they count: each route gives 1 in a column of its own. */
async function weightsOnGpu(gpu: Gpu, of: Mixed): Promise<Float32Array> {
  const { config: { usedCount: used }, n } = of;
  const width = 4 * Math.ceil(used / 4);
  const x = new Float32Array(n * used * width);
  for (let route = 0; route < n * used; route++) x[route * width + route % used] = 1;
  const out = await runMixed(gpu, of, {
    rows: {
      x: { values: x, width, perToken: used },
      to: { values: new Float32Array(n * width).fill(2), width },
    },
    build: (builder, routes, { x, to }) =>
      void combineRoutes(builder, {
        ...{ routes, x, to, width },
        ...{ accumulate: false, scale: 1, next: null },
      }),
    read: "to",
  });
  return out.filter((_, i) => i % width < used);
}

async function checkChoice(gpu: Gpu, of: Mixed): Promise<void> {
  const shares = sharesOf(of).flat();
  const label = JSON.stringify(of.config);
  assertNear(label, await chosenOnGpu(gpu, of), shares.map(({ expert }) => expert), 1e-3);
  const weights = shares.map(({ weight }) => weight);
  const bound = (i: number) => 3e-6 * Math.abs(weights[i]) + 1e-9;
  assertNear(`weights ${label}`, await weightsOnGpu(gpu, of), weights, bound);
}

const choiceCase: GpuCase = {
  kernels: ["choose_experts", "combine_routes"],
  name: "chooseExperts() chooses and weighs as the reference does",
  run: async (gpu) => {
    const rng = new Rng(5);
    for (const [count, usedCount] of [[9, 9], [130, 8], [300, 1]]) {
      for (const gating of ["softmax", "sigmoid", "softmaxOfChosen"] as const) {
        const normalizesWeights = rng.int(2) === 0;
        const config = { ...CONFIG, count, usedCount, gating, normalizesWeights };
        const n = 3;
        const logits = normals(rng.int(1000), n * count, 2);
        const bias = rng.int(2) === 0 ? normals(7, count) : undefined;
        const scales = rng.int(2) === 0 ? normals(8, count) : undefined;
        await checkChoice(gpu, { config, n, logits, bias, scales });
      }
    }
    for (const groups of [{ count: 4, usedCount: 2 }, { count: 3, usedCount: 1 }]) {
      const config = { ...CONFIG, count: 12, usedCount: 3, gating: "sigmoid", groups } as const;
      // Equals among groups, and within them.
      const logits = Float32Array.from({ length: 20 * 12 }, () => rng.int(4) / 4);
      await checkChoice(gpu, { config, n: 20, logits });
    }
    // Sums of weights that count as 2^-14.
    const config = { ...CONFIG, gating: "sigmoid" } as const;
    const logits = Float32Array.of(-30, -20, -40, -25, -50);
    await checkChoice(gpu, { config, n: 1, logits, isApart: true });
  },
};

const sortCase: GpuCase = {
  kernels: ["sort_routes", "matmul_float_routed"],
  name: "chooseExperts() sorts routes of pages of tokens, and those of many experts",
  run: async (gpu) => {
    const few = { ...CONFIG, count: 7, usedCount: 4 };
    const many = { ...CONFIG, count: 300, usedCount: 2 };
    for (const step of [mixed(300, { config: few }), mixed(20, { config: many })]) {
      const experts = sharesOf(step).flat().map(({ expert }) => expert);
      assertNear("experts", await chosenOnGpu(gpu, step), experts, 1e-3);
    }
  },
};

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
    const up = await makeMatrix(gpu, { type, rows: count * 2 * neurons, columns }, 1);
    const down = await makeMatrix(gpu, { type, rows: count * 8, columns: neurons }, 2);
    const biases = normals(4, count * 2 * neurons);
    const bias = await gpu.createVector("bias", biases);
    const x = normals(3, n * columns, 0.3);
    const actual = await runMixed(gpu, step, {
      rows: {
        x: { values: x, width: columns },
        hidden: { values: new Float32Array(n * used * neurons), width: neurons, perToken: used },
        to: { values: new Float32Array(n * used * 8), width: 8, perToken: used },
      },
      build: (builder, routes, { x, hidden, to }) => {
        const act = { activation: "silu", isGated: true, down: down.matrix } as const;
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
      const own = ofExpert(biases, 2 * neurons);
      const both = referenceMatmul(ofExpert(up.values, 2 * neurons * columns), input, columns)
        .map((value, i) => value + own[i]);
      const hidden = Array.from(
        { length: neurons },
        (_, i) => activation("silu", both[i]) * both[neurons + i],
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
    const [n, width, scale] = [isShort ? 1 : 2, isShort ? 256 : 1280, 0.5];
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
  choiceCase,
  sortCase,
  partsCase,
  ...variantCases,
  ...fireCases,
  ...joinCases,
];
