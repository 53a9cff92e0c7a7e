/** Latent attention: keys that all heads share, and products of heads with a matrix each. */
import { assertEquals } from "@std/assert";
import {
  attention,
  attentionScratchBytes,
  createKvCache,
  destroyKvCache,
  type Gpu,
  type KvCache,
  multiplyHeads,
  rememberLatent,
} from "../../../gpu/mod.ts";
import { growthAt, type QueryTemperature } from "../../../src/model/mod.ts";
import {
  attention as referenceAttention,
  matmul as referenceMatmul,
  rmsNorm,
} from "../../../src/reference/ops.ts";
import { deepOnly, IS_DEEP } from "../../support/deep.ts";
import { runStep, type TestSequence } from "../../support/gpu.ts";
import { roomFor } from "./attention_shape.ts";
import { frequenciesOf, rotated } from "./ropes.ts";
import { assertNear, normals } from "./compare.ts";
import { makeBatch } from "./readings.ts";
import type { GpuCase } from "./types.ts";

const EPSILON = 1e-5;

interface LatentShape {
  readonly heads: number;
  /** Query heads of all ranks, and the first own one; left out: these. */
  readonly groupSize?: number;
  readonly headOffset?: number;
  readonly turned: number;
  readonly length: number;
  readonly type: "f16" | "f32";
  readonly kind: "norm" | "neox";
  readonly growth?: QueryTemperature;
  /** Of the cache; left out: room for as many as there are tokens. */
  readonly positions?: number;
  readonly steps: readonly number[];
}

/** What tokens bring: keys before they are turned and normalised, queries in two places. */
interface LatentStep {
  readonly n: number;
  readonly position: number;
  readonly keys: Float32Array;
  readonly own: Float32Array;
  readonly rest: Float32Array;
  readonly sequences?: readonly TestSequence[];
}

/** Between a head's own dimensions and the next one's lies something else. */
const GAP = 4;

async function attendOnGpu(gpu: Gpu, shape: LatentShape, cache: KvCache, step: LatentStep) {
  const { heads, groupSize = heads, headOffset, turned, length, kind, growth } = shape;
  const { n, position, sequences } = step;
  const scratch = await gpu.createBuffer(
    "scratch",
    attentionScratchBytes({
      ...{ heads, headDim: turned + length, valueDim: length, sharesKeys: true },
      ...{ positions: cache.contextLength, maxTokens: n, sequences: sequences?.length },
    }),
  );
  const weight = await gpu.createVector("norm", latentWeight(shape));
  const rope = { index: 0, kind };
  const ownStride = turned + GAP;
  const out = await runStep(gpu, {
    ...{ n, position, sequences, contextLength: cache.contextLength },
    ropes: [frequenciesOf({ headDim: turned, kind })],
    rows: {
      keys: { values: step.keys, width: turned + length },
      own: { values: step.own, width: heads * ownStride },
      rest: { values: step.rest, width: heads * length },
      to: { values: new Float32Array(n * heads * length), width: heads * length },
    },
    build: (builder, { keys, own, rest, to }) => {
      rememberLatent(builder, { x: keys, cache, rope, weight, epsilon: EPSILON });
      attention(builder, {
        ...{ x: own, rest: { rows: rest, ownDim: turned, ownStride }, to },
        ...{ heads, groupSize, headOffset, cache, scratch, growth, scale: scaleOf(shape) },
      });
    },
    read: "to",
  });
  gpu.destroyBuffer(scratch);
  gpu.destroyBuffer(weight);
  return out;
}

function latentWeight({ length }: LatentShape): Float32Array<ArrayBuffer> {
  return normals(5, length);
}

function scaleOf({ turned, length }: LatentShape): number {
  return 1 / Math.sqrt(turned + length);
}

function inputsOf({ heads, turned, length }: LatentShape, n: number, seed: number) {
  return {
    keys: normals(seed, n * (turned + length)),
    own: normals(seed + 1, n * heads * (turned + GAP)),
    rest: normals(seed + 2, n * heads * length),
  };
}

