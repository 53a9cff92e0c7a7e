import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import { parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import type { TinyFamilyName } from "../support/tiny_families.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withMetadata } from "./changed_file.ts";

const KEY = "rope.dimension_sections";

/** Axes of the 8 pairs (of glm4 4) that a tiny model turns, as digits. */
function axesOf(name: TinyFamilyName, sections?: number[]): string | undefined {
  const [architecture] = name.split("-");
  const file = parseGguf(tinyModel({ architecture: name }));
  const changed = sections === undefined
    ? file
    : withMetadata(file, { [`${architecture}.${KEY}`]: Float64Array.from(sections) });
  return describeModel(changed).config.ropes[0].axes?.axisOf.join("");
}

Deno.test("describeModel() gives pairs axes section by section", () => {
  assertEquals(axesOf("qwen2vl"), "00011122");
  assertEquals(axesOf("paddleocr"), "00011122");
  assertEquals(axesOf("qwen2vl", [1, 2, 1, 0]), "01120112");
});

Deno.test("describeModel() gives pairs axes in turns, and time what is left over", () => {
  assertEquals(axesOf("qwen3vl"), "01201201");
  assertEquals(axesOf("qwen3vlmoe", [4, 2, 2]), "01201200");
  assertEquals(axesOf("qwen35", [6, 1, 1, 0]), "01200000");
});

Deno.test("describeModel() gives no axes where nobody says which positions they are", () => {
  assertEquals(axesOf("qwen2vl", [0, 0, 0, 0]), undefined);
  assertEquals(axesOf("qwen2vl", [2, 2, 2, 2]), undefined);
  assertEquals(axesOf("qwen2", [3, 3, 2, 0]), undefined);
});

Deno.test("describeModel() refuses sections that are no numbers of pairs", () => {
  for (const sections of [[9, 0, 0, 0], [4, -1, 5], [2.5, 3, 2], [8, 0], [1, 1, 1, 1, 1]]) {
    assertThrows(() => axesOf("qwen2vl", sections), ModelFormatError, KEY);
  }
});
