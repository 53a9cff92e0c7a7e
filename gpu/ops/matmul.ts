/** Matrix times activations: for one token, for some, for many, over one layout of weights. */
import { check } from "../../src/base/check.ts";
import { N } from "../../src/shapes/mod.ts";
import type { Constants } from "../pipelines.ts";
import type { ProgramBuilder, Range } from "../program.ts";
import { bindRows, checkRows, type Rows } from "../rows.ts";
import type { TunedKernel } from "../variants.ts";
import { FACTORS, FLOAT_KINDS, pieceColumns, type WeightFormat } from "../weights/formats.ts";
import type { GpuMatrix, MatrixPart } from "../weights/matrix.ts";

export interface MatmulArgs {
  readonly matrix: GpuMatrix;
  /** [tokens, columns]. */
  readonly x: Rows;
  /** [tokens, rows]. */
  readonly to: Rows;
  /** f32 [rows], or none. */
  readonly bias?: GPUBuffer | null;
  /** Added to what `to` holds. */
  readonly accumulate?: boolean;
  /** Multiplies product and bias; left out: 1. */
  readonly scale?: number;
  /** Left out: "tokens". */
  readonly count?: "tokens" | "scored";
  /** The first rows alone; left out: all. */
  readonly rowCount?: number;
  /** The first columns alone, by 32 (4 of floats); left out: all. */
  readonly columnCount?: number;
}

/** Few tokens: weights are read once for so many at a time. */
const FEW: readonly { readonly tokens: number; readonly when: Range }[] = [
  { tokens: 1, when: [1, 1] },
  { tokens: 2, when: [2, 2] },
  { tokens: 4, when: [3, 4] },
  { tokens: 8, when: [5, 7] },
];

/** From here on weights are taken apart once for a tile of tokens. */
export const MANY_TOKENS = 8;

/** to (+)= scale · (matrix · x + bias). */
export function matmul(builder: ProgramBuilder, args: MatmulArgs): void {
  const { matrix, x, to, rowCount = matrix.rows, columnCount = matrix.columns } = args;
  const step = matrix.format.family === "float" ? 4 : 32;
  check(rowCount <= matrix.rows && columnCount <= matrix.columns, "more than the matrix has");
  check(columnCount % step === 0, `${columnCount} columns are not by ${step}`);
  checkRows(x, columnCount);
  checkRows(to, rowCount);
  for (const part of matrix.parts) {
    const rows = Math.min(part.rows, rowCount - part.firstRow);
    if (rows > 0) addPart(builder, { ...args, columnCount }, part, rows);
  }
}

function addPart(
  builder: ProgramBuilder,
  args: MatmulArgs & { columnCount: number },
  part: MatrixPart,
  rows: number,
): void {
  const { gpu, input, maxTokens } = builder;
  const { matrix, x, to, bias = null, count = "tokens" } = args;
  const { family } = matrix.format;
  const constants = { ...constantsOf(args, part, rows), ...formatConstants(matrix.format) };
  const bindings = [
    input.header,
    { buffer: part.codes },
    ...family === "float" ? [] : [{ buffer: part.factors }],
    { buffer: bias ?? gpu.nothing },
    bindRows(x),
    bindRows(to),
  ];
  const common = { bindings, count };
  for (const { tokens, when } of FEW) {
    builder.add({
      ...common,
      kernel: gpu.variants[KERNELS_OF[family].few],
      constants: { ...constants, TOKENS: tokens },
      workgroups: [Math.ceil(rows / 4), N.ceilDiv(tokens), 1],
      when: { tokens: when },
    });
  }
  builder.add({
    ...common,
    kernel: gpu.variants[KERNELS_OF[family].many],
    constants,
    workgroups: [Math.ceil(rows / 64), N.ceilDiv(32), 1],
    when: { tokens: [MANY_TOKENS, Math.max(MANY_TOKENS, maxTokens)] },
  });
}

const KERNELS_OF: Readonly<
  Record<WeightFormat["family"], { few: TunedKernel; many: TunedKernel }>
> = {
  nibble: { few: "matvec_nibble", many: "matmul_nibble" },
  byte: { few: "matvec_byte", many: "matmul_byte" },
  float: { few: "matvec_float", many: "matmul_float" },
};

function constantsOf(
  args: MatmulArgs & { columnCount: number },
  { firstRow }: MatrixPart,
  rows: number,
): Constants {
  const { matrix, x, to, bias = null, accumulate = false, scale = 1, count, columnCount } = args;
  const piece = pieceColumns(matrix.format);
  return {
    ROWS: rows,
    PIECES: columnCount / piece,
    ROW_PIECES: matrix.columns / piece,
    X_START: (x.column ?? 0) / 4,
    X_STRIDE: x.stride / 4,
    TO_START: (to.column ?? 0) + firstRow,
    TO_STRIDE: to.stride,
    BIAS_START: firstRow,
    HAS_BIAS: bias !== null,
    ACCUMULATE: accumulate,
    SCALE: scale,
    SCORED: count === "scored",
  };
}

/** What shaders are told of a format. */
export function formatConstants(format: WeightFormat): Constants {
  if (format.family === "float") return { KIND: FLOAT_KINDS[format.kind] };
  const common = { GROUP: format.group, FACTORS: FACTORS[format.factors] };
  return format.family === "nibble" ? { ...common, MIDDLE: format.middle } : common;
}
