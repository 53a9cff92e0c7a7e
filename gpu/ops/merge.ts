/** Rows that follow one another become one. */
import { N } from "../../src/shapes/mod.ts";
import type { ProgramBuilder } from "../program.ts";
import { bindRows, checkRows, placeOf, type Rows } from "../rows.ts";

/** How; the numbers are the shader's. */
const MERGES = { concat: 0, turns: 1, mean: 2 } as const;

export interface MergeArgs {
  /** Of the step's first tokens. */
  readonly x: Rows;
  /** As many rows as are scored. */
  readonly to: Rows;
  /** Columns of x. */
  readonly width: number;
  /** Rows of x that become one. */
  readonly count: number;
  /** Side by side; in turns: all first numbers, then all second ones, …; their mean. */
  readonly merge: keyof typeof MERGES;
}

/** Columns that merging gives. */
export function mergedWidth({ width, count, merge }: Omit<MergeArgs, "x" | "to">): number {
  return merge === "mean" ? width : count * width;
}

/** Row r of `to` = rows r · count … of x, merged. */
export function mergeRows(builder: ProgramBuilder, args: MergeArgs): void {
  const { x, to, width, count, merge } = args;
  const columns = mergedWidth(args);
  checkRows(x, width);
  checkRows(to, columns);
  const [from, into] = [placeOf(x), placeOf(to)];
  builder.add({
    kernel: "merge_rows",
    constants: {
      ...{ WIDTH: width, COUNT: count, MERGE: MERGES[merge] },
      ...{ X_START: from.start, X_STRIDE: from.stride },
      ...{ TO_START: into.start, TO_STRIDE: into.stride },
    },
    bindings: [bindRows(x), bindRows(to)],
    count: "scored",
    workgroups: [Math.ceil(columns / LANES), N, 1],
  });
}

/** Invocations of a workgroup. */
const LANES = 64;
