/** In which order a tower sees patches, and rows come out of it. */
import type { ImageConfig } from "../model/vision_types.ts";

export interface Grid {
  readonly rows: number;
  readonly columns: number;
}

/**
 * Patches by their places in reading order: block after block of those that become one row, in
 * each, where they become rows between layers, block after block of those, and window after window
 * of blocks where there are windows.
 */
export function patchOrder(
  grid: Grid,
  { mergeSide, windowSide, foldSide }: Pick<ImageConfig, "mergeSide" | "windowSide" | "foldSide">,
): Int32Array {
  const sides = [
    ...foldSide === undefined ? [] : [foldSide],
    mergeSide,
    ...windowSide === null ? [] : [windowSide],
  ];
  return placesByBlocks(grid, sides);
}

/** Row i of an image in reading order is the tower's row order[i]; undefined: row i. */
export function outcomeOrder(
  { rows, columns }: Grid,
  { mergeSide, windowSide }: Pick<ImageConfig, "mergeSide" | "windowSide">,
): Int32Array | undefined {
  if (windowSide === null) return undefined;
  const merged = { rows: rows / mergeSide, columns: columns / mergeSide };
  const places = placesByBlocks(merged, [windowSide / mergeSide]);
  const order = new Int32Array(places.length);
  places.forEach((place, row) => order[place] = row);
  return order;
}

/** Places of a grid: blocks of the last side in reading order, in each those of the one before. */
function placesByBlocks({ rows, columns }: Grid, sides: readonly number[]): Int32Array {
  const places = new Int32Array(rows * columns);
  let count = 0;
  const visit = (top: number, left: number, within: Grid, level: number) => {
    const side = level < 0 ? 1 : sides[level];
    for (let row = 0; row < within.rows; row += side) {
      for (let column = 0; column < within.columns; column += side) {
        if (level < 0) places[count++] = (top + row) * columns + left + column;
        else {
          // Edges of an image cut off windows.
          const [down, across] = [within.rows - row, within.columns - column];
          const own = { rows: Math.min(side, down), columns: Math.min(side, across) };
          visit(top + row, left + column, own, level - 1);
        }
      }
    }
  };
  visit(0, 0, { rows, columns }, sides.length - 1);
  return places;
}
