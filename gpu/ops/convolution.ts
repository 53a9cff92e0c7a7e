/** Short convolutions over the last few tokens, and the rows that they keep. */
import { check } from "../../src/base/check.ts";
import { N } from "../../src/shapes/mod.ts";
import type { ConvolutionRows } from "../convolution_rows.ts";
import type { ProgramBuilder } from "../program.ts";
import { bindRows, checkRows, type Rows } from "../rows.ts";

/** Invocations of a workgroup. */
const LANES = 64;

export interface ShortConvolutionArgs {
  /** What gates, and the two that make rows by their product: 3 · width columns. */
  readonly x: Rows;
  /** [tokens, width]. */
  readonly to: Rows;
  /** f32 [width, taps]. */
  readonly weights: GPUBuffer;
  readonly kept: ConvolutionRows;
}

/** to = query ⊙ convolution of (key ⊙ value), of each sequence by itself. */
export function shortConvolution(builder: ProgramBuilder, args: ShortConvolutionArgs): void {
  const { x, to, weights, kept } = args;
  const { width, taps, ringRows, rings, ends, tokens } = kept;
  const { input } = builder;
  checkRows(x, 3 * width);
  checkRows(to, width);
  check(input.maxTokens <= tokens, "rows of a step find a place in a ring");
  for (const isApart of [true, false]) {
    builder.add({
      kernel: "short_convolution",
      constants: {
        ...{ WIDTH: width, TAPS: taps, RING: ringRows },
        ...{ RECORD: input.recordWords, IS_APART: isApart },
        ...{ X_START: x.column ?? 0, X_STRIDE: x.stride },
        ...{ TO_START: to.column ?? 0, TO_STRIDE: to.stride },
      },
      bindings: [
        ...[input.header, input.records, { buffer: weights }],
        ...[bindRows(x), bindRows(to), { buffer: rings }, { buffer: ends }],
      ],
      workgroups: [Math.ceil(width / LANES), N, 1],
      when: { isApart },
    });
  }
}
