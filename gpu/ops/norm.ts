/** Norms: of tokens' rows, and of heads in place. */
import { check } from "../../src/base/check.ts";
import { N } from "../../src/shapes/mod.ts";
import type { ProgramBuilder } from "../program.ts";
import { bindRows, checkRows, type Rows } from "../rows.ts";

export type NormKind = "rms" | "layer";

export interface NormArgs {
  readonly kind: NormKind;
  readonly epsilon: number;
  /** Columns. */
  readonly width: number;
  /** f32 [width]. */
  readonly weight: GPUBuffer;
  /** f32 [width], or none. */
  readonly bias?: GPUBuffer | null;
  readonly from: Rows;
  /** Elsewhere than `from`. */
  readonly to: Rows;
  /** Added to what `to` holds. */
  readonly accumulate?: boolean;
  /** Multiplies `from` before it is normalised; left out: 1. */
  readonly scale?: number;
  /** "scored": the last m rows of `from` become rows 0 … m − 1 of `to`. Left out: "tokens". */
  readonly count?: "tokens" | "scored";
}

/** to (+)= norm(scale · from). */
export function norm(builder: ProgramBuilder, args: NormArgs): void {
  const { kind, epsilon, width, weight, bias = null, from, to, count = "tokens" } = args;
  checkRows(from, width);
  checkRows(to, width);
  // What is added to is no norm: nobody reads its products.
  const int8 = args.accumulate ? null : builder.holdInt8(to, count, width);
  builder.add({
    kernel: "norm",
    constants: {
      WIDTH: width,
      EPSILON: epsilon,
      IS_LAYER: kind === "layer",
      X_START: (from.column ?? 0) / 4,
      X_STRIDE: from.stride / 4,
      TO_START: (to.column ?? 0) / 4,
      TO_STRIDE: to.stride / 4,
      TO_INT8: int8 !== null,
      LANES: lanesFor(builder, width),
      HAS_BIAS: bias !== null,
      ACCUMULATE: args.accumulate ?? false,
      SCALE: args.scale ?? 1,
      SCORED: count === "scored",
    },
    bindings: [
      builder.input.header,
      { buffer: weight },
      { buffer: bias ?? builder.gpu.nothing },
      bindRows(from),
      bindRows(to),
      { buffer: int8 ?? builder.gpu.sink },
    ],
    ...int8 ? { keeps: to } : {},
    count,
    workgroups: [N, 1, 1],
  });
}

export interface JoinNormsArgs {
  /** Columns, by 4. */
  readonly width: number;
  readonly epsilon: number;
  /** f32 [width]. */
  readonly weight: GPUBuffer;
  readonly from: Rows;
  /** Multiplies `from` before it is normalised. */
  readonly scale: number;
  /** The residual stream. */
  readonly to: Rows;
  /** f32 [1], multiplies the stream then; null: nothing does. */
  readonly factor: GPUBuffer | null;
  /** What reads the stream next: its norm. */
  readonly next: { readonly weight: GPUBuffer; readonly epsilon: number; readonly normed: Rows };
}

/** to = factor · (to + norm(scale · from)), then next.normed = norm(to); both norms are RMS. */
export function joinNorms(builder: ProgramBuilder, args: JoinNormsArgs): void {
  const { width, epsilon, weight, from, scale, to, factor, next } = args;
  check(width % 4 === 0, `${width} columns are not by fours`);
  for (const rows of [from, to, next.normed]) checkRows(rows, width);
  const int8 = builder.holdInt8(next.normed, "tokens", width);
  builder.add({
    kernel: "joined_norms",
    constants: {
      ...{ WIDTH: width, EPSILON: epsilon, NEXT_EPSILON: next.epsilon, SCALE: scale },
      HAS_FACTOR: factor !== null,
      X_START: (from.column ?? 0) / 4,
      X_STRIDE: from.stride / 4,
      TO_START: (to.column ?? 0) / 4,
      TO_STRIDE: to.stride / 4,
      NORMED_START: (next.normed.column ?? 0) / 4,
      NORMED_STRIDE: next.normed.stride / 4,
      TO_INT8: int8 !== null,
      LANES: lanesFor(builder, width),
    },
    bindings: [
      { buffer: weight },
      { buffer: next.weight },
      { buffer: factor ?? builder.gpu.nothing },
      ...[bindRows(from), bindRows(to), bindRows(next.normed)],
      { buffer: int8 ?? builder.gpu.sink },
    ],
    ...int8 ? { keeps: next.normed } : {},
    workgroups: [N, 1, 1],
  });
}

/** Invocations that make a row in one turn, four columns each, where there may be so many. */
function lanesFor({ gpu: { limits } }: ProgramBuilder, width: number): number {
  const most = Math.min(LANES_MAX, limits.maxComputeInvocationsPerWorkgroup);
  let lanes = LANES_MIN;
  while (lanes * 4 < width && 2 * lanes <= most) lanes *= 2;
  return lanes;
}

const LANES_MIN = 32;
const LANES_MAX = 1024;

export interface HeadNormArgs {
  readonly kind: NormKind;
  readonly epsilon: number;
  /** f32 [width], the same for all heads, or [heads · width] if `weightPerHead`. */
  readonly weight: GPUBuffer;
  /** As long; null or left out: none. */
  readonly bias?: GPUBuffer | null;
  readonly weightPerHead?: boolean;
  /** Heads side by side; normalised in place. */
  readonly x: Rows;
  readonly heads: number;
  /** "scored": of the first rows. Left out: "tokens". */
  readonly count?: "tokens" | "scored";
  /** Of a head; where all heads are one vector: 1 head of all their dimensions. */
  readonly width: number;
}

/** Each head of x becomes its norm. */
export function headNorm(builder: ProgramBuilder, args: HeadNormArgs): void {
  const { kind, epsilon, weight, bias = null, weightPerHead = false, x, heads, width } = args;
  checkRows(x, heads * width);
  builder.add({
    kernel: "head_norm",
    constants: {
      WIDTH: width,
      EPSILON: epsilon,
      IS_LAYER: kind === "layer",
      IS_PER_HEAD: weightPerHead,
      HAS_BIAS: bias !== null,
      X_START: x.column ?? 0,
      X_STRIDE: x.stride,
    },
    bindings: [{ buffer: weight }, { buffer: bias ?? builder.gpu.nothing }, bindRows(x)],
    count: args.count,
    workgroups: [heads, N, 1],
  });
}
