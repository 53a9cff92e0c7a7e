/** Of kinds that have a row behind each line of an image, across its tiles, and one behind all. */
import type { ImageConfig } from "../model/vision_types.ts";
import { type Grid, outcomeOrder } from "./patch_order.ts";
import type { Size } from "./resize.ts";
import type { LayoutPart } from "./types.ts";

/**
 * Line by line through all tiles that lie side by side, then the whole image.
 * @param parts grids of patches of an image's parts, row by row; their tiles have the numbers from
 *   0 on, the whole image the one behind them.
 */
export function layLines(
  { parts, whole }: { readonly parts: readonly (readonly Grid[])[]; readonly whole: Grid },
  { convolvedSide = 1, behindLines }: Pick<ImageConfig, "convolvedSide" | "behindLines">,
): LayoutPart[] {
  const { line, image } = behindLines!;
  const layout: LayoutPart[] = [];
  let tile = 0;
  for (const tiles of [...parts, [whole]]) {
    const lines = Math.floor(tiles[0].rows / convolvedSide);
    for (let y = 0; y < lines; y++) {
      tiles.forEach((grid, x) => {
        const count = Math.floor(grid.columns / convolvedSide);
        layout.push({ tile: tile + x, first: y * count, count, grid: null });
      });
      layout.push(rowOf(line));
    }
    tile += tiles.length;
  }
  return [...layout, rowOf(image)];
}

/**
 * Line by line through all parts that lie side by side, a row behind each, without what only has
 * what was added around the image.
 * @param parts as above; size: of the image.
 */
export function layPartsByLines(
  { parts, size }: { readonly parts: readonly (readonly Grid[])[]; readonly size: Size },
  config: Pick<ImageConfig, "mergeSide" | "windowSide" | "behindParts">,
): LayoutPart[] {
  const { mergeSide, behindParts: tensor } = config;
  const [[{ rows, columns }]] = parts;
  const order = outcomeOrder({ rows, columns }, config);
  const side = { height: rows / mergeSide, width: columns / mergeSide };
  const all = { height: parts.length * side.height, width: parts[0].length * side.width };
  const { top, left, width, height } = withoutEdges(all, size);
  const layout: LayoutPart[] = [];
  for (let line = top; line < top + height; line++) {
    const [tileRow, y] = [Math.floor(line / side.height), line % side.height];
    parts[tileRow].forEach((_, x) => {
      const from = Math.max(0, left - x * side.width);
      const end = Math.min(side.width, left + width - x * side.width);
      if (from >= end) return;
      const tile = tileRow * parts[0].length + x;
      const first = y * side.width + from;
      layout.push({ tile, first, count: end - from, grid: null, ...order && { order } });
    });
    layout.push({ tensor: tensor!, first: 0, count: 1, grid: null, isRepeated: true });
  }
  return layout;
}

/** Of a grid what has an image of that shape in its middle; to the sides half a place may be. */
function withoutEdges(grid: Size, image: Size) {
  const isWider = image.width * grid.height > grid.width * image.height;
  const own = (length: number, by: number, per: number) => Math.floor(length * by / per);
  const top = isWider
    ? Math.trunc((grid.height - own(image.height, grid.width, image.width)) / 2)
    : 0;
  const left = isWider
    ? 0
    : Math.trunc((grid.width - own(image.width, grid.height, image.height)) / 2);
  return { top, left, width: grid.width - 2 * left, height: grid.height - 2 * top };
}

function rowOf(tensor: string): LayoutPart {
  return { tensor, first: 0, count: 1, grid: null };
}
