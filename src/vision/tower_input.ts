/** A tile's pixels as a tower takes them: normalised patches, and what is added to their rows. */
import type { ImageConfig, TowerInput } from "../model/vision_types.ts";
import { type Grid, patchOrder } from "./patch_order.ts";
import { positionsOf } from "./positions.ts";
import type { ImageTables, Raster } from "./types.ts";

const { fround } = Math;

/** Whole patches of a tile. */
export function gridOf({ width, height }: Raster, { patchSize }: ImageConfig): Grid {
  return { rows: Math.floor(height / patchSize), columns: Math.floor(width / patchSize) };
}

export function towerInput(tile: Raster, config: ImageConfig, tables: ImageTables): TowerInput {
  const grid = gridOf(tile, config);
  const order = patchOrder(grid, config);
  const kept = order.length;
  const count = kept + config.classTokenCount;
  return {
    ...{ count, kept },
    patches: cutPatches(tile, { config, order, columns: grid.columns, count }),
    added: addedRows({ grid, order, config, tables, count }),
    positions: placesOf({ grid, order, config, count }),
    ...config.second && { second: secondInput(grid, config, tables) },
  };
}

/** What is added to rows that convolutions make of a grid's, and class tokens behind them. */
function secondInput(
  { rows, columns }: Grid,
  { second, convolvedSide = 1, ...config }: ImageConfig,
  { second: tables }: ImageTables,
): NonNullable<TowerInput["second"]> {
  const grid = { rows: rows / convolvedSide, columns: columns / convolvedSide };
  const kept = grid.rows * grid.columns;
  const asking = second!.queries?.findIndex(({ count }) => count === kept);
  if (asking !== undefined) return queriedInput(kept, tables!.queries![asking]);
  const count = kept + second!.classTokenCount;
  const added = addedRows({
    ...{ grid, count, order: Int32Array.from({ length: kept }, (_, row) => row) },
    config: { ...config, ...second!, patchBias: null },
    tables: { ...tables!, patchBias: null },
  });
  return { count, kept, added: added ?? new Float32Array(0) };
}

/** Queries behind as many rows, to which nothing is added. */
function queriedInput(kept: number, queries: Float32Array): NonNullable<TowerInput["second"]> {
  const added = new Float32Array(2 * queries.length);
  added.set(queries, queries.length);
  return { kept, count: 2 * kept, added };
}

/** [count, 3 · side²], channel by channel or pixel by pixel. */
function cutPatches(
  { bytes, start, rowStride, pixelStride, channels, values, width }: Raster,
  { config, order, columns, count }: {
    readonly config: ImageConfig;
    readonly order: Int32Array;
    readonly columns: number;
    readonly count: number;
  },
): Float32Array {
  const { patchSize } = config;
  const patches = new Float32Array(count * 3 * patchSize ** 2);
  const levels = channels.map((_, channel) => normalised(channel, config));
  const plane = patchSize ** 2;
  const [ofPixel, ofChannel] = config.hasColoursLast ? [3, 1] : [1, plane];
  let first = 0;
  for (const place of order) {
    const row = Math.floor(place / columns);
    const corner = start + row * patchSize * rowStride +
      (place - row * columns) * patchSize * pixelStride;
    for (let channel = 0; channel < 3; channel++) {
      let to = first + channel * ofChannel;
      const valueOf = levels[channel];
      for (let y = 0; y < patchSize; y++) {
        if (values) {
          const top = row * patchSize + y, left = (place - row * columns) * patchSize;
          let from = (top * width + left) * 3 + channel;
          for (let x = 0; x < patchSize; x++, from += 3, to += ofPixel) patches[to] = values[from];
          continue;
        }
        let from = corner + y * rowStride + channels[channel];
        for (let x = 0; x < patchSize; x++, from += pixelStride, to += ofPixel) {
          patches[to] = valueOf[bytes[from]];
        }
      }
    }
    first += 3 * plane;
  }
  return patches;
}

/** What each of 256 levels of a channel becomes. */
function normalised(channel: number, { mean, deviation }: ImageConfig): Float32Array {
  return Float32Array.from(
    { length: 256 },
    (_, level) => fround(fround(level / 255) - fround(mean[channel])) / fround(deviation[channel]),
  );
}

/** [count, d]: learned positions; in class tokens' rows the tokens, too. Null: there is nothing. */
function addedRows(
  { grid, order, config, tables, count }: {
    readonly grid: Grid;
    readonly order: Int32Array;
    readonly config: ImageConfig;
    readonly tables: ImageTables;
    readonly count: number;
  },
): Float32Array | null {
  const { positions } = config;
  const table = positions === null ? null : tables.positions!;
  const token = config.classTokens === null ? null : tables.classTokens!;
  if (table === null && token === null) return null;
  const d = table === null
    ? token!.length / config.classTokenCount
    : table.length / positions!.count;
  const added = new Float32Array(count * d);
  if (table !== null) {
    const of = positionsOf(grid, positions!, table);
    order.forEach((place, row) => added.set(of.subarray(place * d, (place + 1) * d), row * d));
  }
  if (token !== null) {
    const classRow = positions?.classRow ?? null;
    const position = classRow === null ? null : table!.subarray(classRow * d, (classRow + 1) * d);
    const bias = config.patchBias === null ? null : tables.patchBias!;
    const last = added.subarray(order.length * d);
    for (let i = 0; i < last.length; i++) {
      last[i] = token[i] + (position?.[i] ?? 0) - (bias?.[i % d] ?? 0);
    }
  }
  return added;
}

/** [count, 3]: of each patch a 0, its row and its column. Null: they turn nothing. */
function placesOf(
  { grid: { columns }, order, config: { firstPosition }, count }: {
    readonly grid: Grid;
    readonly order: Int32Array;
    readonly config: ImageConfig;
    readonly count: number;
  },
): Int32Array | null {
  if (firstPosition === null) return null;
  const places = new Int32Array(3 * count);
  order.forEach((place, i) => {
    const row = Math.floor(place / columns);
    places[3 * i + 1] = row + firstPosition;
    places[3 * i + 2] = place - row * columns + firstPosition;
  });
  return places;
}
