/** Rotation, the cache, and attention of few and many tokens. */
import {
  attention,
  attentionScratchBytes,
  createKvCache,
  destroyKvCache,
  type Gpu,
  type GpuMatrix,
  type KvCache,
  matmul,
  rotateAndRemember,
} from "../../../gpu/mod.ts";
import { assertEquals } from "@std/assert";
import { attention as referenceAttention, rmsNorm } from "../../../src/reference/ops.ts";
import { runStep, type TestSequence } from "../../support/gpu.ts";
import { assertNear, normals } from "./compare.ts";
import { frequenciesOf, rotated } from "./ropes.ts";
import { withLeastLimits } from "./least_limits.ts";
import {
  type AttentionShape,
  EPSILON,
  headWeights,
  normalized,
  roomFor,
  sinksOf,
  slopesOf,
} from "./attention_shape.ts";
import type { GpuCase } from "./types.ts";

/** Runs steps one after another through rotation, cache and attention, beside the reference. */
export const checkSteps = (shape: AttentionShape): GpuCase["run"] => async (gpu) => {
  const { heads, kvHeads, headDim, valueDim, steps, type, kind = "neox" } = shape;
  const { positions = roomFor(steps.reduce((sum, n) => sum + n, 0)) } = shape;
  const columns = columnsOf(shape);
  const of = { positions, kvHeads, headDim, valueDim, type };
  const cache = await createKvCache(gpu, "cache", of);
  const keys: number[] = [];
  const values: number[] = [];
  let position = 0;
  for (const [index, n] of steps.entries()) {
    const x = normals(100 + index, n * columns);
    const seesAll = shape.wholeSteps?.includes(index) ?? false;
    const isFill = shape.fills?.includes(index) ?? false;
    const actual = await attendOnGpu(gpu, { shape, cache, x, n, position, seesAll, isFill });
    const rotate = (row: ArrayLike<number>, count: number, t: number) => {
      const turn = (x: ArrayLike<number>) =>
        kind === null ? x : rotated(x, count, position + t, shape);
      const made = shape.norm?.areTurned
        ? normalized(turn(row), count, shape)
        : turn(normalized(row, count, shape));
      return Float64Array.from(made);
    };
    const queries: number[] = [];
    for (let t = 0; t < n; t++) {
      const row = x.subarray(t * columns, (t + 1) * columns);
      const q = row.subarray(0, heads * headDim);
      const k = row.subarray(heads * headDim, (heads + kvHeads) * headDim);
      queries.push(...rotate(q, heads, t));
      keys.push(...kept(shape.keepsKeys ? k : rotate(k, kvHeads, t), type));
      const v = row.subarray((heads + kvHeads) * headDim);
      const ones = new Float32Array(v.length / kvHeads).fill(1);
      values.push(...kept(shape.normalizesValues ? rmsNorm(v, ones, EPSILON) : v, type));
    }
    position += n;
    if (isFill) continue;
    const expected = referenceAttention({ q: queries, k: keys, v: values }, {
      p0: position - n,
      heads,
      kvHeads,
      groupSize: shape.groupSize,
      headOffset: shape.headOffset,
      ...{ headDim, valueDim },
      ...{ window: shape.window, chunk: shape.span, slopes: slopesOf(shape) },
      scale: 1 / Math.sqrt(headDim),
      softCap: shape.softCap,
      ...shape.hasSinks ? { sinks: sinksOf(shape) } : {},
      ahead: seesAll ? n : 0,
    });
    // A key whose f16 is rounded the other way differs in its last place: 2^-11 of it.
    const bound = type === "f16" ? 2e-3 : 2e-5;
    assertNear(`${JSON.stringify(shape)} step ${index}`, actual, expected, bound);
  }
  destroyKvCache(gpu, cache);
};

/** Queries, keys and values side by side. */
export function columnsOf({ heads, kvHeads, headDim, valueDim = headDim }: AttentionShape): number {
  return heads * headDim + kvHeads * (headDim + valueDim);
}

interface AttendStep {
  readonly shape: AttentionShape;
  readonly cache: KvCache;
  readonly x: Float32Array;
  readonly n: number;
  readonly position: number;
  readonly sequences?: readonly TestSequence[];
  readonly seesAll?: boolean;
  /** Keys and values are remembered, and nobody attends. */
  readonly isFill?: boolean;
  /** Bounds of each token's text, as `StepRows.states`. */
  readonly texts?: { readonly from: readonly number[]; readonly to: readonly number[] };
  /** [rows, heads · valueDim]: what comes back is this times what attention gives. */
  readonly reader?: GpuMatrix;
}

