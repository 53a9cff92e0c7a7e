/** What preparing images takes, out of a projector's file. Knows no images. */
import { formatError, type Hyperparameters } from "../read/hyperparameters.ts";
import type { ImageConfig } from "../vision_types.ts";
import { askedWindows } from "./read_layer_queries.ts";
import { convolvedSide, readBlockSide } from "./read_projector.ts";
import { hasOldMarks } from "./read_resampler.ts";
import type { TowerReader } from "./read_tower.ts";

const CLASS_TOKENS = "v.class_embd";
/** More than any tower has. */
const CLASS_TOKENS_MAX = 256;
const POSITIONS = "v.position_embd.weight";
/** Of the convolution. */
const PATCH_BIAS = "v.patch_embd.bias";
const IMAGE_SIZE_MAX = 65535;
const PATCH_SIZE_MAX = 1024;
const ABSENT = { min: 0, absent: 0 };
/** Step3-VL's tiles are 504 pixels long, of an image's 728. */
const TILE_SHARE = 9 / 13;
/** Pixels of an image, and tiles: more than any file names. */
const PIXELS_MAX = 2 ** 28;
const TILES_MAX = 1024;
/** Of all tiles of an image: each takes 15 bytes. */
const TILED_PIXELS_MAX = 2 ** 26;
const BEHIND_PARTS = "v.image_newline";
/**
 * Tiles that are cut to about the square's size are so much larger at most: of whole patches, the
 * thinnest get more.
 */
const CUT_SQUARES = 2;

/**
 * Sizes, colours, positions and tiles.
 * @throws {ModelFormatError} when one is missing or senseless.
 */
export function readImages(
  keys: Hyperparameters,
  reader: TowerReader,
  { mergeSide, foldSide }: { readonly mergeSide: number; readonly foldSide: number },
): ImageConfig {
  const { kind, checker } = reader;
  const imageSize = keys.integer("image_size", { min: 1, max: IMAGE_SIZE_MAX });
  const patchSize = readPatchSize(keys, reader, imageSize);
  const side = Math.floor(imageSize / patchSize);
  const isSquare = kind.rows === null && !kind.isOfLongestEdge && !kind.isLikeSquare;
  const convolved = readConvolvedSide(keys, reader);
  const asked = kind.asksLayers ? askedWindows(keys).windowSide : null;
  const blockSide = asked ?? mergeSide * convolved;
  if (isSquare && side % blockSide !== 0) {
    throw keys.wrong("image_size", `a multiple of ${blockSide} patches of ${patchSize} pixels`);
  }
  // An image is one block of patches at least.
  if (kind.isLikeSquare && CUT_SQUARES * imageSize ** 2 < (patchSize * mergeSide) ** 2) {
    throw keys.wrong("image_size", `large enough for ${mergeSide} patches of ${patchSize} pixels`);
  }
  const longestEdge = optional(keys, "preproc_image_size", IMAGE_SIZE_MAX) ??
    (kind.isOfLongestEdge ? imageSize : null);
  const pixels = kind.isLikeSquare
    ? { pixelsMin: null, pixelsMax: CUT_SQUARES * imageSize ** 2 }
    : kind.isOfLongestEdge
    ? pixelsOfEdge(longestEdge!, patchSize * mergeSide)
    : readPixels(keys, reader, patchSize * mergeSide);
  const classTokenCount = readClassTokens(reader);
  const hasClass = classTokenCount > 0;
  const lineBreak = kind.lineBreak !== null && checker.has(kind.lineBreak) ? kind.lineBreak : null;
  return {
    projector: kind.name,
    imageSize,
    patchSize,
    ...readBothColours(keys, reader),
    mergeSide,
    ...foldSide > 1 && { foldSide },
    ...convolved > 1 && {
      convolvedSide: convolved,
      tileSize: Math.max(1, Math.floor(TILE_SHARE * side / convolved)) * convolved * patchSize,
    },
    positions: kind.resize === "sum"
      ? readTables(reader, Math.floor((pixels.pixelsMax ?? 0) / patchSize ** 2 / mergeSide))
      : readPositions(reader, {
        patches: side * side,
        hasClass: hasClass && kind.classToken !== "many",
      }),
    classTokens: hasClass ? CLASS_TOKENS : null,
    classTokenCount,
    patchBias: hasClass && checker.has(PATCH_BIAS) ? PATCH_BIAS : null,
    firstPosition: kind.isResampled ? 0 : kind.rope?.from ?? null,
    windowSide: asked ?? readWindowSide(keys, reader, { patchSize, mergeSide }),
    ...kind.asksLayers && { behindParts: BEHIND_PARTS },
    lineBreak,
    ...kind.around && { around: kind.around },
    ...pixels,
    longestEdge,
    tilesMin: optional(keys, "preproc_min_tiles", TILES_MAX),
    tilesMax: optional(keys, "preproc_max_tiles", TILES_MAX),
    gridSizes: kind.asksLayers
      ? readWholeGrids(keys, reader, imageSize)
      : readGridSizes(keys, reader),
    ...kind.isResampled && hasOldMarks(reader) && { hasOldMarks: true },
    ...kind.projector.frame && { isFramed: true },
    ...kind.hasColoursLast && { hasColoursLast: true },
  };
}

