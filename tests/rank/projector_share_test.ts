/** How much room a projector's rows have. */
import { assertEquals } from "@std/assert";
import { parseGguf } from "../../src/gguf/mod.ts";
import { readVision } from "../../src/model/mod.ts";
import { projectorShare } from "../../src/rank/plan/plan_projector.ts";
import { tinyVision } from "../support/tiny_vision.ts";

Deno.test("rows around an image's have room, too, where patches are no whole number of rows", () => {
  const { description } = readVision(parseGguf(tinyVision({ kind: "hunyuanvl" })));
  const rowsMax = (chunkTokens: number) =>
    projectorShare(description, { rankIndex: 0, rankCount: 1, chunkTokens, blockOf: () => 1 })!
      .rowsMax;
  // Four patches are a row; a file may say any number of an image's pixels.
  assertEquals([64, 65, 67, 68].map(rowsMax), [19, 19, 19, 20]);
});
