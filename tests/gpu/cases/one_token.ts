/** Products of one token that do more: heads, neurons, and the stream with the next norm. */
import {
  type ActivationArgs,
  attention,
  attentionScratchBytes,
  createKvCache,
  destroyKvCache,
  fireNeurons,
  type Gpu,
  type GpuMatrix,
  type HalfNorm,
  joinResidual,
  type KvCache,
  matmul,
  multiplyOne,
  projectHeads,
} from "../../../gpu/mod.ts";
import {
  attention as referenceAttention,
  matmul as referenceMatmul,
  rmsNorm,
} from "../../../src/reference/ops.ts";
import { runStep, runStepFor } from "../../support/gpu.ts";
import { assertNear, normals } from "./compare.ts";
import { frequenciesOf, rotated } from "./ropes.ts";
import { neuronOf } from "./elementwise.ts";
import { asRead, boundOf, byReading, makeMatrix, type Reading, reading } from "./readings.ts";
import { withLeastLimits } from "./least_limits.ts";
import type { GpuCase } from "./types.ts";

const EPSILON = 1e-5;

interface HeadsShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Left out: as many. */
  readonly valueDim?: number;
  readonly columns: number;
  readonly kind: "norm" | "neox" | null;
  readonly rotated?: number;
  readonly type: "f16" | "f32";
  /** Values are a matrix of their own. */
  readonly isApart?: boolean;
  readonly hasBias?: boolean;
}

/** What the heads of a shape are made of. */
interface Heads {
  readonly shape: HeadsShape;
  /** Rows of `top`, and of all. */
  readonly first: number;
  readonly all: number;
  readonly top: GpuMatrix;
  readonly rest: GpuMatrix | null;
  readonly bias: GPUBuffer | null;
  readonly cache: KvCache;
}

/** A token through heads and attention. */
async function attendOnGpu(gpu: Gpu, of: Heads, x: Float32Array, position: number) {
  const { shape, first, all, top, rest, bias, cache } = of;
  const { heads, headDim, valueDim = headDim, kind, kvHeads } = shape;
  const bytes = attentionScratchBytes({ heads, headDim, valueDim, positions: 3, maxTokens: 1 });
  const scratch = await gpu.createBuffer("scratch", bytes);
  const out = await runStep(gpu, {
    n: 1,
    position,
    ropes: [frequenciesOf(shape)],
    contextLength: cache.contextLength,
    rows: {
      x: { values: x, width: x.length },
      row: { values: new Float32Array(all), width: all },
      to: { values: new Float32Array(heads * valueDim), width: heads * valueDim },
    },
    build: (builder, { x, row, to }) => {
      const common = { x, to: row, heads, cache, rope: kind && { index: 0, kind } };
      projectHeads(builder, { ...common, matrix: top, bias, column: 0 });
      if (rest) projectHeads(builder, { ...common, matrix: rest, bias: null, column: first });
      const scale = 1 / Math.sqrt(headDim);
      attention(builder, { x: row, to, heads, groupSize: heads / kvHeads, cache, scale, scratch });
    },
    read: "to",
  });
  gpu.destroyBuffer(scratch);
  return out;
}

/** Three tokens, one after another, through heads and attention. */
const checkHeads =
  (way: Reading, type: string, shape: HeadsShape): GpuCase["run"] => async (gpu) => {
    const { heads, kvHeads, headDim, valueDim = headDim, columns, isApart = false } = shape;
    const all = (heads + kvHeads) * headDim + kvHeads * valueDim;
    const first = isApart ? (heads + kvHeads) * headDim : all;
    const top = await makeMatrix(gpu, { type, rows: first, columns }, 1);
    const rest = isApart ? await makeMatrix(gpu, { type, rows: all - first, columns }, 2) : null;
    const biases = shape.hasBias ? normals(3, first) : new Float32Array(first);
    const bias = shape.hasBias ? await gpu.createVector("bias", biases) : null;
    const values = Float32Array.from([...top.values, ...rest?.values ?? []]);
    const cache = await createKvCache(gpu, "cache", { ...shape, positions: 3 });
    const of = { shape, first, all, top: top.matrix, rest: rest?.matrix ?? null, bias, cache };
    const [keys, remembered]: number[][] = [[], []];
    for (let position = 0; position < 3; position++) {
      const x = normals(10 + position, columns, 0.3);
      const actual = await attendOnGpu(gpu, of, x, position);
      const row = referenceMatmul(values, asRead(x, way), columns)
        .map((value, i) => value + (biases[i] ?? 0));
      const turn = (from: number, count: number) => {
        const part = row.subarray(from * headDim, (from + count) * headDim);
        return shape.kind === null ? part : rotated(part, count, position, shape);
      };
      const kept = shape.type === "f16" ? Float16Array : Float32Array;
      keys.push(...kept.from(turn(heads, kvHeads)));
      remembered.push(...kept.from(row.subarray((heads + kvHeads) * headDim)));
      const expected = referenceAttention({ q: [...turn(0, heads)], k: keys, v: remembered }, {
        ...{ p0: position, heads, kvHeads, groupSize: heads / kvHeads, headDim, valueDim },
        scale: 1 / Math.sqrt(headDim),
      });
      // Scores of inputs in 8 bits, and keys that are rounded, decide between few values.
      const bound = way === "float" && shape.type === "f32" ? 1e-4 : 3e-2;
      assertNear(`${type} ${JSON.stringify(shape)} ${position}`, actual, expected, bound);
    }
    destroyKvCache(gpu, cache);
    for (const matrix of [of.top, of.rest]) matrix?.destroy();
    if (bias) gpu.destroyBuffer(bias);
  };