/** Turns heads, remembers them and attends. */
export async function attendOnGpu(
  gpu: Gpu,
  { shape, cache, x, n, position, sequences, seesAll, isFill, texts, reader }: AttendStep,
): Promise<Float32Array> {
  const { heads, headDim, kind = "neox", groupSize, headOffset, window, softCap } = shape;
  const { rotated = headDim, valueDim = headDim } = shape;
  const scratchBytes = attentionScratchBytes({
    ...{ heads, headDim, valueDim },
    positions: cache.contextLength,
    maxTokens: n,
    sequences: sequences?.length,
  });
  const scratch = await gpu.createBuffer("scratch", scratchBytes);
  const width = heads * valueDim;
  const { norm } = shape;
  const weightOf = async (count: number) => ({
    weight: await gpu.createVector("heads", headWeights(shape, count)),
    weightPerHead: norm?.weightPerHead ?? false,
  });
  const [query, key] = [await weightOf(heads), await weightOf(cache.kvHeads)];
  const { areTurned } = norm ?? {};
  const norms = norm
    ? { kind: norm.kind, epsilon: EPSILON, areTurned, query, key }
    : shape.normalizesValues
    ? { kind: "rms" as const, epsilon: EPSILON, query: null, key: null, hasValue: true }
    : null;
  const rope = kind && { index: 1, kind, turnsKeys: !shape.keepsKeys };
  const { alibi, span } = shape;
  const sinks = shape.hasSinks ? await gpu.createVector("sinks", sinksOf(shape)) : null;
  const out = await runStep(gpu, {
    n,
    position,
    seesAll,
    states: texts,
    // Another rope lies before it; how long both are together is a constant of shaders.
    ropes: [frequenciesOf({ ...shape, rotated: 2 + headDim - rotated }), frequenciesOf(shape)],
    contextLength: cache.contextLength,
    sequences,
    rows: {
      x: { values: x, width: columnsOf(shape) },
      to: { values: new Float32Array(n * width), width },
      read: { values: new Float32Array(n * (reader?.rows ?? 4)), width: reader?.rows ?? 4 },
    },
    // Rows in 8 bits are held for the steps that attention has them in.
    build: (builder, { x, to, read }) =>
      builder.during(reader ? { isApart: n === 1, tokens: [n, n] } : {}, () => {
        rotateAndRemember(builder, { x, heads, cache, rope, norms });
        if (isFill) return;
        attention(builder, {
          ...{ x, to, heads, groupSize, headOffset, cache, window, span },
          bothWays: texts !== undefined,
          alibi: alibi && { ...alibi, headCount: alibi.ofHeads },
          scale: 1 / Math.sqrt(headDim),
          softCap,
          sinks,
          scratch,
        });
        if (reader) matmul(builder, { matrix: reader, x: to, to: read });
      }),
    read: reader ? "read" : "to",
  });
  for (const buffer of [scratch, query.weight, key.weight, sinks]) {
    if (buffer !== null) gpu.destroyBuffer(buffer);
  }
  return out;
}

/** What the cache keeps of numbers. */
export function kept(values: ArrayLike<number>, type: "f16" | "f32"): Iterable<number> {
  return type === "f16" ? Float16Array.from(values) : Float32Array.from(values);
}

/** A token each of sequences as long as these, beside each other: as they are alone, to the bit. */
export const checkApart =
  (shape: AttentionShape, positions: readonly number[]): GpuCase["run"] => async (gpu) => {
    const { heads, kvHeads, headDim, valueDim = headDim, type } = shape;
    const contextLength = roomFor(Math.max(...positions) + 1);
    const each = Math.ceil(contextLength / 32);
    const cache = await createKvCache(gpu, "cache", {
      ...{
        positions: each * 32 * positions.length,
        contextLength,
        kvHeads,
        headDim,
        valueDim,
        type,
      },
    });
    const columns = columnsOf(shape);
    // Blocks of all sequences in turns, and backwards.
    const sequences = positions.map((position, slot) => ({
      position,
      blocks: Array.from({ length: each }, (_, i) => (each - 1 - i) * positions.length + slot),
    }));
    for (const [slot, n] of positions.entries()) {
      if (n === 0) continue;
      const before = [{ ...sequences[slot], position: 0 }];
      const x = normals(10 + slot, n * columns);
      const isFill = true;
      await attendOnGpu(gpu, { shape, cache, x, n, position: 0, sequences: before, isFill });
    }
    const x = normals(9, positions.length * columns);
    const attend = (first: number, end: number) =>
      attendOnGpu(gpu, {
        ...{ shape, cache, n: end - first, position: 0 },
        x: x.slice(first * columns, end * columns),
        sequences: sequences.slice(first, end),
      });
    const together = await attend(0, positions.length);
    const width = heads * valueDim;
    for (const [slot, position] of positions.entries()) {
      const alone = await attend(slot, slot + 1);
      const row = together.slice(slot * width, (slot + 1) * width);
      assertEquals(row, alone, `${JSON.stringify(shape)} of ${positions}: at ${position}`);
    }
    destroyKvCache(gpu, cache);
  };

