/**
 * Which rows of a table stay in a packed file, and where they come to when a step needs them. A
 * token reads one row of the embedding table: where neurons are left in the file for want of
 * memory, so is the table, unless it is the output, too. Pure arithmetic.
 */
import type { GgufTensor } from "../../gguf/types.ts";
import { rowBytes } from "../../model/dtypes.ts";
import type { MatrixPlan, RankPlan } from "./plan_types.ts";

/**
 * whole: the table as it would be loaded. place: the staging region, which nobody else needs while
 * tokens are embedded (step_graph.ts); rowsMax: of a step. Null: it has no room for a row, and the
 * table could not be loaded either.
 */
export function leaveInFile(
  whole: MatrixPlan,
  { type, dims, offsetBytes }: GgufTensor,
  place: { offsetBytes: number; sizeBytes: number; rowsMax: number },
): Pick<RankPlan, "embedding" | "embeddingInFile"> | null {
  const { rows, rowStrideBytes } = whole;
  const fileRowBytes = rowBytes(type, dims[0]);
  const fitting = Math.floor(place.sizeBytes / (rowStrideBytes + fileRowBytes));
  const rowsAtOnce = Math.min(place.rowsMax, fitting);
  if (rowsAtOnce === 0) return null;
  return {
    embedding: { ...whole, offsetBytes: place.offsetBytes },
    embeddingInFile: {
      ...{ fileRowBytes, rowsAtOnce },
      fileOffsetBytes: offsetBytes + rows.start * fileRowBytes,
      rawOffsetBytes: place.offsetBytes + rowsAtOnce * rowStrideBytes,
    },
  };
}
