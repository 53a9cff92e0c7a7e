/** Slopes of scores, as their paper has them. */
import { assertEquals } from "@std/assert";
import { parseGguf } from "../../src/gguf/mod.ts";
import { alibiSlopes, describeModel } from "../../src/model/mod.ts";
import { tinyModel } from "../support/tiny_model.ts";

Deno.test("alibiSlopes() halves from head to head where there are eight", () => {
  assertEquals([...alibiSlopes(8, 8)], [1, 2, 3, 4, 5, 6, 7, 8].map((power) => 2 ** -power));
});

Deno.test("alibiSlopes() gives heads beyond a power of two every second one of twice as many", () => {
  const [first, twice] = [alibiSlopes(4, 8), alibiSlopes(8, 8)];
  assertEquals([...alibiSlopes(6, 8)], [...first, twice[0], twice[2]]);
});

Deno.test("describeModel() gives Baichuan of 40 layers slopes, and no rotation", () => {
  const of = (blockCount: number) =>
    describeModel(parseGguf(tinyModel({ architecture: "baichuan", blockCount }))).config;
  assertEquals([of(40).alibiMaxBias, of(40).ropes.length], [8, 0]);
  assertEquals([of(32).alibiMaxBias, of(32).ropes.length], [0, 1]);
});
