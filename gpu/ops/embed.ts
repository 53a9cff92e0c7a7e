/** Rows of a table by the tokens' ids, or by their positions. */
import { N } from "../../src/shapes/mod.ts";
import type { KernelName } from "../kernels.ts";
import type { ProgramBuilder } from "../program.ts";
import { bindRows, checkRows, type Rows } from "../rows.ts";
import { pieceColumns, type WeightFormat } from "../weights/formats.ts";
import type { GpuMatrix } from "../weights/matrix.ts";
import { formatConstants } from "./matmul.ts";

export interface EmbedArgs {
  /** [ids, columns]. */
  readonly matrix: GpuMatrix;
  /** [tokens, columns]. */
  readonly to: Rows;
  /** Id (or position) of the matrix' first row; left out: 0. Ids without a row give zeros. */
  readonly firstId?: number;
  /** Left out: 1. */
  readonly scale?: number;
  /** Added to what `to` holds. */
  readonly accumulate?: boolean;
  /** Left out: "ids". */
  readonly by?: "ids" | "positions";
}

const KERNELS_OF: Readonly<Record<WeightFormat["family"], KernelName>> = {
  nibble: "embed_nibble",
  byte: "embed_byte",
  float: "embed_float",
};

/** to (+)= scale · matrix[id − firstId]. */
export function embed(builder: ProgramBuilder, args: EmbedArgs): void {
  const { matrix, to, firstId = 0, scale = 1, accumulate = false, by = "ids" } = args;
  checkRows(to, matrix.columns);
  const { input } = builder;
  const { family } = matrix.format;
  const rowPieces = matrix.columns / pieceColumns(matrix.format);
  matrix.parts.forEach((part, index) => {
    builder.add({
      kernel: KERNELS_OF[family],
      constants: {
        ...formatConstants(matrix.format),
        ROWS: part.rows,
        FIRST_ID: firstId + part.firstRow,
        BY_POSITION: by === "positions",
        IS_FIRST: index === 0,
        ROW_PIECES: rowPieces,
        RECORD: input.recordWords,
        TO_START: (to.column ?? 0) / 4,
        TO_STRIDE: to.stride / 4,
        ACCUMULATE: accumulate,
        SCALE: scale,
      },
      bindings: [
        input.header,
        { buffer: part.codes },
        { buffer: family === "float" ? builder.gpu.nothing : part.factors },
        input.records,
        bindRows(to),
      ],
      workgroups: [Math.ceil(rowPieces / 64), N, 1],
    });
  });
}