/** Rows and columns that convolutions make one of; what the file calls a factor is that. */
function readConvolvedSide(keys: Hyperparameters, { kind: { projector } }: TowerReader): number {
  const side = convolvedSide(projector);
  if (side > 1) keys.integer("projector.scale_factor", { min: side, max: side, absent: side });
  return side;
}

/** Pixels on a side. */
function readPatchSize(keys: Hyperparameters, reader: TowerReader, imageSize: number): number {
  const size = keys.integer("patch_size", { min: 1, max: Math.min(imageSize, PATCH_SIZE_MAX) });
  const all = reader.kind.hasBlocksAsPatches ? size * readBlockSide(keys, reader) : size;
  if (all <= PATCH_SIZE_MAX) return all;
  throw keys.wrong("patch_size", `at most ${PATCH_SIZE_MAX} with the others of its block`);
}

/** How many there are. */
function readClassTokens({ kind: { classToken }, checker, file, width }: TowerReader): number {
  const isOptional = classToken === "none" || classToken === "ifThere";
  if (classToken === "none" || isOptional && !checker.has(CLASS_TOKENS)) return 0;
  const found = file.tensors.get(CLASS_TOKENS)?.dims[1] ?? 1;
  const count = classToken === "many" ? Math.min(found, CLASS_TOKENS_MAX) : 1;
  return checker.vector(CLASS_TOKENS, width, count).length / width;
}

function readPositions(
  { kind, checker, file, width }: TowerReader,
  { patches, hasClass }: { readonly patches: number; readonly hasClass: boolean },
): ImageConfig["positions"] {
  if (kind.positions === "none") return null;
  const tensor = POSITIONS;
  if (kind.positions === "ifThere" && !checker.has(tensor)) return null;
  if (kind.positions === "byRows") {
    const side = file.tensors.get(tensor)?.dims[1] ?? 1;
    checker.matrix(tensor, { rows: side, columns: width, count: side });
    return { tensor, count: side * side, classRow: null, resize: kind.resize };
  }
  const isOfAnySquare = kind.resize === "spread" || kind.resize === "bilinearTenth" ||
    kind.resize === "bilinearCentres";
  const count = isOfAnySquare
    ? squareCount(checker.rowCount(tensor) ?? 1)
    : patches + (hasClass ? 1 : 0);
  checker.matrix(tensor, { rows: count, columns: width });
  const classRow = !hasClass ? null : kind.classToken === "last" ? patches : 0;
  return { tensor, count, classRow, resize: kind.resize };
}

/** The largest square within so many. */
function squareCount(count: number): number {
  return Math.floor(Math.sqrt(count)) ** 2;
}

/** A table of columns and one of rows; sideMax: patches on a side of the longest image. */
function readTables(
  { file, checker, width }: TowerReader,
  sideMax: number,
): ImageConfig["positions"] {
  const tensor = POSITIONS;
  const [, length = 1] = file.tensors.get(tensor)?.dims ?? [];
  checker.matrix(tensor, { rows: length, columns: width, count: 2 });
  if (length >= sideMax) return { tensor, count: 2 * length, classRow: null, resize: "sum" };
  throw formatError(
    file,
    `Cannot use tensor "${tensor}": it has positions of ${length} columns and as many rows, and ` +
      `images may be ${sideMax} patches long: get the file again or convert the model again`,
  );
}

/** Whole blocks of patches. */
function readWindowSide(
  keys: Hyperparameters,
  { kind: { windowPixels: pixels, mayLackWindows, namesWindows, ...kind }, checker }: TowerReader,
  { patchSize, mergeSide }: { readonly patchSize: number; readonly mergeSide: number },
): number | null {
  if (kind.hasWindowsOfPositions) {
    const side = Math.sqrt(squareCount(checker.rowCount(POSITIONS) ?? 1));
    if (side % mergeSide === 0) return side;
    throw keys.wrong(kind.side!.key, `a divisor of the side of positions, ${side}`);
  }
  const windowPixels = namesWindows
    ? keys.integer("window_size", { min: 1, max: IMAGE_SIZE_MAX })
    : pixels;
  if (windowPixels === null || mayLackWindows && !keys.integer("n_wa_pattern", ABSENT)) return null;
  const blocks = Math.floor(windowPixels / (patchSize * mergeSide));
  if (blocks > 0) return blocks * mergeSide;
  if (namesWindows) throw keys.wrong("window_size", `at least ${patchSize * mergeSide}`);
  throw keys.wrong("patch_size", `so small that windows of ${windowPixels} pixels have a block`);
}

