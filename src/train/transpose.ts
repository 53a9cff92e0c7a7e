/** Matrices turned over, a tile at a time, so that rows of both sides stay in the cache. */

const TILE = 16;

/** A matrix within an array: rows `stride` numbers apart. */
export interface MatrixView {
  readonly values: Float32Array;
  readonly stride: number;
}

/** to[c, r] = from[r, c] for r in 0..rows, c in 0..columns. */
export function transpose(
  from: MatrixView,
  to: MatrixView,
  { rows, columns }: { rows: number; columns: number },
): void {
  for (let rowBegin = 0; rowBegin < rows; rowBegin += TILE) {
    const rowEnd = Math.min(rowBegin + TILE, rows);
    for (let columnBegin = 0; columnBegin < columns; columnBegin += TILE) {
      const columnEnd = Math.min(columnBegin + TILE, columns);
      transposeTile(from.values, from.stride, to.values, to.stride, {
        rowBegin,
        rowEnd,
        columnBegin,
        columnEnd,
      });
    }
  }
}

function transposeTile(
  from: Float32Array,
  fromStride: number,
  to: Float32Array,
  toStride: number,
  tile: { rowBegin: number; rowEnd: number; columnBegin: number; columnEnd: number },
): void {
  const { rowBegin, rowEnd, columnBegin, columnEnd } = tile;
  for (let column = columnBegin; column < columnEnd; column++) {
    const line = column * toStride;
    for (let row = rowBegin; row < rowEnd; row++) {
      to[line + row] = from[row * fromStride + column];
    }
  }
}
