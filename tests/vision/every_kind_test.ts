import { parseGguf } from "../../src/gguf/mod.ts";
import { readVision } from "../../src/model/mod.ts";
import { imageKindOf } from "../../src/vision/kinds.ts";
import { tinyDeepseekOcr } from "../support/tiny_deepseekocr.ts";
import { tinyGemma3n } from "../support/tiny_gemma3n.ts";
import { TINY_KINDS, tinyVision, type TinyVisionName } from "../support/tiny_vision.ts";

Deno.test("imageKindOf() knows what is done to images for every kind of projector that is read", () => {
  for (const kind of Object.keys(TINY_KINDS) as TinyVisionName[]) {
    imageKindOf(readVision(parseGguf(tinyVision({ kind }))).images);
  }
  for (const version of [1, 2] as const) {
    imageKindOf(readVision(parseGguf(tinyDeepseekOcr({ version }))).images);
  }
  imageKindOf(readVision(parseGguf(tinyGemma3n())).images);
});