/** What makes numbers that towers take of colours. */
function readBothColours(
  keys: Hyperparameters,
  reader: TowerReader,
): Pick<ImageConfig, "mean" | "deviation"> {
  const mean = readColours(keys, reader, "image_mean");
  const deviation = readColours(keys, reader, "image_std");
  if (!reader.kind.hasSignedColours) return { mean, deviation };
  // 2 · (c - mean) / deviation - 1
  return {
    mean: mean.map((value, channel) => value + deviation[channel] / 2),
    deviation: deviation.map((value) => value / 2),
  };
}

/** Three numbers; by deviations colours are divided. */
export function readColours(
  keys: Hyperparameters,
  { file }: Pick<TowerReader, "file">,
  key: string,
): number[] {
  const name = `clip.vision.${key}`;
  const values = keys.value(key);
  const numbers = values instanceof Float32Array || values instanceof Float64Array
    ? Array.from(values)
    : [];
  const isSound = (value: number) => Number.isFinite(value) && (key === "image_mean" || value > 0);
  if (numbers.length === 3 && numbers.every(isSound)) return numbers;
  throw formatError(
    file,
    `Cannot use metadata "${name}": it must be three numbers, of red, green and blue` +
      `${key === "image_mean" ? "" : ", above 0"}: get the file again or convert the model again`,
  );
}

/** How large an image may be that keeps its shape. */
function readPixels(
  keys: Hyperparameters,
  { kind: { rows } }: TowerReader,
  rowSide: number,
): Pick<ImageConfig, "pixelsMin" | "pixelsMax"> {
  if (rows === null) return { pixelsMin: null, pixelsMax: null };
  const least = rowSide * rowSide;
  const [pixelsMin, pixelsMax] = [["image_min_pixels", rows.min], ["image_max_pixels", rows.max]]
    .map(([key, absent]) =>
      keys.integer(`${key}`, { min: 1, max: PIXELS_MAX, absent: Number(absent) * least })
    );
  if (pixelsMax >= Math.max(pixelsMin, least)) return { pixelsMin, pixelsMax };
  throw keys.wrong("image_max_pixels", `at least ${Math.max(pixelsMin, least)}`);
}

/** Up to a square with that edge, of whole rows. */
function pixelsOfEdge(edge: number, rowSide: number) {
  return { pixelsMin: rowSide ** 2, pixelsMax: (Math.ceil(edge / rowSide) * rowSide) ** 2 };
}

function optional(keys: Hyperparameters, key: string, max: number): number | null {
  return keys.integer(key, { min: 0, max, absent: 0 }) || null;
}

/** Whole numbers of tiles, and not too many of them. */
function readWholeGrids(
  keys: Hyperparameters,
  reader: TowerReader,
  tile: number,
): ImageConfig["gridSizes"] {
  const sizes = readGridSizes(keys, reader);
  const isSound = ([width, height]: readonly [number, number]) =>
    width % tile === 0 && height % tile === 0 && width * height <= TILED_PIXELS_MAX &&
    width * height / tile ** 2 <= TILES_MAX;
  if (sizes.length > 0 && sizes.every(isSound)) return sizes;
  throw keys.wrong(
    "image_grid_pinpoints",
    `widths and heights of whole tiles of ${tile} pixels, ${TILED_PIXELS_MAX} together at most`,
  );
}

/** A list of widths and heights in turns. */
function readGridSizes(keys: Hyperparameters, { file }: TowerReader): ImageConfig["gridSizes"] {
  const key = "image_grid_pinpoints";
  const values = keys.value(key);
  if (values === undefined) return [];
  const numbers = values instanceof Int32Array || values instanceof Uint32Array
    ? Array.from(values)
    : [];
  const isSound = (value: number) => value >= 1 && value <= IMAGE_SIZE_MAX;
  const isPaired = numbers.length > 0 && numbers.length % 2 === 0 && numbers.length <= TILES_MAX;
  if (isPaired && numbers.every(isSound)) {
    return Array.from(
      { length: numbers.length / 2 },
      (_, i) => [numbers[2 * i], numbers[2 * i + 1]] as const,
    );
  }
  throw formatError(
    file,
    `Cannot use metadata "clip.vision.${key}": it must be widths and heights in turns, each of 1 ` +
      `to ${IMAGE_SIZE_MAX} pixels: get the file again or convert the model again`,
  );
}