/** The stream, then a product that reads its norm; by readers of one type or of two. */
const checkJoin = (
  way: Reading,
  { type, width, columns, otherType = type }: {
    type: string;
    width: number;
    columns: number;
    otherType?: string;
  },
): GpuCase["run"] =>
async (gpu) => {
  const scale = 0.5;
  const rows = 12;
  const block = await makeMatrix(gpu, { type, rows: width, columns }, 1);
  const readers = [type, otherType];
  const read = await Promise.all(
    readers.map((each, i) => makeMatrix(gpu, { type: each, rows, columns: width }, 5 + i)),
  );
  const [x, before] = [normals(2, columns, 0.3), normals(3, width)];
  const weights = normals(4, width).map((value) => value + 2);
  const weight = await gpu.createVector("weight", weights);
  const biases = normals(9, width);
  const bias = await gpu.createVector("bias", biases);
  const room = width + width / 32;
  const [foundStream, ...found] = await runStepFor(gpu, {
    n: 1,
    rows: {
      x: { values: x, width: columns },
      stream: { values: before, width },
      normed: { values: new Float32Array(room), width: room },
      one: { values: new Float32Array(rows), width: rows },
      two: { values: new Float32Array(rows), width: rows },
    },
    build: (builder, { x, stream: to, normed, one, two }) => {
      const half: HalfNorm | null = joinResidual(builder, {
        ...{ matrix: block.matrix, bias, x, to, scale, weight, epsilon: EPSILON, normed },
        readers: read.map(({ matrix }) => matrix),
      });
      if (half === null) throw new Error("no half of a norm");
      multiplyOne(builder, { matrix: read[0].matrix, bias: null, x: half, to: one });
      multiplyOne(builder, { matrix: read[1].matrix, bias: null, x: half, to: two });
    },
    reads: ["stream", "one", "two"],
  });
  const label = `${type} ${otherType} ${width} × ${columns}`;
  const inputs = asRead(x, way);
  const stream = referenceMatmul(block.values, inputs, columns)
    .map((value, i) => before[i] + scale * (value + biases[i]));
  assertNear(`stream ${label}`, foundStream, stream, boundOf(block.values, inputs, way));
  const normed = rmsNorm(stream, weights, EPSILON);
  for (const [i, name] of (["one", "two"] as const).entries()) {
    const own = readers[i].startsWith("F") ? "float" : way;
    const row = asRead(normed, own);
    const bound = boundOf(read[i].values, row, way);
    assertNear(
      `${name} ${label}`,
      found[i],
      referenceMatmul(read[i].values, row, width),
      bound,
    );
  }
  for (const { matrix } of [block, ...read]) matrix.destroy();
  for (const vector of [weight, bias]) gpu.destroyBuffer(vector);
};

interface FireShape extends ActivationArgs {
  readonly type: string;
  readonly columns: number;
  readonly neurons: number;
  readonly hasBias?: boolean;
}

/** Neurons, and the product that reads what they give on, in floats or in 8 bits. */
const checkFire = (way: Reading, shape: FireShape): GpuCase["run"] => async (gpu) => {
  const { type, columns, neurons, isGated } = shape;
  const rows = isGated ? 2 * neurons : neurons;
  const up = await makeMatrix(gpu, { type, rows, columns }, 1);
  const down = await makeMatrix(gpu, { type, rows: 12, columns: neurons }, 2);
  const biases = normals(4, rows);
  const bias = shape.hasBias ? await gpu.createVector("bias", biases) : null;
  const x = normals(3, columns, 0.3);
  const actual = await runStep(gpu, {
    n: 1,
    rows: {
      x: { values: x, width: columns },
      hidden: { values: new Float32Array(neurons), width: neurons },
      to: { values: new Float32Array(12), width: 12 },
    },
    build: (builder, { x, hidden, to }) => {
      const of = { ...shape, matrix: up.matrix, bias, down: down.matrix };
      fireNeurons(builder, { ...of, x, to: hidden });
      matmul(builder, { matrix: down.matrix, x: hidden, to });
    },
    read: "to",
  });
  const products = referenceMatmul(up.values, asRead(x, way), columns)
    .map((value, i) => value + (bias ? biases[i] : 0));
  const hidden = Array.from(
    { length: neurons },
    (_, i) => neuronOf(shape, products[i], products[neurons + i]),
  );
  const row = asRead(hidden, way);
  const bound = boundOf(down.values, row, way);
  assertNear(JSON.stringify(shape), actual, referenceMatmul(down.values, row, neurons), bound);
  for (const { matrix } of [up, down]) matrix.destroy();
  if (bias) gpu.destroyBuffer(bias);
};