/** Steps one after another through cache and attention, beside the reference. */
const checkSteps = (shape: LatentShape): GpuCase["run"] => async (gpu) => {
  const { heads, groupSize = heads, headOffset, turned, length, steps, type, kind } = shape;
  const { positions = roomFor(steps.reduce((sum, n) => sum + n, 0)), growth } = shape;
  const headDim = turned + length;
  const dims = { headDim, valueDim: length, sharesKeys: true };
  const cache = await createKvCache(gpu, "cache", { positions, kvHeads: 1, ...dims, type });
  const places = Math.ceil(positions / 32) * 32;
  assertEquals(cache.bytes, places * headDim * (type === "f16" ? 2 : 4), "latents lie once");
  const kept = type === "f16" ? Float16Array : Float32Array;
  const [k, v]: number[][] = [[], []];
  let position = 0;
  for (const [index, n] of steps.entries()) {
    const step = { n, position, ...inputsOf(shape, n, 10 * index) };
    const actual = await attendOnGpu(gpu, shape, cache, step);
    const q: number[] = [];
    for (let t = 0; t < n; t++) {
      const at = position + t;
      const key = step.keys.subarray(t * headDim, (t + 1) * headDim);
      const latent = rmsNorm(key.slice(turned), latentWeight(shape), EPSILON);
      const turn = rotated(key.subarray(0, turned), 1, at, { headDim: turned, kind });
      const row = kept.from([...turn, ...latent]);
      k.push(...row);
      v.push(...row.subarray(turned));
      const grown = growth ? growthAt(at, growth) : 1;
      for (let head = 0; head < heads; head++) {
        const own = (t * heads + head) * (turned + GAP);
        const rest = (t * heads + head) * length;
        q.push(...step.own.subarray(own, own + turned).map((value) => grown * value));
        q.push(...step.rest.subarray(rest, rest + length).map((value) => grown * value));
      }
    }
    const expected = referenceAttention({ q, k, v }, {
      ...{ p0: position, heads, kvHeads: 1, groupSize, headOffset, headDim, valueDim: length },
      scale: scaleOf(shape),
    });
    // A key whose f16 is rounded the other way differs in its last place: 2^-11 of it.
    const bound = type === "f16" ? 4e-3 : 4e-5;
    assertNear(`${JSON.stringify(shape)} step ${index}`, actual, expected, bound);
    position += n;
  }
  destroyKvCache(gpu, cache);
};

/** Heads' products at these numbers of tokens; between heads lie other things. */
const checkProducts = (
  shape: Parameters<typeof makeBatch>[1],
  counts: readonly number[],
): GpuCase["run"] =>
async (gpu) => {
  const heads = 3;
  const { type, rows, columns } = shape;
  const { matrix, values } = await makeBatch(gpu, shape, heads);
  for (const n of counts) {
    const [xWidth, toWidth] = [heads * (columns + 8), heads * (rows + 4)];
    const x = normals(n, n * xWidth);
    const before = normals(n + 1, n * toWidth);
    const actual = await runStep(gpu, {
      n,
      rows: { x: { values: x, width: xWidth }, to: { values: before, width: toWidth } },
      build: (builder, { x, to }) => {
        multiplyHeads(builder, {
          ...{ matrix, heads },
          x: { rows: { ...x, column: 4 }, headStride: columns + 8 },
          to: { rows: to, headStride: rows + 4 },
        });
      },
      read: "to",
    });
    const expected = Float64Array.from(before);
    for (let t = 0; t < n; t++) {
      for (let head = 0; head < heads; head++) {
        const at = t * xWidth + head * (columns + 8) + 4;
        const own = values.slice(head * rows * columns, (head + 1) * rows * columns);
        const made = referenceMatmul(own, x.slice(at, at + columns), columns);
        expected.set(made, t * toWidth + head * (rows + 4));
      }
    }
    assertNear(`${type} ${rows} × ${columns}, ${n}`, actual, expected, 1e-4);
  }
  matrix.destroy();
};

