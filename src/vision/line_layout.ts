/** Of kinds that have a row behind each line of an image, across its tiles, and one behind all. */
import type { ImageConfig } from "../model/vision_types.ts";
import type { Grid } from "./patch_order.ts";
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

function rowOf(tensor: string): LayoutPart {
  return { tensor, first: 0, count: 1, grid: null };
}
