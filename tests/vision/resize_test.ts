import { assertEquals, assertLess } from "@std/assert";
import { crop, resize } from "../../src/vision/resize.ts";
import { levelsOf, makeRaster, pixelOf } from "../support/rasters.ts";
import { Rng } from "../support/rng.ts";

const ROW = [0, 100, 200, 40];
const row = makeRaster(4, 1, (x, _, channel) => channel === 0 ? ROW[x] : 7);

Deno.test("resize() draws lines between pixels, corner to corner, and rounds down", () => {
  const of = (width: number) => {
    const image = resize(row, { width, height: 2 }, { filter: "bilinear", around: null });
    assertEquals(levelsOf(image).slice(0, 3 * width), levelsOf(image).slice(3 * width));
    return Array.from({ length: width }, (_, x) => pixelOf(image, x, 0)[0]);
  };
  assertEquals(of(7), [0, 50, 100, 150, 200, 120, 40]);
  assertEquals(of(2), [0, 40]);
  assertEquals(of(1), [0]);
  // 0, 42.86, 85.71, 128.57, 171.43, 177.14, 108.57, 40
  assertEquals(of(8), [0, 42, 85, 128, 171, 177, 108, 40]);
});

Deno.test("resize() takes all pixels that become one, where cubics are widened, in both directions", () => {
  const source = makeRaster(64, 48, (x, y) => (x + y) % 2 * 255);
  const image = resize(source, { width: 8, height: 6 }, {
    ...{ filter: "bicubicAntialias", around: null },
  });
  // Of a board of black and white fields grey is left; other filters see one of both.
  for (const level of levelsOf(image)) assertLess(Math.abs(level - 127.5), 4);
  const wide = resize(source, { width: 64, height: 6 }, {
    ...{ filter: "bicubicAntialias", around: null },
  });
  assertLess(Math.abs(pixelOf(wide, 30, 3)[0] - 127.5), 4);
});

Deno.test("resize() puts cubics through four pixels each way", () => {
  const rng = new Rng(3);
  const source = makeRaster(9, 6, () => rng.int(256));
  const size = { width: 14, height: 11 };
  const image = resize(source, size, { filter: "bicubic", around: null });
  let others = 0;
  for (let y = 0; y < 11; y++) {
    for (let x = 0; x < 14; x++) {
      for (let channel = 0; channel < 3; channel++) {
        const level = (column: number, line: number) =>
          pixelOf(source, clamp(column, 8), clamp(line, 5))[channel];
        const [column, line] = [x * 9 / 14, y * 6 / 11];
        const down = [-1, 0, 1, 2].map((dy) =>
          cubic([-1, 0, 1, 2].map((dx) => level(Math.floor(column) + dx, Math.floor(line) + dy)))(
            column % 1,
          )
        );
        const exact = clamp(cubic(down)(line % 1), 255);
        const difference = Math.abs(pixelOf(image, x, y)[channel] - exact);
        assertLess(difference, 0.51);
        if (exact !== Math.round(exact)) others++;
      }
    }
  }
  assertLess(100, others, "levels between whole ones");
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
  for (const filter of ["bilinear", "bicubic"] as const) {
    const [one, two] = [other, upright].map((each) =>
      levelsOf(resize(each, { width: 7, height: 5 }, { filter, around: null }))
    );
    assertEquals(one, two, filter);
  }
});

function clamp(value: number, max: number): number {
  return Math.min(Math.max(value, 0), max);
}

/** Lagrange's, through values at -1, 0, 1 and 2. */
function cubic(values: readonly number[]): (x: number) => number {
  const places = [-1, 0, 1, 2];
  return (x) =>
    values.reduce((sum, value, i) =>
      sum + places.filter((place) => place !== places[i])
        .reduce((product, place) => product * (x - place) / (places[i] - place), value), 0);
}