/** Tokens of a sequence each: as they are alone, to the bit. */
const checkApart =
  (shape: LatentShape, positions: readonly number[]): GpuCase["run"] => async (gpu) => {
    const { turned, length, heads, type } = shape;
    const contextLength = roomFor(Math.max(...positions) + 1);
    const each = Math.ceil(contextLength / 32);
    const cache = await createKvCache(gpu, "cache", {
      ...{ positions: each * 32 * positions.length, contextLength, kvHeads: 1, type },
      ...{ headDim: turned + length, valueDim: length, sharesKeys: true },
    });
    const sequences = positions.map((position, slot) => ({
      position,
      blocks: Array.from({ length: each }, (_, i) => (each - 1 - i) * positions.length + slot),
    }));
    for (const [slot, n] of positions.entries()) {
      if (n === 0) continue;
      const step = { n, position: 0, ...inputsOf(shape, n, 20 + slot) };
      const before = [{ ...sequences[slot], position: 0 }];
      await attendOnGpu(gpu, shape, cache, { ...step, sequences: before });
    }
    const all = inputsOf(shape, positions.length, 9);
    const attend = (first: number, end: number) => {
      const part = (values: Float32Array) => {
        const width = values.length / positions.length;
        return values.slice(first * width, end * width);
      };
      return attendOnGpu(gpu, shape, cache, {
        ...{ n: end - first, position: 0, sequences: sequences.slice(first, end) },
        ...{ keys: part(all.keys), own: part(all.own), rest: part(all.rest) },
      });
    };
    const together = await attend(0, positions.length);
    const width = heads * length;
    for (const [slot, position] of positions.entries()) {
      const row = together.slice(slot * width, (slot + 1) * width);
      assertEquals(row, await attend(slot, slot + 1), `of ${positions}: at ${position}`);
    }
    destroyKvCache(gpu, cache);
  };

const SMALL = { heads: 4, turned: 8, length: 64, type: "f32", kind: "norm" } as const;
/** Two tiles of a token's heads, the second one with one or three; queries grow. */
const PART = {
  ...{ ...SMALL, heads: 9, groupSize: 12, headOffset: 2 },
  growth: { scale: 0.4, length: 8, first: 1 },
} as const;
/** DeepSeek 2 Lite's, and 3's with as many heads as it has. */
const REAL = { heads: 16, turned: 64, length: 512, type: "f16", kind: "norm" } as const;

export const latentCases: readonly GpuCase[] = [
  {
    kernels: ["remember_latent", "attention_wide", "attention_combine"],
    name: "attention() to latents has one key a token, whose end is the value",
    run: async (gpu) => {
      await checkSteps({ ...SMALL, steps: [9, 1, 3, 64, 1, 7, 8, 1] })(gpu);
      await checkSteps({ ...SMALL, kind: "neox", steps: [33, 1, 2] })(gpu);
      await checkSteps({ ...PART, steps: [40, 1, 2] })(gpu);
    },
  },
  {
    kernels: ["remember_latent", "attention_wide", "attention_combine"],
    name: "attention() to latents has the widths and heads of real models, over several chunks",
    run: async (gpu) => {
      await checkSteps({ ...REAL, positions: 4200, steps: [40, 1, 2, 1] })(gpu);
      await checkSteps({ ...REAL, heads: 128, positions: 1100, steps: [8, 1, 26, 1] })(gpu);
    },
  },
  {
    kernels: ["remember_latent", "attention_wide"],
    name: "attention() to latents of sequences gives each the bits that it has alone",
    run: async (gpu) => {
      await checkApart({ ...PART, steps: [] }, [40, 0, 7, 31, 32])(gpu);
    },
  },
  {
    kernels: [
      ...["matvec_float_batched", "matvec_byte_batched", "matvec_nibble_batched"] as const,
      ...["matmul_float_batched", "matmul_byte_batched", "matmul_nibble_batched"] as const,
    ],
    name: "multiplyHeads() gives each head of each token what its own matrix makes of it",
    run: async (gpu) => {
      // Which head is whose is the same for all types: one goes through all shaders of few tokens.
      const few = IS_DEEP ? [1, 2, 3, 5, 7, 8] : [1, 3, 8];
      const [every, some] = [[...few, 33], [1, ...deepOnly(7), 33]];
      for (const [type, counts] of [["F16", every], ["Q8_0", some], ["Q4_0", some]] as const) {
        await checkProducts({ type, rows: 20, columns: 96 }, counts)(gpu);
      }
      for (const type of deepOnly("Q4_K")) {
        await checkProducts({ type, rows: 16, columns: 512 }, [1, 33])(gpu);
      }
      // Two heads' matrices in one buffer, one's in another.
      const bindingBytes = 2 * 8 * 64 * 4 + 500;
      await checkProducts({ type: "F32", rows: 8, columns: 64, bindingBytes }, some)(gpu);
    },
  },
];
