/** Random images for tiny projectors: pixels, and what goes into a tower of them. */
import { type GgufFile, TensorReader } from "../../src/gguf/mod.ts";
import {
  dequantize,
  type ImageConfig,
  type ModelConfig,
  type TowerInput,
} from "../../src/model/mod.ts";
import { positionsOf } from "../../src/vision/positions.ts";
import { makeFloats, Rng } from "./rng.ts";

/** Patches of an image, by lines. */
export interface TinyGrid {
  readonly rows: number;
  readonly columns: number;
}

/** Normalised colours of an image, [height, width, 3]. */
export function tinyPixels({ rows, columns }: TinyGrid, patchSize: number): Float32Array {
  const rng = new Rng(7);
  return makeFloats(rows * columns * patchSize ** 2 * 3, () => 2 * rng.float() - 1);
}

/** What to make of an image. */
export interface TinyImage {
  readonly images: ImageConfig;
  readonly config: ModelConfig;
  readonly grid: TinyGrid;
  /**
   * As llama.cpp orders rows, which puts the class token behind the patches and gives it the last
   * position, where it was trained with the first one; and keeps all rows but the first. It takes
   * patches in halves.
   */
  readonly isLikePeer?: boolean;
}

/** An image's patches, block by block, and a class token behind them. */
export function tinyTowerInput(
  { images, config, grid, isLikePeer }: TinyImage,
  bytesOf: { readonly file: GgufFile; readonly bytes: Uint8Array<ArrayBuffer> },
): TowerInput {
  const { patchSize, classTokens, classTokenCount, positions: learned, firstPosition } = images;
  const { embeddingLength: d, patches: of } = config;
  const pixels = tinyPixels(grid, patchSize);
  const classRow = learned?.classRow ?? null;
  const first = classRow !== 0 || isLikePeer ? 0 : 1;
  const places = windowOrder(grid, images);
  const count = places.length + classTokenCount;
  const length = of!.length;
  const patches = new Float32Array(count * length);
  const positions = new Int32Array(count * 3);
  const added = new Float32Array(count * d);
  const table = learned && floatsOf(bytesOf, learned.tensor);
  places.forEach(([row, column], t) => {
    for (let i = 0; i < length; i++) {
      const of = images.hasColoursLast ? i % 3 * patchSize ** 2 + Math.floor(i / 3) : i;
      const [channel, y, x] = [
        Math.floor(of / patchSize ** 2),
        Math.floor(of / patchSize) % patchSize,
        of % patchSize,
      ];
      const pixel = (row * patchSize + y) * grid.columns * patchSize + column * patchSize + x;
      patches[t * length + i] = pixels[pixel * 3 + channel];
    }
    if (firstPosition !== null) {
      positions.set([0, row + firstPosition, column + firstPosition], 3 * t);
    }
    const place = row * grid.columns + column + first;
    if (["spread", "bilinearTenth", "bilinearCentres"].includes(learned?.resize ?? "")) {
      const of = positionsOf(grid, learned!, table!);
      added.set(of.subarray(place * d, (place + 1) * d), t * d);
    } else if (learned?.resize === "sum") added.set(sumOf(table!, [row, column], d), t * d);
    else if (table) added.set(table.subarray(place * d, (place + 1) * d), t * d);
  });
  if (classTokens !== null) {
    const token = floatsOf(bytesOf, classTokens);
    const position = classRow === null ? null : table!.subarray(
      isLikePeer ? places.length * d : classRow * d,
    );
    const bias = images.patchBias === null ? null : floatsOf(bytesOf, images.patchBias);
    const row = token.map((value, i) => value + (position?.[i] ?? 0) - (bias?.[i % d] ?? 0));
    added.set(row, places.length * d);
  }
  return {
    count,
    patches: isLikePeer ? Float32Array.from(new Float16Array(patches)) : patches,
    added: table === null && classTokens === null ? null : added,
    positions: firstPosition === null ? null : positions,
    kept: places.length,
  };
}

/** A column's position, of the first half of a table, and a row's, of the second. */
function sumOf(table: Float32Array, [row, column]: readonly [number, number], d: number) {
  const rows = table.subarray(table.length / 2);
  return Float32Array.from({ length: d }, (_, i) => table[column * d + i] + rows[row * d + i]);
}

/** Windows in reading order, where there are some, and blocks in each. */
function windowOrder(
  grid: TinyGrid,
  { windowSide, mergeSide, foldSide }: ImageConfig,
): [number, number][] {
  if (foldSide !== undefined) {
    const whole = { rows: grid.rows / mergeSide, columns: grid.columns / mergeSide };
    const inner = blockOrder({ rows: mergeSide, columns: mergeSide }, foldSide);
    return blockOrder(whole, 1).flatMap(([row, column]) =>
      inner.map(([y, x]): [number, number] => [row * mergeSide + y, column * mergeSide + x])
    );
  }
  if (windowSide === null) return blockOrder(grid, mergeSide);
  const blocks = blockOrder({ rows: windowSide, columns: windowSide }, mergeSide);
  const windows = blockOrder({
    ...{ rows: Math.ceil(grid.rows / windowSide), columns: Math.ceil(grid.columns / windowSide) },
  }, 1);
  return windows.flatMap(([row, column]) =>
    blocks.map(([y, x]): [number, number] => [row * windowSide + y, column * windowSide + x])
  ).filter(([row, column]) => row < grid.rows && column < grid.columns);
}

/** Rows and columns in reading order of blocks, and within them. */
function blockOrder({ rows, columns }: TinyGrid, side: number): [row: number, column: number][] {
  const places: [number, number][] = [];
  for (let row = 0; row < rows; row += side) {
    for (let column = 0; column < columns; column += side) {
      for (let i = 0; i < side * side; i++) {
        places.push([row + Math.floor(i / side), column + i % side]);
      }
    }
  }
  return places;
}

function floatsOf(
  { file, bytes }: { readonly file: GgufFile; readonly bytes: Uint8Array<ArrayBuffer> },
  name: string,
): Float32Array {
  const tensor = file.tensors.get(name)!;
  return dequantize(tensor.type, TensorReader.ofBytes(bytes).readAll(tensor));
}