const HEADS = {
  heads: 4,
  kvHeads: 2,
  headDim: 8,
  columns: 256,
  kind: "norm",
  type: "f32",
} as const;

/** Neurons' rows, in 8 bits beside those they were made of, and then written by another product. */
const checkRewritten: GpuCase["run"] = (gpu) =>
  reading(gpu, "int8", async () => {
    const up = await makeMatrix(gpu, { type: "Q4_0", rows: 64, columns: 64 }, 1);
    const x = normals(3, 64, 0.3);
    const actual = await runStep(gpu, {
      n: 1,
      rows: {
        x: { values: x, width: 64 },
        hidden: { values: new Float32Array(64), width: 64 },
        to: { values: new Float32Array(64), width: 64 },
      },
      build: (builder, { x, hidden, to }) => {
        const of = { matrix: up.matrix, bias: null, x, to: hidden };
        const act = { activation: "relu", isGated: false } as const;
        fireNeurons(builder, { ...of, ...act, down: up.matrix });
        multiplyOne(builder, of);
        matmul(builder, { matrix: up.matrix, x: hidden, to });
      },
      read: "to",
    });
    const hidden = asRead(referenceMatmul(up.values, asRead(x, "int8"), 64), "int8");
    const bound = boundOf(up.values, hidden, "int8");
    assertNear("rewritten", actual, referenceMatmul(up.values, hidden, 64), bound);
    up.matrix.destroy();
  });

export const oneTokenCases: readonly GpuCase[] = [
  {
    kernels: ["heads_int8", "gated_int8"],
    name: "multiplyOne() writes rows that were in 8 bits: they are not any more",
    run: checkRewritten,
  },
  ...byReading(
    "heads",
    "projectHeads() turns and remembers one token's heads",
    async (gpu, { way, type, isFloat, isShort }) => {
      const columns = isFloat ? 516 : 4352; // more than a turn, and no whole number of turns
      const shapes: HeadsShape[] = [
        { ...HEADS, columns, hasBias: true },
        { ...HEADS, kind: "neox", isApart: true, hasBias: true },
      ];
      // How heads are turned and kept is the same whoever read their weights.
      if (isFloat) {
        shapes.push({ ...HEADS, kind: "neox", type: "f16", rotated: 4 });
        shapes.push({ ...HEADS, columns: 84, headDim: 12, rotated: 6, type: "f16" });
        shapes.push({ ...HEADS, columns: 84, kind: null, heads: 6, isApart: true });
        for (const isApart of [false, true]) {
          shapes.push({ ...HEADS, columns: 84, headDim: 12, valueDim: 8, rotated: 8, isApart });
        }
      }
      for (const shape of isShort ? shapes.slice(0, 1) : shapes) {
        await checkHeads(way, type, shape)(gpu);
      }
    },
  ),
  ...byReading(
    "joined",
    "joinResidual() leaves half of a norm, and multiplyOne() the other half",
    async (gpu, { way, type, isFloat, isShort }) => {
      const columns = isFloat ? 260 : 2304;
      if (isShort) {
        return await withLeastLimits(gpu, () => checkJoin(way, { type, width: 256, columns })(gpu));
      }
      await checkJoin(way, { type, width: 256, columns })(gpu);
      // More than 32 pieces: squares are added up in two rounds.
      await checkJoin(way, { type, width: isFloat ? 96 : 1280, columns: 256 })(gpu);
      if (!isFloat) await checkJoin(way, { type, width: 256, columns: 256, otherType: "F32" })(gpu);
    },
  ),
  ...byReading(
    "gated",
    "fireNeurons() makes what gates and ups give on",
    async (gpu, { way, type, isFloat, isShort }) => {
      const columns = isFloat ? 132 : 768;
      const neurons = isFloat ? 52 : 256;
      const shape = { type, columns, neurons, activation: "silu", isGated: true } as const;
      await checkFire(way, { ...shape, hasBias: true })(gpu);
      if (isShort) return;
      await checkFire(way, { ...shape, activation: "gelu", isGated: false, hasBias: true })(gpu);
      // What neurons do is the same whoever read their weights.
      if (way === "int8_subgroups") return;
      await checkFire(way, { ...shape, limit: { gate: 0.4, up: 1.5 } })(gpu);
      if (!isFloat) return;
      await checkFire(way, { ...shape, activation: "relu", activatesUp: true })(gpu);
      await checkFire(way, { ...shape, activation: "relu2", firingThreshold: 0.7 })(gpu);
      await checkFire(way, { ...shape, activation: "swiglu7" })(gpu);
    },
  ),
];
