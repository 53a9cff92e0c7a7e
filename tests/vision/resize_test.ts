import { assertEquals, assertLess } from "@std/assert";
import { crop, resize } from "../../src/vision/resize.ts";
import { levelsOf, makeRaster, pixelOf } from "../support/rasters.ts";
import { Rng } from "../support/rng.ts";

type Filter = "bilinear" | "bicubic" | "lanczos";

const FILTERS: readonly Filter[] = ["bilinear", "bicubic", "lanczos"];

const ROW = [0, 100, 200, 40];
const row = makeRaster(4, 1, (x, _, channel) => channel === 0 ? ROW[x] : 7);

Deno.test("resize() weighs pixels by curves that are as wide as what becomes one", () => {
  const of = (filter: Filter, width: number) => {
    const image = resize(row, { width, height: 2 }, { filter, around: null });
    assertEquals(levelsOf(image).slice(0, 3 * width), levelsOf(image).slice(3 * width));
    return Array.from({ length: width }, (_, x) => pixelOf(image, x, 0)[0]);
  };
  // Each pixel's middle is a quarter away from the next one's: 0, 25, 75, 125, …
  assertEquals(of("bilinear", 8), [0, 25, 75, 125, 175, 160, 80, 40]);
  // (3 · 0 + 3 · 100 + 200) / 7 and (100 + 3 · 200 + 3 · 40) / 7
  assertEquals(of("bilinear", 2), [71, 117]);
  const source = makeRaster(64, 48, (x, y) => (x + y) % 2 * 255);
  for (const filter of FILTERS) {
    for (const size of [{ width: 8, height: 6 }, { width: 64, height: 6 }]) {
      const image = resize(source, size, { filter, around: null });
      // Of a board of black and white fields grey is left.
      for (const level of levelsOf(image).slice(30, -30)) assertLess(Math.abs(level - 127.5), 6);
    }
  }
});

Deno.test("resize() makes of each filter what its curve does, column by column and row by row", () => {
  const rng = new Rng(3);
  const source = makeRaster(9, 13, () => rng.int(256));
  const differences: number[] = [];
  for (const filter of FILTERS) {
    for (const size of [{ width: 14, height: 5 }, { width: 4, height: 20 }]) {
      const image = resize(source, size, { filter, around: null });
      for (let channel = 0; channel < 3; channel++) {
        const lines = Array.from({ length: 13 }, (_, y) =>
          weighted(
            filter,
            Array.from({ length: 9 }, (_, x) => pixelOf(source, x, y)[channel]),
            size.width,
          ));
        for (let x = 0; x < size.width; x++) {
          const column = weighted(filter, lines.map((line) => Math.round(line[x])), size.height);
          column.forEach((level, y) =>
            differences.push(Math.abs(pixelOf(image, x, y)[channel] - level))
          );
        }
      }
    }
  }
  // What lies between two levels may have gone either way once before.
  assertLess(Math.max(...differences), 1.01);
  assertLess(differences.reduce((sum, each) => sum + each) / differences.length, 0.26);
});

Deno.test("resize() keeps an image's shape within a colour, its sides rounded up", () => {
  const image = makeRaster(2, 6, () => 9);
  const framed = resize(image, { width: 5, height: 4 }, { filter: "bilinear", around: [1, 2, 3] });
  const line = [[1, 2, 3], [9, 9, 9], [9, 9, 9], [1, 2, 3], [1, 2, 3]];
  assertEquals(levelsOf(framed), Array(4).fill(line.flat()).flat());
});

Deno.test("resize() leaves an image alone that has the size", () => {
  assertEquals(resize(row, row, { filter: "bicubic", around: [0, 0, 0] }), row);
});

Deno.test("crop() and resize() follow rasters that are stored in other ways", () => {
  const upright = makeRaster(3, 2, (x, y, channel) => 10 * x + 100 * y + channel);
  const bytes = new Uint8Array(4 * 3 * 2);
  for (let y = 0; y < 2; y++) {
    for (let x = 0; x < 3; x++) bytes.set(pixelOf(upright, x, y).reverse(), (1 - y) * 12 + 4 * x);
  }
  // From the bottom up, B before R, and a byte more.
  const other = {
    ...{ width: 3, height: 2, bytes, start: 12, rowStride: -12, pixelStride: 4 },
    channels: [2, 1, 0] as const,
  };
  const of = { left: 1, top: 1, width: 2, height: 1 };
  assertEquals(levelsOf(crop(other, of)), levelsOf(crop(upright, of)));
  for (const filter of FILTERS) {
    const [one, two] = [other, upright].map((each) =>
      levelsOf(resize(each, { width: 7, height: 5 }, { filter, around: null }))
    );
    assertEquals(one, two, filter);
  }
});

/** Levels of a line that is made longer or shorter. */
function weighted(filter: Filter, levels: readonly number[], count: number): number[] {
  const scale = levels.length / count;
  const wide = Math.max(scale, 1);
  return Array.from({ length: count }, (_, i) => {
    const weights = levels.map((_, k) => curveOf(filter, (k + 0.5 - (i + 0.5) * scale) / wide));
    const all = weights.reduce((sum, weight) => sum + weight);
    const level = levels.reduce((sum, each, k) => sum + each * weights[k], 0) / all;
    return Math.min(Math.max(level, 0), 255);
  });
}

/** A tent, Keys' cubic, and a sine's share under a wider one. */
function curveOf(filter: Filter, distance: number): number {
  const x = Math.abs(distance);
  if (filter === "bilinear") return Math.max(0, 1 - x);
  if (filter === "bicubic") {
    if (x >= 2) return 0;
    return x < 1 ? 1.5 * x ** 3 - 2.5 * x ** 2 + 1 : -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2;
  }
  if (x === 0) return 1;
  const angle = Math.PI * x;
  return x < 3 ? 3 * Math.sin(angle) * Math.sin(angle / 3) / angle ** 2 : 0;
}
