/** What projectors' files say of images, for tests. */
import type { ImageConfig } from "../../src/model/mod.ts";
import type { ImageTables } from "../../src/vision/mod.ts";

export const NO_TABLES: ImageTables = { positions: null, classTokens: null, patchBias: null };

/** Of a small square, like LLaVA's. */
export function someConfig(changes: Partial<ImageConfig> = {}): ImageConfig {
  return {
    ...{ projector: "mlp", imageSize: 8, patchSize: 4, mergeSide: 1 },
    ...{ mean: [0.5, 0.25, 0], deviation: [0.5, 0.25, 1] },
    ...{ positions: null, classTokens: null, patchBias: null, firstPosition: null },
    ...{ windowSide: null, lineBreak: null, pixelsMin: null, pixelsMax: null },
    ...{ longestEdge: null, tilesMin: null, tilesMax: null, gridSizes: [] },
    ...changes,
  };
}
