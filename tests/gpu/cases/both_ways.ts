/** Attention of encoders: whole texts in a step, of which a token sees its own both ways. */
import { createKvCache, destroyKvCache } from "../../../gpu/mod.ts";
import { attention as referenceAttention } from "../../../src/reference/ops.ts";
import { attendOnGpu, columnsOf, kept } from "./attention.ts";
import { type AttentionShape, roomFor, slopesOf } from "./attention_shape.ts";
import { assertNear, normals } from "./compare.ts";
import type { GpuCase } from "./types.ts";

type TextShape = Omit<AttentionShape, "steps" | "kind">;

/** Steps of texts of these lengths, each of which is as if it were alone. */
const checkTexts =
  (shape: TextShape, steps: readonly number[][]): GpuCase["run"] => async (gpu) => {
    const { heads, kvHeads, headDim, valueDim = headDim, type, groupSize } = shape;
    const of = { ...shape, kind: null, steps: [] };
    const most = Math.max(...steps.map((lengths) => lengths.reduce((sum, n) => sum + n)));
    const room = { positions: roomFor(most), kvHeads, headDim, valueDim, type };
    const cache = await createKvCache(gpu, "cache", room);
    const columns = columnsOf(of);
    for (const [index, lengths] of steps.entries()) {
      const n = lengths.reduce((sum, length) => sum + length);
      const x = normals(40 + index, n * columns);
      const firsts = lengths.map((_, i) =>
        lengths.slice(0, i).reduce((sum, each) => sum + each, 0)
      );
      const bounds = lengths.flatMap((length, i) =>
        Array.from({ length }, () => ({ from: firsts[i] - 1, to: firsts[i] + length - 1 }))
      );
      const texts = { from: bounds.map(({ from }) => from), to: bounds.map(({ to }) => to) };
      const actual = await attendOnGpu(gpu, { shape: of, cache, x, n, position: 0, texts });
      const expected = lengths.flatMap((length, i) => {
        const [q, k, v]: number[][] = [[], [], []];
        for (let t = firsts[i]; t < firsts[i] + length; t++) {
          const row = x.subarray(t * columns, (t + 1) * columns);
          q.push(...row.subarray(0, heads * headDim));
          k.push(...kept(row.subarray(heads * headDim, (heads + kvHeads) * headDim), type));
          v.push(...kept(row.subarray((heads + kvHeads) * headDim), type));
        }
        const attended = referenceAttention({ q, k, v }, {
          ...{ p0: 0, heads, kvHeads, groupSize, headDim, valueDim },
          ...{ window: shape.window, chunk: shape.span, slopes: slopesOf(of) },
          scale: 1 / Math.sqrt(headDim),
          ahead: (shape.window ?? n) - 1,
        });
        return [...attended];
      });
      const bound = type === "f16" ? 2e-3 : 2e-5;
      const name = `${JSON.stringify(shape)} texts of ${lengths}`;
      assertNear(name, actual, Float64Array.from(expected), bound);
    }
    destroyKvCache(gpu, cache);
  };

const BASE = { heads: 4, kvHeads: 2, groupSize: 2, headDim: 16, type: "f32" } as const;
/** One token, few and many; borders within tiles and within blocks of positions. */
const STEPS = [[1], [3], [2, 4], [70], [33, 1, 64, 2]];

export const bothWaysCases: readonly GpuCase[] = [
  {
    kernels: ["attention", "attention_few", "attention_combine"],
    name: "attention() of texts in a step sees each token's own, both ways",
    run: async (gpu) => {
      await checkTexts(BASE, STEPS)(gpu);
      await checkTexts({ ...BASE, headDim: 64, type: "f16" }, STEPS)(gpu);
      const alibi = { maxBias: 8, firstHead: 0, ofHeads: 4 };
      await checkTexts({ ...BASE, alibi }, STEPS)(gpu);
    },
  },
  {
    kernels: ["attention", "attention_few", "attention_wide"],
    name: "attention() of texts has windows on both sides, and spans that are counted from a text",
    run: async (gpu) => {
      for (const seen of [{ window: 5 }, { span: 6 }]) {
        await checkTexts({ ...BASE, ...seen }, STEPS)(gpu);
        await checkTexts({ ...BASE, headDim: 64, type: "f16", ...seen }, STEPS)(gpu);
      }
      await checkTexts({ ...BASE, headDim: 24, window: 5, valueDim: 16 }, STEPS)(gpu);
    },
  },
];
