import { assertAlmostEquals, assertEquals } from "@std/assert";
import { outcomeOrder, patchOrder } from "../../src/vision/patch_order.ts";
import { positionsOf } from "../../src/vision/positions.ts";
import { towerInput } from "../../src/vision/tower_input.ts";
import { NO_TABLES, someConfig } from "../support/image_configs.ts";
import { makeRaster } from "../support/rasters.ts";

Deno.test("towerInput() cuts patches channel by channel, and normalises each by its own numbers", () => {
  const tile = makeRaster(5, 4, (x, y, channel) => 100 * channel + 10 * y + x);
  const config = someConfig({ patchSize: 2 });
  const { patches, count, kept, added, positions } = towerInput(tile, config, NO_TABLES);
  // What is left over of a patch falls away.
  assertEquals([count, kept, added, positions], [4, 4, null, null]);
  const of = (
    patch: number,
    channel: number,
  ) => [...patches.subarray(12 * patch + 4 * channel, 12 * patch + 4 * channel + 4)];
  const close = (actual: number[], wanted: number[], mean: number, deviation: number) =>
    actual.forEach((value, i) =>
      assertAlmostEquals(value, (wanted[i] / 255 - mean) / deviation, 1e-6)
    );
  close(of(0, 0), [0, 1, 10, 11], 0.5, 0.5);
  close(of(1, 0), [2, 3, 12, 13], 0.5, 0.5);
  close(of(2, 1), [120, 121, 130, 131], 0.25, 0.25);
  close(of(3, 2), [222, 223, 232, 233], 0, 1);
});

Deno.test("towerInput() adds learned positions, and a class token behind all patches", () => {
  const tile = makeRaster(8, 8, () => 0);
  const config = someConfig({
    positions: { tensor: "p", count: 5, classRow: 0, resize: null },
    ...{ classTokens: "c", patchBias: "b", firstPosition: 1 as const },
  });
  const input = towerInput(tile, config, {
    positions: Float32Array.of(1, 2, 10, 20, 30, 40, 50, 60, 70, 80),
    classTokens: Float32Array.of(100, 200),
    patchBias: Float32Array.of(3, 5),
  });
  assertEquals([input.count, input.kept], [5, 4]);
  // Its row has no patch, but the bias that all rows get.
  assertEquals([...input.added!], [10, 20, 30, 40, 50, 60, 70, 80, 98, 197]);
  assertEquals([...input.positions!], [0, 1, 1, 0, 1, 2, 0, 2, 1, 0, 2, 2, 0, 0, 0]);
  assertEquals(new Set(input.patches.subarray(4 * 48)), new Set([0]));
});

Deno.test("patchOrder() goes through blocks, and through windows of blocks", () => {
  const grid = { rows: 4, columns: 4 };
  const blocks = [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]];
  const of = (mergeSide: number, windowSide: number | null) => ({ mergeSide, windowSide });
  assertEquals([...patchOrder(grid, of(1, null))], [...Array(16).keys()]);
  assertEquals([...patchOrder(grid, of(2, null))], blocks.flat());
  assertEquals([...patchOrder(grid, of(2, 4))], blocks.flat());
  const wide = { rows: 4, columns: 8 };
  const first = [0, 1, 8, 9, 2, 3, 10, 11, 16, 17, 24, 25, 18, 19, 26, 27];
  assertEquals([...patchOrder(wide, of(2, 4))], [...first, ...first.map((place) => place + 4)]);
  assertEquals([...patchOrder({ rows: 2, columns: 4 }, of(1, 2))], blocks.slice(0, 2).flat());
  assertEquals(outcomeOrder(wide, of(2, null)), undefined);
  assertEquals([...outcomeOrder(wide, of(2, 4))!], [0, 1, 4, 5, 2, 3, 6, 7]);
});

Deno.test("positionsOf() has those of the square, and others between them", () => {
  const square = Float32Array.of(0, 10, 20, 30);
  const of = (resize: "bilinear" | "bilinearCorners") => ({
    ...{ tensor: "p", count: 4, classRow: null, resize },
  });
  const grid = { rows: 1, columns: 4 };
  for (const resize of ["bilinear", "bilinearCorners"] as const) {
    assertEquals([...positionsOf({ rows: 2, columns: 2 }, of(resize), square)], [...square]);
  }
  // Centres: a line down the middle of the square, then from pixel's centre to pixel's centre.
  assertEquals(rounded(positionsOf(grid, of("bilinear"), square)), [10, 12.5, 17.5, 20]);
  assertEquals(rounded(positionsOf(grid, of("bilinearCorners"), square)), [0, 3.333, 6.667, 10]);
  const tall = { rows: 3, columns: 2 };
  assertEquals(
    rounded(positionsOf(tall, of("bilinearCorners"), square)),
    [0, 10, 10, 20, 20, 30],
  );
});

Deno.test("positionsOf() takes all that a place covers where a grid is smaller than the square", () => {
  const square = Float32Array.from({ length: 16 }, (_, i) => i % 4);
  const of = { tensor: "p", count: 16, classRow: null, resize: "bilinear" } as const;
  // Of columns 0 to 3, by triangles two columns wide each way: 3/4, 3/4, 1/4, 1/4.
  const left = (0.75 * 0 + 0.75 * 1 + 0.25 * 2) / 1.75;
  assertEquals(
    rounded(positionsOf({ rows: 1, columns: 2 }, of, square)),
    rounded([left, 3 - left]),
  );
});

function rounded(values: Iterable<number>): number[] {
  return Array.from(values, (value) => Math.round(1000 * value) / 1000);
}
