/** Attention of heads that are wide, or whose values are not as long as keys. */
import { assertEquals } from "@std/assert";
import { attentionScratchBytes } from "../../../gpu/mod.ts";
import { checkApart, checkSteps } from "./attention.ts";
import type { AttentionShape } from "./attention_shape.ts";
import type { GpuCase } from "./types.ts";

/** Values less wide than keys; a key/value head for each two heads of queries. */
const NARROW = {
  ...{ heads: 4, kvHeads: 2, groupSize: 2, headDim: 24, valueDim: 16, type: "f32" } as const,
};
const SEEN = { ...NARROW, window: 40, softCap: 1.5 } as const;
/** Of own heads a part of a group: the first rows of a tile are none. Wider values than keys. */
const SPLIT = {
  ...{ ...NARROW, heads: 5, kvHeads: 3, groupSize: 3, headOffset: 2 },
  ...{ valueDim: 256, hasSinks: true },
};
const ONE_HEAD = { heads: 1, kvHeads: 1, groupSize: 1, headDim: 8, valueDim: 4 } as const;

/** Each shape is shaders of its own, which take longer to compile than to run. */
export const wideCases: readonly GpuCase[] = [
  {
    kernels: ["rotate_and_remember", "attention_wide", "attention_combine"],
    name: "attention() has heads of more than 256 dimensions, of floats and of f16",
    run: async (gpu) => {
      const whole = { ...NARROW, headDim: 288, valueDim: 288 };
      await checkSteps({ ...whole, steps: [9, 1, 3, 64, 1, 7, 8, 1] })(gpu);
      const type = "f16";
      await checkSteps({ ...whole, headDim: 512, valueDim: 512, type, steps: [10, 1] })(gpu);
    },
  },
  {
    kernels: ["rotate_and_remember", "attention_wide", "attention_combine"],
    name: "attention() has values that are less wide than keys",
    run: async (gpu) => {
      await checkSteps({ ...NARROW, valueDim: 20, rotated: 16, steps: [33, 1] })(gpu);
      await checkSteps({ ...NARROW, headDim: 192, valueDim: 128, type: "f16", steps: [9, 1] })(gpu);
    },
  },
  {
    kernels: ["attention_wide"],
    name: "attention() of wide heads has groups of all sizes, windows, caps and sinks",
    run: async (gpu) => {
      // Two tiles of a token's heads, the second one with one.
      const many = { ...NARROW, heads: 9, kvHeads: 1, groupSize: 9 };
      await checkSteps({ ...many, steps: [9, 1, 70, 1] })(gpu);
      await checkSteps({ ...SPLIT, steps: [9, 1, 3, 250, 1], fills: [3] })(gpu);
      await checkSteps({ ...SEEN, steps: [3, 1, 1, 90, 1, 6] })(gpu);
      await checkSteps({ ...SEEN, steps: [3, 90, 1, 6], wholeSteps: [1, 3] })(gpu);
    },
  },
  {
    kernels: ["attention_wide", "attention_combine"],
    name: "attention() of wide heads splits what few tokens see, and combines it",
    run: async (gpu) => {
      // Chunks of several blocks: there are at most 128 of them, of many heads fewer.
      const long: AttentionShape = { ...ONE_HEAD, type: "f16", steps: [1040, 1, 5] };
      await checkSteps({ ...long, positions: 4200, fills: [0] })(gpu);
      const heads = { heads: 128, groupSize: 128 };
      const room = { headDim: 576, valueDim: 512, positions: 131_072, maxTokens: 1 };
      assertEquals(attentionScratchBytes({ ...room, heads: 16 }), 16 * 128 * 516 * 4);
      assertEquals(attentionScratchBytes({ ...room, heads: 128 }), 128 * 32 * 516 * 4);
      assertEquals(attentionScratchBytes({ ...room, heads: 1024 }), 1024 * 16 * 516 * 4);
      await checkSteps({ ...long, ...heads, positions: 1100, steps: [70, 1], fills: [0] })(gpu);
    },
  },
  {
    kernels: ["attention_wide", "attention_combine"],
    name: "attention() of wide heads of a sequence each gives each the bits that it has alone",
    run: async (gpu) => {
      await checkApart({ ...SEEN, steps: [] }, [50, 0, 7, 31, 32])(gpu);
      await checkApart({ ...SPLIT, steps: [] }, [130, 5])(gpu);
    },
  },
];