/** Sizes are constants of shaders, which take longer to compile than to run: cases share shapes. */
const BASE = { heads: 4, kvHeads: 2, groupSize: 2, headDim: 16, type: "f32" } as const;
const GROUPS_OF_3 = { ...BASE, heads: 6, groupSize: 3, softCap: 2 } as const;
/** By `attention_few`; the same where it sees some positions only. */
const FEW = { ...BASE, headDim: 64, type: "f16" } as const;
const FEW_SEEN = { ...FEW, window: 40, softCap: 1.5 } as const;
/** Heads that begin in the middle of a group. */
const PART = { ...BASE, heads: 5, kvHeads: 3, groupSize: 3, headOffset: 2 } as const;
const FEW_SINKS = {
  ...{ ...PART, headDim: 8, type: "f16", window: 40, softCap: 1.5, hasSinks: true } as const,
};
const ONE_HEAD = { ...BASE, heads: 1, kvHeads: 1, groupSize: 1, type: "f16" } as const;

export const attentionCases: readonly GpuCase[] = [
  {
    kernels: ["rotate_and_remember", "attention"],
    name: "attention() decodes and prefills with rotated keys in place, of both kinds and none",
    run: async (gpu) => {
      await checkSteps({ ...BASE, kind: "norm", steps: [9, 1, 3, 64, 1, 7, 8, 1] })(gpu);
      await checkSteps({ ...BASE, kind: "neox", steps: [1, 1, 70, 2], rotated: 8 })(gpu);
      await checkSteps({ ...BASE, kind: null, steps: [5, 1] })(gpu);
    },
  },
  {
    kernels: ["rotate_and_remember", "attention", "attention_few"],
    name: "attention() has caches of f16, heads of all sizes, groups of all sizes",
    run: async (gpu) => {
      // Of 64 dimensions others are; 10 invocations that share a position are no power of two.
      for (const headDim of [4, 20, 80, 128]) {
        await checkSteps({ ...BASE, headDim, type: "f16", kind: "norm", steps: [10, 1] })(gpu);
      }
      await checkSteps({ ...ONE_HEAD, headDim: 256, kind: "norm", steps: [10, 1] })(gpu);
      await checkSteps({ ...BASE, kvHeads: 4, groupSize: 1, steps: [10, 1, 4] })(gpu);
      await checkSteps({ ...BASE, heads: 12, kvHeads: 1, groupSize: 12, steps: [9, 1, 2] })(gpu);
    },
  },
  {
    kernels: ["rotate_and_remember"],
    name:
      "rotateAndRemember() normalises heads of queries and keys before it turns them, or behind",
    run: async (gpu) => {
      const rms = { kind: "rms", weightPerHead: false } as const;
      await checkSteps({ ...BASE, norm: rms, steps: [9, 1] })(gpu);
      const layer = { kind: "layer", weightPerHead: true } as const;
      await checkSteps({ ...BASE, headDim: 80, rotated: 20, norm: layer, steps: [3, 1] })(gpu);
      await checkSteps({ ...BASE, norm: { ...rms, areTurned: true }, steps: [9, 1] })(gpu);
      const behind = { ...layer, areTurned: true };
      await checkSteps({ ...BASE, headDim: 80, rotated: 20, norm: behind, steps: [3, 1] })(gpu);
    },
  },
  {
    kernels: ["rotate_and_remember"],
    name: "rotateAndRemember() turns queries alone, and normalises values without weights",
    run: async (gpu) => {
      await checkSteps({ ...BASE, keepsKeys: true, steps: [9, 1] })(gpu);
      await checkSteps({ ...BASE, headDim: 80, normalizesValues: true, steps: [3, 1] })(gpu);
      await checkSteps({ ...BASE, valueDim: 8, normalizesValues: true, steps: [3, 1] })(gpu);
    },
  },
  {
    kernels: ["attention", "attention_few"],
    name: "attention() sees spans of positions, and scores fall with distance",
    run: async (gpu) => {
      // One, several and many tokens see alike: each of both with each in one of the shaders.
      const alibi = { maxBias: 8, firstHead: 2, ofHeads: 6 };
      await checkSteps({ ...BASE, span: 6, steps: [1, 1, 1, 1, 1, 1, 1, 40, 1] })(gpu);
      await checkSteps({ ...BASE, kind: null, alibi, steps: [9, 1, 3, 60, 1] })(gpu);
      await checkSteps({ ...FEW, span: 6, steps: [3, 1, 1, 1, 1, 40, 1, 7] })(gpu);
      await checkSteps({ ...FEW, kind: null, alibi, steps: [9, 1, 60, 1] })(gpu);
    },
  },
  {
    kernels: ["attention_few", "attention_combine"],
    name: "attention() of one token splits what it sees, and combines it",
    run: async (gpu) => {
      await checkSteps({ ...FEW, steps: [1, 1, 126, 1, 1, 382, 1], fills: [2, 5] })(gpu);
      await checkSteps({ ...FEW, heads: 6, groupSize: 6, kvHeads: 1, steps: [7, 7, 7, 7, 1] })(gpu);
      await checkSteps({ ...FEW_SEEN, steps: [3, 1, 1, 60, 1] })(gpu);
      await checkSteps({ ...ONE_HEAD, headDim: 8, steps: [1022, 1, 1, 1], fills: [0] })(gpu);
      // More chunks than those who combine them take at once: 16 of wide heads.
      await checkSteps({ ...ONE_HEAD, headDim: 256, steps: [600, 1, 1], fills: [0] })(gpu);
      await withLeastLimits(gpu, () => checkSteps({ ...FEW, steps: [30, 1, 1] })(gpu));
    },
  },
  {
    kernels: ["attention", "attention_few"],
    name: "attention() finds the group of heads that begin in the middle of one",
    run: async (gpu) => {
      await checkSteps({ ...PART, steps: [9, 1, 3] })(gpu);
      await checkSteps({ ...PART, headDim: 8, type: "f16", steps: [9, 1, 3] })(gpu);
    },
  },
  {
    kernels: ["attention", "attention_few"],
    name: "attention() sees a window only, and caps scores",
    run: async (gpu) => {
      await checkSteps({ ...BASE, window: 5, steps: [3, 1, 1, 1, 40, 1, 6] })(gpu);
      await checkSteps({ ...BASE, window: 70, steps: [200, 1, 1, 90, 5] })(gpu);
      await checkSteps({ ...GROUPS_OF_3, steps: [20, 1] })(gpu);
      await checkSteps({ ...FEW_SEEN, steps: [3, 1, 1, 60, 1, 6] })(gpu);
    },
  },
  {
    kernels: ["attention", "attention_few", "attention_combine"],
    name: "attention() splits long contexts of few tokens and combines the chunks",
    run: async (gpu) => {
      await checkSteps({ ...BASE, steps: [255, 1, 1, 1, 254, 1, 7, 2], fills: [0] })(gpu);
      await checkSteps({ ...BASE, window: 70, steps: [300, 1, 3, 60, 1], fills: [0] })(gpu);
      await checkSteps({ ...GROUPS_OF_3, steps: [300, 1, 5], fills: [0] })(gpu);
      await checkSteps({ ...FEW, steps: [31, 1, 1, 30, 1, 7, 2, 1] })(gpu);
      await checkSteps({ ...FEW_SEEN, steps: [60, 1, 3, 60, 1] })(gpu);
      // Chunks of several blocks: there are at most 128 of them.
      const long = { ...ONE_HEAD, headDim: 8, positions: 4200 };
      await checkSteps({ ...long, steps: [1040, 1, 5], fills: [0] })(gpu);
    },
  },
  {
    kernels: ["attention", "attention_few", "attention_combine"],
    name: "attention() of tokens that see each other sees all of the step, whole or split",
    run: async (gpu) => {
      const seen = { steps: [9, 30, 1, 250, 2, 5], wholeSteps: [1, 3, 5] };
      await checkSteps({ ...BASE, window: 70, ...seen })(gpu);
      await checkSteps({ ...FEW_SEEN, steps: [60, 3, 1, 7], wholeSteps: [1, 3] })(gpu);
    },
  },
  {
    kernels: ["attention", "attention_few", "attention_combine"],
    name: "attention() gives sinks their share of heads, whole or split, of own heads",
    run: async (gpu) => {
      await checkSteps({ ...PART, hasSinks: true, steps: [9, 1, 3, 250, 1], fills: [3] })(gpu);
      await checkSteps({ ...FEW_SINKS, steps: [9, 1, 3, 60, 1] })(gpu);
    },
  },
  {
    kernels: ["attention", "attention_few", "attention_combine"],
    name: "attention() of tokens of a sequence each gives each the bits that it has alone",
    run: async (gpu) => {
      const few = { ...FEW, steps: [] };
      await checkApart(few, [40, 0, 7])(gpu);
      await checkApart({ ...PART, headDim: 8, type: "f16", steps: [] }, [33, 5])(gpu);
      await checkApart({ ...ONE_HEAD, steps: [], headDim: 8 }, [1100, 3, 1023, 1024])(gpu);
      await withLeastLimits(gpu, () => checkApart(few, [40, 2])(gpu));
      await checkApart({ ...GROUPS_OF_3, steps: [] }, [3, 255, 256, 300])(gpu);
      await checkApart({ ...BASE, steps: [], window: 5 }, [60, 5])(gpu);
      await checkApart({ ...FEW_SINKS, steps: [] }, [53, 5])(gpu);
    },
  },
];
