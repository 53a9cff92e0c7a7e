/** Sizes that llama.cpp chooses for the same images. */
import { assertEquals, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { bestGrid, bestSize, sizeOfLongestEdge, sizeWithinPixels } from "../../src/vision/sizes.ts";

const size = (width: number, height: number) => ({ width, height });

Deno.test("sizeWithinPixels() rounds sides, and shrinks and grows images into bounds", () => {
  const bounds = { align: 28, pixelsMin: 8 * 28 ** 2, pixelsMax: 1280 * 28 ** 2 };
  const cases = [
    [[640, 480], [644, 476]],
    [[333, 77], [336, 84]],
    [[2000, 1500], [1148, 840]],
    [[1, 1], [84, 84]],
    [[500, 1], [504, 28]],
    [[1, 500], [28, 504]],
    [[10, 20], [56, 112]],
  ];
  for (const [[width, height], wanted] of cases) {
    const of = sizeWithinPixels(size(width, height), bounds);
    assertEquals([of.width, of.height], wanted, `${width} · ${height}`);
  }
});

Deno.test("sizeWithinPixels() refuses shapes that no size is like", () => {
  const bounds = { align: 28, pixelsMin: 28 ** 2, pixelsMax: 8 * 28 ** 2 };
  const error = assertThrows(
    () => sizeWithinPixels(size(30_000, 3), bounds),
    RequestError,
    "30000 · 3 pixels are too long and thin",
  );
  assertEquals([error.status, error.code], [400, "image_too_large"]);
});

Deno.test("sizeOfLongestEdge() rounds both sides up to whole tiles", () => {
  assertEquals(sizeOfLongestEdge(size(640, 480), 2048, 512), size(2048, 1536));
  assertEquals(sizeOfLongestEdge(size(333, 77), 2048, 512), size(2048, 512));
  assertEquals(sizeOfLongestEdge(size(1, 500), 2048, 512), size(512, 2048));
});

Deno.test("bestSize() keeps most pixels, then wastes least", () => {
  const sizes = [size(336, 672), size(672, 336), size(672, 672), size(1008, 336), size(336, 1008)];
  assertEquals(bestSize(size(640, 480), sizes), size(672, 672));
  assertEquals(bestSize(size(600, 300), sizes), size(672, 336));
  assertEquals(bestSize(size(2000, 500), sizes), size(1008, 336));
  assertEquals(bestSize(size(100, 3000), sizes), size(336, 1008));
});

Deno.test("bestGrid() takes the nearest shape, of equal ones a larger grid for a large image", () => {
  const of = { tilesMin: 2, tilesMax: 10, tileSide: 512 };
  assertEquals(bestGrid(size(2000, 1500), of), size(3, 2));
  assertEquals(bestGrid(size(100, 3000), of), size(1, 10));
  assertEquals(bestGrid(size(1050, 1050), of), size(2, 2));
  assertEquals(bestGrid(size(1600, 1600), of), size(3, 3));
});
