/** Attention that its last workgroups end: to the bits that a dispatch of its own leaves. */
import { assert, assertEquals } from "@std/assert";
import {
  type AttentionArgs,
  createKvCache,
  destroyKvCache,
  type Gpu,
  type KvCache,
  type ProgramBuilder,
} from "../../../gpu/mod.ts";
import { canEndByLast } from "../../../gpu/ops/attention_last.ts";
import { attendOnGpu, checkApart, checkSteps, columnsOf } from "./attention.ts";
import { type AttentionShape, roomFor } from "./attention_shape.ts";
import { normals } from "./compare.ts";
import { makeMatrix, reading } from "./readings.ts";
import { withLeastLimits } from "./least_limits.ts";
import type { GpuCase } from "./types.ts";

async function byLast(gpu: Gpu, run: () => Promise<void>): Promise<void> {
  gpu.endsByLast = true;
  try {
    await run();
  } finally {
    gpu.endsByLast = false;
  }
}

interface Step {
  readonly n: number;
  /** Positions before it. */
  readonly before: number;
}

/** A step in both ways; in the new one twice, with the same counters. */
async function checkBits(
  gpu: Gpu,
  shape: Omit<AttentionShape, "steps">,
  { n, before, rows = 0 }: Step & { readonly rows?: number },
): Promise<void> {
  const { heads, kvHeads, headDim, type } = shape;
  const own: AttentionShape = { ...shape, steps: [] };
  const positions = roomFor(before + n);
  const cache = await createKvCache(gpu, "cache", { positions, kvHeads, headDim, type });
  const reader = rows === 0
    ? undefined
    : (await makeMatrix(gpu, { type: "Q4_0", rows, columns: heads * headDim }, 7)).matrix;
  type More = { readonly reader?: typeof reader; readonly isFill?: boolean };
  const attend = (seed: number, n: number, position: number, more: More) =>
    attendOnGpu(gpu, {
      ...{ shape: own, cache, n, position, ...more },
      x: normals(seed, n * columnsOf(own)),
    });
  await attend(1, before, 0, { isFill: true });
  const apart = await attend(2, n, before, { reader });
  assert(apart.every(Number.isFinite) && apart.some((value) => value !== 0));
  await byLast(gpu, async () => {
    for (let turn = 0; turn < 2; turn++) {
      const last = await attend(2, n, before, { reader });
      assertEquals(last, apart, `${JSON.stringify(shape)}: ${n} behind ${before}, turn ${turn}`);
    }
  });
  reader?.destroy();
  destroyKvCache(gpu, cache);
}

const BASE = { heads: 4, kvHeads: 2, groupSize: 2, headDim: 64, type: "f16" } as const;
const GROUP = { ...BASE, heads: 8, groupSize: 4, headDim: 128 } as const;
/** Heads that begin in the middle of a group of three: a tile has rows of several tokens. */
const PART = {
  ...{ ...BASE, heads: 5, kvHeads: 3, groupSize: 3, headOffset: 2, headDim: 8 },
  ...{ window: 40, softCap: 1.5, hasSinks: true },
} as const;

export const attentionLastCases: readonly GpuCase[] = [
  {
    kernels: ["attention_last"],
    name: "attention() that its last workgroups end has the bits of what is combined apart",
    run: async (gpu) => {
      // One chunk; chunks that are no whole share of those who combine them; more than these take.
      for (const before of [3, 67, 400]) await checkBits(gpu, BASE, { n: 1, before });
      await checkBits(gpu, GROUP, { n: 1, before: 300 });
      await checkBits(gpu, PART, { n: 1, before: 100 });
      await checkBits(gpu, PART, { n: 5, before: 100 });
      await checkBits(gpu, { ...BASE, headDim: 80 }, { n: 3, before: 300 });
      await checkBits(gpu, { ...BASE, headDim: 256 }, { n: 1, before: 560 });
    },
  },
  {
    kernels: ["attention_last"],
    name: "attention() that its last workgroups end leaves rows in 8 bits, too",
    run: (gpu) =>
      reading(gpu, "int8", async () => {
        await checkBits(gpu, GROUP, { n: 1, before: 100, rows: 64 });
        // Fours of a row are no whole turn of the workgroup; shares are no whole turn of fours.
        await checkBits(gpu, { ...BASE, headDim: 160 }, { n: 2, before: 300, rows: 64 });
      }),
  },
  {
    kernels: ["attention_last"],
    name: "attention() that its last workgroups end is the reference's, of each sequence alone",
    run: (gpu) =>
      byLast(gpu, async () => {
        await checkSteps({ ...BASE, steps: [31, 1, 1, 30, 1, 7, 2, 1] })(gpu);
        await checkSteps({ ...PART, steps: [9, 1, 3, 60, 1] })(gpu);
        await checkApart({ ...BASE, steps: [] }, [40, 0, 7])(gpu);
        await checkApart({ ...PART, steps: [] }, [53, 5])(gpu);
        // Without a binding more, or counters, it is combined apart.
        const can = (sequences: number, kvHeads = 8) => {
          const builder = { gpu, input: { sequences } } as ProgramBuilder;
          const cache = { kvHeads } as KvCache;
          return canEndByLast(builder, { groupSize: 5, cache } as AttentionArgs, 4);
        };
        assertEquals([can(1), can(256), can(257)], [true, true, false]);
        // Seven tokens of one sequence have more tiles than one of each.
        assertEquals([can(1, 455), can(1, 456)], [true, false]);
        await withLeastLimits(gpu, () => Promise.resolve(assertEquals(can(1), false)));
      }),
  },
];
