/**
 * What a caller gives beside ids: rows in place of embeddings, positions by axes, and rows that see
 * each other. Plain formulas. Knows no images.
 */
import { check } from "../base/check.ts";
import type { LayerConfig, ModelConfig, TowerInput } from "../model/mod.ts";

/** Of a sequence, not of its new tokens alone. */
export interface ReferenceGiven {
  /** Rows [parts · d] of ids below 0. */
  readonly rows?: ReadonlyMap<number, ArrayLike<number>>;
  /** What attention of new tokens reads in place of a norm, [n, columns]. */
  readonly pairs?: Float64Array;
  /** Positions by axes, [tokens, 3 or 4]; left out: tokens stand where they follow one another. */
  readonly positions?: ArrayLike<number>;
  /** How many of a token there are. Left out: 3, an image's number is of no interest. */
  readonly axes?: 3 | 4;
  /** Tokens from `start` to before `end` see each other both ways. */
  readonly bothWays?: readonly { readonly start: number; readonly end: number }[];
}

/** Of a tower's input: rows that are asked see one another, what asks them what is before it. */
export function givenWith(
  { positions, count }: TowerInput,
  { patches }: ModelConfig,
): ReferenceGiven {
  const bothWays = patches!.areAsked ? [{ start: 0, end: count / 2 }] : [];
  return { positions: positions ?? undefined, bothWays };
}

/** The row of an id below 0. */
export function givenRow(id: number, { rows }: ReferenceGiven): ArrayLike<number> {
  const row = rows?.get(id);
  check(row !== undefined, `id ${id} has a row`);
  return row;
}

/** x + the part of rows that belongs behind a layer, of those that are given; x [n, d]. */
export function addGivenParts(
  x: Float64Array,
  layer: number,
  { ids, given, config }: {
    readonly ids: readonly number[];
    readonly given: ReferenceGiven;
    readonly config: ModelConfig;
  },
): Float64Array {
  const { embeddingLength: d, givenParts = 1, partsBehind } = config;
  const part = partsBehind ? partsBehind[layer] : layer + 1;
  if (part === 0 || part >= givenParts) return x;
  return x.map((value, i) => {
    const id = ids[Math.floor(i / d)];
    return id < 0 ? value + givenRow(id, given)[part * d + i % d] : value;
  });
}

/** The positions of a token, by axes. */
export function positionsOf(
  token: number,
  { positions, axes = 3 }: ReferenceGiven,
): Int32Array {
  const on = (axis: number) => axis < axes ? positions?.[axes * token + axis] ?? token : token;
  return Int32Array.of(on(0), on(1), on(2), on(3));
}

/** Patches of the window that each is in, rows and columns of `windowSide`; nothing: all. */
export function windowsOf(
  given: ReferenceGiven,
  { windowSide: side, ...layer }: LayerConfig,
  { projector }: ModelConfig,
) {
  if (layer.byColumns) return alongColumns(given, layer.slidingWindow, projector!.mergedRows);
  if (side === undefined) return {};
  const count = given.positions!.length / (given.axes ?? 3);
  const windows = Array.from({ length: count }, (_, token) => {
    const [, row, column] = positionsOf(token, given);
    return `${Math.floor(row / side)} ${Math.floor(column / side)}`;
  });
  const all = windows.map((_, token) => token);
  return { listOf: (t: number) => all.filter((token) => windows[token] === windows[t]) };
}

/** Those that stand so near in columns of an image's blocks, one column after the other. */
function alongColumns(given: ReferenceGiven, window: number, mergedRows: number) {
  const side = Math.sqrt(mergedRows);
  const count = given.positions!.length / (given.axes ?? 3);
  const places = Array.from({ length: count }, (_, token) => {
    const [, row, column] = positionsOf(token, given);
    return [Math.floor(column / side), Math.floor(row / side), row % side, column % side];
  });
  const all = places.map((_, token) => token);
  const inColumns = all.toSorted((a, b) => {
    const axis = places[a].findIndex((value, i) => value !== places[b][i]);
    return places[a][axis] - places[b][axis];
  });
  const standing = new Int32Array(count);
  inColumns.forEach((token, place) => standing[token] = place);
  const isNear = (a: number, b: number) => Math.abs(standing[a] - standing[b]) < window;
  return { listOf: (t: number) => all.filter((token) => isNear(t, token)) };
}

/** The last token that a token sees at least. */
export function lastSeenBy(token: number, { bothWays = [] }: ReferenceGiven): number {
  const span = bothWays.find(({ start, end }) => token >= start && token < end);
  return span === undefined ? token : span.end - 1;
}
