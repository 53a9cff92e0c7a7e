/** What an image is in a prompt: texts around and between the rows of its tiles. */
import type { ImageConfig } from "../model/vision_types.ts";
import type { ImageKind } from "./kinds.ts";
import { layLines, layPartsByLines } from "./line_layout.ts";
import { type Grid, outcomeOrder } from "./patch_order.ts";
import type { Size } from "./resize.ts";
import type { LayoutPart } from "./types.ts";

/**
 * Parts in the order of a prompt, no two texts side by side.
 * @param parts grids of patches of an image's parts, row by row; their tiles have the numbers from
 *   0 on, the whole image the one behind them.
 */
export function layImage(
  { parts, whole, size }: {
    readonly parts: readonly (readonly Grid[])[];
    readonly whole: Grid;
    /** Of the image itself, where its parts have what was added around it. */
    readonly size?: Size;
  },
  config: ImageConfig,
  kind: ImageKind,
): LayoutPart[] {
  if (config.behindParts) {
    const ofParts = layPartsByLines({ parts, size: size! }, config);
    const ofWhole = layTile(parts.flat().length, whole, config, kind);
    return joinTexts([{ text: kind.begin }, ...ofWhole, ...ofParts, { text: kind.end }]);
  }
  if (config.behindLines) {
    const { begin, end } = kind;
    return joinTexts([{ text: begin }, ...layLines({ parts, whole }, config), { text: end }]);
  }
  const ofParts = layParts(parts, config, kind);
  const isBare = kind.isWholeBare && parts.length === 0;
  const ofWhole: LayoutPart[] = [
    { text: isBare ? "" : kind.beforeWhole },
    ...layTile(parts.flat().length, whole, config, kind),
    ...config.behindWhole ? [rowOf(config.behindWhole)] : [],
    { text: isBare ? "" : kind.behindWhole },
  ];
  const both = kind.isWholeFirst ? [...ofWhole, ...ofParts] : [...ofParts, ...ofWhole];
  return joinTexts([{ text: kind.begin }, ...both, { text: kind.end }]);
}

function layParts(
  parts: readonly (readonly Grid[])[],
  config: ImageConfig,
  kind: ImageKind,
): LayoutPart[] {
  if (parts.length === 0) return [];
  const layout: LayoutPart[] = [{ text: kind.beforeParts }];
  let tile = 0;
  parts.forEach((row, y) => {
    if (y > 0) layout.push({ text: kind.betweenRows });
    row.forEach((grid, x) =>
      layout.push(
        { text: kind.beforePart(y + 1, x + 1) },
        ...layTile(tile++, grid, config, kind),
        { text: kind.behindPart },
      )
    );
  });
  return [...layout, { text: kind.behindParts }];
}

/** Rows of a tile, in reading order; some kinds have something between its lines. */
function layTile(tile: number, grid: Grid, config: ImageConfig, kind: ImageKind): LayoutPart[] {
  const { around } = config;
  const own = layRows(tile, grid, config, kind);
  if (around === undefined) return own;
  return [rowOf(around.begin), ...own, rowOf(around.end)];
}

function rowOf(tensor: string): LayoutPart {
  return { tensor, first: 0, count: 1, grid: null };
}

function layRows(tile: number, grid: Grid, config: ImageConfig, kind: ImageKind): LayoutPart[] {
  const { lineBreak, tileRows } = config;
  const mergeSide = config.mergeSide * (config.convolvedSide ?? 1);
  if (tileRows !== undefined) return [{ tile, first: 0, count: tileRows, grid: null }];
  const rows = Math.floor(grid.rows / mergeSide);
  const columns = Math.floor(grid.columns / mergeSide);
  if (config.isFramed) return [{ tile, ...framed(rows, columns) }];
  const found = outcomeOrder(grid, config);
  const order = found && { order: found };
  if (lineBreak === null) {
    const of = kind.hasGrid ? { rows, columns } : null;
    return [{ tile, first: 0, count: rows * columns, grid: of, ...order }];
  }
  return Array.from({ length: rows }, (_, y): LayoutPart[] => [
    ...y > 0 ? [{ tensor: lineBreak, first: 0, count: 1, grid: null }] : [],
    { tile, first: y * columns, count: columns, grid: null, ...order },
  ]).flat();
}

/** The rows behind a tile's own (`ProjectorConfig.frameEpsilon`) in their places. */
function framed(rows: number, columns: number) {
  const [lineEnd, begin, end] = [0, 1, 2].map((i) => rows * columns + i);
  const lines = Array.from(
    { length: rows * (columns + 1) },
    (_, i) => i % (columns + 1) === columns ? lineEnd : i - Math.floor(i / (columns + 1)),
  );
  const order = Int32Array.of(begin, ...lines, end);
  const grid = { rows, columns: columns + 1, isFramed: true as const };
  return { first: 0, count: order.length, grid, order };
}

function joinTexts(layout: readonly LayoutPart[]): LayoutPart[] {
  const joined: LayoutPart[] = [];
  for (const part of layout) {
    const last = joined.at(-1);
    if (!("text" in part)) joined.push(part);
    else if (last !== undefined && "text" in last) {
      joined[joined.length - 1] = { text: last.text + part.text };
    } else if (part.text !== "") joined.push(part);
  }
  return joined;
}
