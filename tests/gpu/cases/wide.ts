/** Attention of heads that are wide, or whose values are not as long as keys. */
import { type AttentionShape, checkApart, checkSteps } from "./attention.ts";
import { withLeastLimits } from "./least_limits.ts";
import type { GpuCase } from "./types.ts";

/** A key/value head for each two heads of queries. */
const PAIRS = { heads: 4, kvHeads: 2, groupSize: 2, headDim: 288, type: "f32" } as const;
const ONE_HEAD = { heads: 1, kvHeads: 1, groupSize: 1, headDim: 512, type: "f16" } as const;
/** Values less wide than keys: the ones of MiMo 2, and smaller. */
const NARROW = { ...PAIRS, headDim: 24, valueDim: 16 } as const;
/** Two tiles of a token's heads, the second one with one. */
const MANY_HEADS = { heads: 9, kvHeads: 1, groupSize: 9, headDim: 12, valueDim: 8 } as const;
/** Of own heads a part of a group. */
const SPLIT = { ...NARROW, heads: 5, kvHeads: 3, groupSize: 3, headOffset: 2 } as const;

export const wideCases: readonly GpuCase[] = [
  {
    kernels: ["rotate_and_remember", "attention_wide", "attention_combine"],
    name: "attention() has heads of up to 512 dimensions, of floats and of f16",
    run: async (gpu) => {
      await checkSteps({ ...PAIRS, steps: [9, 1, 3, 64, 1, 7, 8, 1] })(gpu);
      await checkSteps({ ...PAIRS, headDim: 512, type: "f16", kind: "norm", steps: [10, 1] })(gpu);
      await checkSteps({ ...ONE_HEAD, kind: null, steps: [40, 1, 2] })(gpu);
      await withLeastLimits(gpu, () => checkSteps({ ...PAIRS, steps: [30, 1, 1] })(gpu));
    },
  },
  {
    kernels: ["rotate_and_remember", "attention_wide", "attention_combine"],
    name: "attention() has values that are less wide than keys, and wider ones",
    run: async (gpu) => {
      for (const valueDim of [4, 16, 20, 128, 256]) {
        await checkSteps({ ...NARROW, valueDim, steps: [33, 1, 5] })(gpu);
      }
      await checkSteps({ ...PAIRS, headDim: 192, valueDim: 128, type: "f16", steps: [9, 1] })(gpu);
      await checkSteps({ ...NARROW, rotated: 16, hasSinks: true, steps: [9, 1, 3] })(gpu);
    },
  },
  {
    kernels: ["attention_wide"],
    name: "attention() of wide heads has groups of all sizes, windows, caps and sinks",
    run: async (gpu) => {
      await checkSteps({ ...MANY_HEADS, type: "f32", steps: [9, 1, 2, 70, 1] })(gpu);
      await checkSteps({ ...SPLIT, steps: [9, 1, 3] })(gpu);
      const seen = { ...NARROW, window: 5, softCap: 1.5 };
      await checkSteps({ ...seen, steps: [3, 1, 1, 40, 1, 6] })(gpu);
      await checkSteps({ ...NARROW, window: 70, steps: [200, 1, 1, 90, 5] })(gpu);
      await checkSteps({ ...SPLIT, hasSinks: true, steps: [9, 1, 3, 250, 1] })(gpu);
      const type = "f16";
      await checkSteps({ ...SPLIT, type, hasSinks: true, window: 40, steps: [60, 1] })(gpu);
    },
  },
  {
    kernels: ["attention_wide", "attention_combine"],
    name: "attention() of wide heads splits what few tokens see, and combines it",
    run: async (gpu) => {
      await checkSteps({ ...NARROW, steps: [31, 1, 1, 30, 1, 7, 2, 1] })(gpu);
      // Chunks of several blocks: there are at most 128 of them, of many heads fewer.
      const long: AttentionShape = { ...ONE_HEAD, headDim: 8, valueDim: 4, steps: [] };
      await checkSteps({ ...long, positions: 4200, steps: [1040, 1, 5] })(gpu);
      const heads = { heads: 128, groupSize: 128 };
      await checkSteps({ ...long, ...heads, positions: 1100, steps: [70, 1, 2] })(gpu);
    },
  },
  {
    kernels: ["attention_wide", "attention_combine"],
    name: "attention() of wide heads of a sequence each gives each the bits that it has alone",
    run: async (gpu) => {
      await checkApart({ ...NARROW, steps: [] }, [40, 0, 7, 31, 32])(gpu);
      await checkApart({ ...SPLIT, hasSinks: true, steps: [] }, [33, 5])(gpu);
      await checkApart({ ...NARROW, window: 5, steps: [] }, [60, 5])(gpu);
      await checkApart({ ...PAIRS, type: "f16", steps: [] }, [130, 3])(gpu);
    },
  },
];
