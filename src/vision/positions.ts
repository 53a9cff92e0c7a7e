/** Learned positions of a square of patches, and those of other grids between them. */
import type { ImageConfig } from "../model/vision_types.ts";
import type { Grid } from "./patch_order.ts";

/** What a place of a target takes of each of the source's. */
interface Taps {
  readonly first: number;
  readonly weights: readonly number[];
}

type Positions = NonNullable<ImageConfig["positions"]>;

const TAPS = {
  ...{ bilinear: smoothTaps, bilinearCentres: centreTaps, bilinearTenth: tenthTaps },
  ...{ bilinearCorners: cornerTaps, bicubic: cubicTaps },
} as const;

/**
 * Positions of a grid's patches, [rows · columns, d], in reading order.
 * @param table [count, d], a class token's among them.
 */
export function positionsOf(
  grid: Grid,
  { count, classRow, resize }: Positions,
  table: Float32Array,
): Float32Array {
  const d = table.length / count;
  if (resize === "sum") return sumsOf(grid, table, count / 2);
  const first = classRow === 0 ? 1 : 0;
  const patches = count - (classRow === null ? 0 : 1);
  const square = table.subarray(first * d, (first + patches) * d);
  const side = Math.floor(Math.sqrt(patches));
  const isSquare = grid.rows === side && grid.columns === side;
  if (resize === null || isSquare && resize !== "bilinearTenth") return square;
  if (resize === "spread") return spread(grid, square, side);
  const taps = TAPS[resize];
  const [down, across] = [taps(side, grid.rows), taps(side, grid.columns)];
  const positions = new Float32Array(grid.rows * grid.columns * d);
  let to = 0;
  for (const row of down) {
    for (const column of across) {
      row.weights.forEach((rowWeight, y) =>
        column.weights.forEach((columnWeight, x) => {
          const from = ((row.first + y) * side + column.first + x) * d;
          const weight = rowWeight * columnWeight;
          for (let i = 0; i < d; i++) positions[to + i] += weight * square[from + i];
        })
      );
      to += d;
    }
  }
  return positions;
}

/** square: [side · side, d]; of each patch the place that its first pixel would be at. */
function spread({ rows, columns }: Grid, square: Float32Array, side: number): Float32Array {
  const d = square.length / side ** 2;
  const positions = new Float32Array(rows * columns * d);
  for (let row = 0; row < rows; row++) {
    const down = Math.floor(side * row / rows);
    for (let column = 0; column < columns; column++) {
      const place = down * side + Math.floor(side * column / columns);
      positions.set(square.subarray(place * d, (place + 1) * d), (row * columns + column) * d);
    }
  }
  return positions;
}

/** table: [2, length, d], columns' first. */
function sumsOf({ rows, columns }: Grid, table: Float32Array, length: number): Float32Array {
  const d = table.length / (2 * length);
  const positions = new Float32Array(rows * columns * d);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const to = (row * columns + column) * d;
      for (let i = 0; i < d; i++) {
        positions[to + i] = table[column * d + i] + table[(length + row) * d + i];
      }
    }
  }
  return positions;
}

/** Pixels' centres meet, and where the target is smaller each takes from all that it covers. */
function smoothTaps(sourceCount: number, targetCount: number): Taps[] {
  const scale = sourceCount / targetCount;
  const reach = Math.max(1, scale);
  return Array.from({ length: targetCount }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const end = Math.min(Math.trunc(centre + reach + 0.5), sourceCount);
    const weights = Array.from(
      { length: end - first },
      (_, k) => Math.max(1 - Math.abs(first + k - centre + 0.5) / reach, 0),
    );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

/** Pixels' centres meet, and each takes from the two nearest. */
function centreTaps(sourceCount: number, targetCount: number): Taps[] {
  return tenthTaps(sourceCount, targetCount, 0);
}

/** As if the target were a tenth of a place longer; in single precision, as it was trained. */
function tenthTaps(sourceCount: number, targetCount: number, more = 0.1): Taps[] {
  const { fround } = Math;
  const scale = fround(fround(targetCount + fround(more)) / sourceCount);
  return Array.from({ length: targetCount }, (_, i) => {
    const at = fround(fround((i + 0.5) / scale) - 0.5);
    const place = (value: number) => Math.min(Math.max(value, 0), sourceCount - 1);
    const first = place(Math.floor(at));
    const second = place(Math.floor(at) + 1);
    const part = Math.min(Math.max(at - first, 0), 1);
    return { first, weights: first === second ? [1] : [1 - part, part] };
  });
}

/** Corners meet corners. */
function cornerTaps(sourceCount: number, targetCount: number): Taps[] {
  return Array.from({ length: targetCount }, (_, i) => {
    const at = targetCount > 1
      ? i * (sourceCount - 1) / (targetCount - 1)
      : i * sourceCount / targetCount;
    const first = Math.min(Math.floor(at), Math.max(sourceCount - 2, 0));
    const part = Math.min(at - first, 1);
    return sourceCount === 1 ? { first, weights: [1] } : { first, weights: [1 - part, part] };
  });
}

/** How far cubics swing: as PyTorch has it. */
const CUBIC = -0.75;

/** Pixels' centres meet; cubics through four places, of which those outside are the outermost. */
function cubicTaps(sourceCount: number, targetCount: number): Taps[] {
  const scale = sourceCount / targetCount;
  return Array.from({ length: targetCount }, (_, i) => {
    const at = (i + 0.5) * scale - 0.5;
    const before = Math.floor(at) - 1;
    const places = [0, 1, 2, 3].map((k) => Math.min(Math.max(before + k, 0), sourceCount - 1));
    const weights = Array<number>(places[3] - places[0] + 1).fill(0);
    places.forEach((place, k) => weights[place - places[0]] += cubicWeight(at - (before + k)));
    return { first: places[0], weights };
  });
}

function cubicWeight(distance: number): number {
  const x = Math.abs(distance);
  if (x <= 1) return ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1;
  return x < 2 ? ((CUBIC * x - 5 * CUBIC) * x + 8 * CUBIC) * x - 4 * CUBIC : 0;
}
