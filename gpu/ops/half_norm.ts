/**
 * Half of a norm of the residual stream where no product before has left it: of rows that are
 * there, or of the next token's row of embeddings, together with its step.
 */
import { check } from "../../src/base/check.ts";
import { N } from "../../src/shapes/mod.ts";
import type { KernelName } from "../kernels.ts";
import type { ProgramBuilder } from "../program.ts";
import { bindNowhere, bindRows, checkRows, type Rows } from "../rows.ts";
import { HEADER_BYTES } from "../step_input.ts";
import { pieceColumns, type WeightFormat } from "../weights/formats.ts";
import type { GpuMatrix } from "../weights/matrix.ts";
import type { StepChain } from "../step_chain.ts";
import { CHOSEN_WORDS, lastWordOf } from "./choose.ts";
import { embed } from "./embed.ts";
import { formatConstants } from "./matmul.ts";
import { allReadHalves, beginHalfNorm, type HalfNorm, type NextNorm } from "./one_token.ts";

/** Columns of a piece, and invocations of a workgroup, which have one each. */
const PIECE = 32;
const LANES = 32;

export interface HalfNormArgs extends NextNorm {
  /** The residual stream, [tokens, width]. */
  readonly x: Rows;
  readonly width: number;
}

/** Half of the norm of x; null: that does not do for all who read it. */
export function leaveHalfNorm(builder: ProgramBuilder, args: HalfNormArgs): HalfNorm | null {
  const { x, width, weight, normed } = args;
  checkRows(x, width);
  const left = beginHalfNorm(builder, args, null);
  if (left === null) return null;
  const { half, isFloat, constants } = left;
  const [sink, otherSink] = bindNowhere(builder.gpu.sink);
  builder.add({
    kernel: "half_norm",
    constants: { ...constants, WIDTH: width, X_START: (x.column ?? 0) / 4, X_STRIDE: x.stride / 4 },
    bindings: [
      { buffer: weight },
      bindRows(x),
      isFloat ? bindRows(normed) : sink,
      half.int8 ? { buffer: half.int8 } : otherSink,
    ],
    workgroups: [Math.ceil(width / PIECE / LANES), N, 1],
  });
  return half;
}

export interface EnterArgs extends NextNorm {
  /** [vocabulary, columns]. */
  readonly matrix: GpuMatrix;
  readonly scale: number;
  /** The residual stream, in the same buffer as the norm. */
  readonly to: Rows;
  /** Whose step it is, by what was chosen. */
  readonly chain: StepChain;
}

const KERNELS_OF: Readonly<Record<WeightFormat["family"], KernelName>> = {
  ...{ nibble: "enter_nibble", byte: "enter_byte", float: "enter_float" },
};
/** Pieces of the table that a workgroup has. */
const TABLE_PIECES = 64;

/**
 * The next token's step, its row in the stream, and half of that one's norm: in one dispatch, or,
 * of a table in several pieces, to the same bits in several.
 * @returns null, and nothing is added: half of it does not do for all who read it.
 */
export function enterToken(builder: ProgramBuilder, args: EnterArgs): HalfNorm | null {
  const { matrix, scale, to, chain, weight, normed } = args;
  const { columns: width, format, parts } = matrix;
  if (parts.length !== 1) {
    if (!allReadHalves(builder, { ...args, width })) return null;
    chain.addAdvance(builder);
    embed(builder, { matrix, to, scale });
    return leaveHalfNorm(builder, { ...args, x: to, width });
  }
  const { table, chosen } = chain;
  check(to.buffer === normed.buffer, "a dispatch binds a buffer in one way");
  const left = beginHalfNorm(builder, { ...args, width }, null);
  if (left === null) return null;
  const { half, constants } = left;
  const [part] = parts;
  const { input, gpu } = builder;
  const startOf = ({ offsetBytes, column = 0 }: Rows) => offsetBytes / 4 + column;
  const rowPieces = width / pieceColumns(format);
  builder.add({
    kernel: KERNELS_OF[format.family],
    constants: {
      ...formatConstants(format),
      ...constants,
      ...{ WIDTH: width, ROWS: part.rows, ROW_PIECES: rowPieces, SCALE: scale },
      ...{ TO_START: startOf(to), NORMED_START: startOf(normed) },
      ...{ WORDS: HEADER_BYTES / 4 + input.recordWords, ID: HEADER_BYTES / 4 },
      ...{ CHOSEN_WORDS, LAST: lastWordOf(chosen) },
    },
    bindings: [
      { buffer: input.buffer },
      { buffer: part.codes },
      { buffer: format.family === "float" ? gpu.nothing : part.factors },
      ...[{ buffer: table }, { buffer: chosen }, { buffer: weight }, { buffer: to.buffer }],
      half.int8 ? { buffer: half.int8 } : { buffer: gpu.sink },
    ],
    workgroups: [Math.ceil(rowPieces / TABLE_PIECES), 1, 1],
  });
  return half;
}
