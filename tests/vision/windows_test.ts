/** How images are cut into windows, and what of them is between pixels; sums: prepare_test.ts. */
import { assertEquals, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { cutWindows } from "../../src/vision/windows.ts";
import { IMAGE_CONFIGS } from "./image_configs.ts";
import { seededImage } from "./seeded_image.ts";

const CONFIG = IMAGE_CONFIGS.step3vl;

/** Columns and rows of windows. */
function gridOf(width: number, height: number, config = CONFIG): [number, number] {
  const { whole, parts } = cutWindows(seededImage(width, height), config);
  assertEquals([whole.width, whole.height], [728, 728]);
  for (const part of parts.flat()) assertEquals([part.width, part.height], [504, 504]);
  return [parts[0]?.length ?? 0, parts.length];
}

Deno.test("cutWindows() has as many windows as llama.cpp, by an image's size and shape", () => {
  assertEquals(gridOf(728, 728), [0, 0]);
  assertEquals(gridOf(133, 77), [2, 1]);
  assertEquals(gridOf(1200, 800), [3, 2]);
  assertEquals(gridOf(900, 200), [5, 1]);
  // What is left is 0.198 and 0.202 of a window.
  assertEquals([gridOf(1108, 504), gridOf(1110, 504)], [[2, 1], [3, 1]]);
  assertEquals(gridOf(504, 1009), [1, 2]);
  // Thin ones lie on a square first.
  assertEquals(gridOf(20, 600), [0, 0]);
  assertEquals(gridOf(3100, 700), [6, 2]);
  assertEquals(gridOf(1200, 800, { ...CONFIG, longestEdge: 600 }), [0, 0]);
});

Deno.test("cutWindows() has black where a window is larger than what is left", () => {
  const { parts } = cutWindows(seededImage(900, 400), CONFIG);
  assertEquals([parts.length, parts[0].length], [1, 2]);
  const { bytes, values, start, width, height } = parts[0][1];
  assertEquals([width, height, values, start], [504, 504, undefined, 0]);
  const isBlack = (from: number, end: number) =>
    bytes.subarray(from * 504 * 3, end * 504 * 3).every((value) => value === 0);
  assertEquals([isBlack(399, 400), isBlack(400, 504)], [false, true]);
});

Deno.test("cutWindows() refuses images so thin that they would be hundreds of windows", () => {
  const refused = assertThrows(() => gridOf(3024, 33), RequestError, "64 are possible");
  assertEquals(refused.status, 400);
});
