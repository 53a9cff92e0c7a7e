import { assertEquals, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { imageKindOf } from "../../src/vision/kinds.ts";
import {
  bestGrid,
  bestSize,
  evenSizeOfEdge,
  sizeBySteps,
  sizeLikeSquare,
  sizeOfNearestShape,
  slicesOf,
} from "../../src/vision/sizes.ts";
import { cutImage } from "../../src/vision/tiles.ts";
import { IMAGE_CONFIGS } from "./image_configs.ts";
import { seededImage } from "./seeded_image.ts";

Deno.test("bestSize() takes of sizes that keep as many pixels the smallest", () => {
  const [large, small, flat] = [[84, 84], [42, 84], [84, 42]].map(([width, height]) => ({
    width,
    height,
  }));
  // A line of one pixel is thinner than a pixel in each of them.
  assertEquals(bestSize({ width: 1, height: 140 }, [large, small, flat]), small);
  assertEquals(bestSize({ width: 30, height: 60 }, [large, flat, small]), small);
});

Deno.test("bestGrid() takes the larger of two grids of one shape when an image fills half of it", () => {
  // Grids that llama.cpp chooses.
  const tiles = { tilesMin: 2, tilesMax: 10, tileSide: 512 };
  const gridOf = (side: number) => bestGrid({ width: side, height: side }, tiles);
  assertEquals(gridOf(1050), { width: 2, height: 2 });
  assertEquals(gridOf(1200), { width: 3, height: 3 });
  assertEquals(bestGrid({ width: 300, height: 3000 }, tiles), { width: 1, height: 10 });
});

Deno.test("cutImage() makes whole windows where a tower attends in windows", () => {
  const config = {
    ...IMAGE_CONFIGS.qwen2vl_merger,
    ...{
      projector: "qwen2.5vl_merger",
      windowSide: 8,
      pixelsMin: 112 ** 2,
      pixelsMax: 9 * 112 ** 2,
    },
  };
  const sizeOf = (width: number, height: number) => {
    const { whole } = cutImage(seededImage(width, height), config, imageKindOf(config));
    return [whole.width / 112, whole.height / 112];
  };
  assertEquals([sizeOf(300, 200), sizeOf(50, 400), sizeOf(900, 900)], [[3, 2], [1, 4], [3, 3]]);
});

Deno.test("sizeLikeSquare() keeps shapes as far as whole patches do, and refuses the thinnest", () => {
  const square = { side: 448, align: 14, pixelsMax: 2 * 448 ** 2 };
  const sizeOf = (width: number, height: number) =>
    Object.values(sizeLikeSquare({ width, height }, square));
  assertEquals(sizeOf(448, 448), [448, 448]);
  assertEquals(sizeOf(30, 20), [546, 364]);
  assertEquals(sizeOf(4000, 1000), [896, 224]);
  // Seven pixels become a patch, six would, too, and fourteen times as many.
  assertEquals(sizeOf(4000, 1), [28000, 14]);
  assertThrows(() => sizeOf(1, 5400), RequestError, "too long and thin");
});

Deno.test("slicesOf() cuts what a square does not hold into up to nine parts of like shape", () => {
  const gridOf = (width: number, height: number) => {
    const grid = slicesOf({ width, height }, 448);
    return grid && [grid.width, grid.height];
  };
  assertEquals([gridOf(448, 448), gridOf(4480, 44)], [null, null]);
  assertEquals([gridOf(449, 448), gridOf(448, 900)], [[2, 1], [1, 2]]);
  assertEquals([gridOf(1000, 700), gridOf(4000, 3000), gridOf(300, 9000)], [[2, 2], [3, 3], [
    1,
    9,
  ]]);
});

Deno.test("sizeBySteps() takes fiftieths off until patches are few enough, or nothing is left", () => {
  const of = (width: number, height: number) =>
    sizeBySteps({ width, height }, { patchSize: 16, align: 32, pixelsMax: 4 * 32 * 32 });
  assertEquals(of(33, 20), { width: 64, height: 32 });
  assertEquals(of(64, 64), { width: 64, height: 64 });
  // 0.96 of 67 is 64.3, 0.94 of it is less.
  assertEquals(of(67, 40), { width: 64, height: 64 });
  assertEquals(of(64, 640), { width: 32, height: 128 });
  assertThrows(() => of(60000, 20), RequestError, "too long and thin");
});

Deno.test("sizeOfNearestShape() takes the grid most like an image, and refuses what is too thin", () => {
  const of = (width: number, height: number) =>
    Object.values(sizeOfNearestShape({ width, height }, { align: 8, pixelsMax: 4096 }));
  // Of grids of one shape the largest.
  assertEquals([of(20, 20), of(1, 1), of(20, 10)], [[24, 24], [8, 8], [16, 8]]);
  // 64 blocks at most, and so of each shape.
  assertEquals([of(1000, 1000), of(1000, 990), of(3000, 50)], [[64, 64], [64, 64], [488, 8]]);
  assertThrows(() => of(100_000, 1), RequestError, "too long and thin");
});

Deno.test("evenSizeOfEdge() rounds the shorter edge down, and up to an even one", () => {
  const of = (width: number, height: number) =>
    Object.values(evenSizeOfEdge({ width, height }, 150));
  assertEquals([of(133, 77), of(77, 133), of(300, 200)], [[150, 86], [86, 150], [150, 100]]);
  assertEquals([of(1, 400), of(40, 25)], [[1, 150], [150, 94]]);
});
