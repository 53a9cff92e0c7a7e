/** Rows of a tower that follow one another become one. */
import { activate, headNorm, mergedWidth, mergeRows } from "../../../gpu/mod.ts";
import { runStep } from "../../support/gpu.ts";
import { assertNear, normals } from "./compare.ts";
import { neuronOf } from "./elementwise.ts";
import type { GpuCase } from "./types.ts";

type Merge = "concat" | "turns" | "mean";

/** Rows that come out, of more that are there. */
const M = 3;
/** What stands in rows behind them, and must stay. */
const UNTOUCHED = 7;

const checkMerge = (merge: Merge, count: number, width: number): GpuCase["run"] => async (gpu) => {
  const n = M * count + 2;
  const columns = mergedWidth({ width, count, merge });
  const x = normals(1, n * width);
  const actual = await runStep(gpu, {
    n,
    m: M,
    rows: {
      x: { values: x, width },
      to: { values: new Float32Array((M + 1) * columns).fill(UNTOUCHED), width: columns },
    },
    build: (builder, { x, to }) => mergeRows(builder, { x, to, width, count, merge }),
    read: "to",
  });
  const at = (row: number, i: number, column: number) => x[(row * count + i) * width + column];
  const expected = Float64Array.from({ length: (M + 1) * columns }, (_, index) => {
    const [row, j] = [Math.floor(index / columns), index % columns];
    if (row === M) return UNTOUCHED;
    if (merge === "concat") return at(row, Math.floor(j / width), j % width);
    if (merge === "turns") return at(row, j % count, Math.floor(j / count));
    return Array.from({ length: count }, (_, i) => at(row, i, j)).reduce((a, b) => a + b) / count;
  });
  assertNear(`${merge} of ${count} rows of ${width}`, actual, expected, 1e-6);
};

export const mergeCases: readonly GpuCase[] = [
  {
    kernels: ["merge_rows"],
    name: "mergeRows() puts rows side by side, in turns, or makes their mean",
    run: async (gpu) => {
      for (const merge of ["concat", "turns", "mean"] as const) {
        for (const [count, width] of [[4, 24], [9, 20], [1, 68], [4, 132]]) {
          await checkMerge(merge, count, width)(gpu);
        }
      }
    },
  },
  {
    kernels: ["activate", "head_norm"],
    name: "activate() and headNorm() leave rows alone that do not come out",
    run: async (gpu) => {
      const width = 68;
      const x = normals(3, (M + 1) * width);
      const activation = { activation: "quickGelu", isGated: false } as const;
      const act = await runStep(gpu, {
        ...{ n: M + 1, m: M, read: "to" },
        rows: {
          x: { values: x, width },
          to: { values: new Float32Array((M + 1) * width).fill(UNTOUCHED), width },
        },
        build: (builder, { x, to }) =>
          activate(builder, { x, to, neurons: width, ...activation, count: "scored" }),
      });
      const expected = Float64Array.from(
        x,
        (value, i) => i < M * width ? neuronOf(activation, value, value) : UNTOUCHED,
      );
      assertNear("quickGelu", act, expected, 1e-5);
      const weight = await gpu.createVector("weight", new Float32Array(width).fill(1));
      const normed = await runStep(gpu, {
        ...{ n: M + 1, m: M, read: "x" },
        rows: { x: { values: x, width } },
        build: (builder, { x }) =>
          headNorm(builder, {
            ...{ kind: "rms", epsilon: 1e-5, weight, x, heads: 1, width, count: "scored" },
          }),
      });
      const last = Float64Array.from(x.subarray(M * width));
      assertNear("the last row", normed.subarray(M * width), last, 0);
    },
  },
];
