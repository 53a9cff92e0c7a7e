/** From the bytes of an image file to what a tower reads and what a prompt says around it. */
import type { ImageConfig } from "../model/vision_types.ts";
import { decodeImage } from "./decode.ts";
import { imageKindOf } from "./kinds.ts";
import { layImage } from "./layout.ts";
import { cutImage } from "./tiles.ts";
import { gridOf, towerInput } from "./tower_input.ts";
import type { ImageTables, PreparedImage, Raster } from "./types.ts";

/**
 * Decodes and prepares an image file. Takes up to seconds of this thread: see `ImagePreparer`.
 * @throws {RequestError} 400 when it is no image, damaged, or larger than images may be.
 * @throws {UnsupportedModelError} when this version does not know the projector's kind.
 */
export async function prepareFile(
  file: Uint8Array,
  config: ImageConfig,
  tables: ImageTables,
): Promise<PreparedImage> {
  return prepareImage(await decodeImage(file), config, tables);
}

/** The same of an image's pixels. */
export function prepareImage(
  image: Raster,
  config: ImageConfig,
  tables: ImageTables,
): PreparedImage {
  const kind = imageKindOf(config);
  const { whole, parts } = cutImage(image, config, kind);
  const grids = {
    whole: gridOf(whole, config),
    parts: parts.map((row) => row.map((part) => gridOf(part, config))),
    size: image,
  };
  return {
    tiles: [...parts.flat(), whole].map((tile) => towerInput(tile, config, tables)),
    seesAll: kind.seesAll,
    layout: layImage(grids, config, kind),
  };
}
