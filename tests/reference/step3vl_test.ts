/**
 * The reference's rows of Step3-VL's tiles, whose positions are others than the file's, beside
 * llama.cpp's (mtmd v0.5.0). A whole image's: towers_test.ts.
 */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { dequantize, readVision } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { towerInput } from "../../src/vision/tower_input.ts";
import { nmse } from "../support/compare.ts";
import { tinyPixels } from "../support/tiny_image.ts";
import { tinyVision } from "../support/tiny_vision.ts";

/** By patches on a side: six numbers of the first row, six of the last one. */
// deno-fmt-ignore
const ROWS: Readonly<Record<number, readonly number[]>> = {
  4: [
    0.62751, 0.41431, 1.16522, 2.77007, 0.82760, 0.50324,
    3.78803, 0.35200, -7.91927, 2.39599, 0.75008, 0.56621,
  ],
  12: [
    -1.00548, 3.87898, 2.23753, 0.60528, 0.60163, -1.55495,
    0.89225, 2.49008, -5.06841, -4.13462, 2.22964, 0.86747,
  ],
};

Deno.test("rows by Step3-VL's tiles are llama.cpp's, with positions between those of the file", () => {
  const bytes = tinyVision({ kind: "step3vl" });
  const file = parseGguf(bytes);
  const { description, images } = readVision(file);
  const tensor = file.tensors.get(images.positions!.tensor)!;
  const positions = dequantize(tensor.type, TensorReader.ofBytes(bytes).readAll(tensor));
  for (const [patches, expected] of Object.entries(ROWS)) {
    const side = Number(patches);
    const error = (of = images) => {
      const values = tinyPixels({ rows: side, columns: side }, images.patchSize);
      const pixels = side * images.patchSize;
      const input = towerInput(
        {
          ...{ width: pixels, height: pixels, bytes: new Uint8Array(0), values, start: 0 },
          ...{ rowStride: 0, pixelStride: 0, channels: [0, 1, 2] },
        },
        of,
        { positions, classTokens: null, patchBias: null },
      );
      const reader = TensorReader.ofBytes(bytes);
      const rows = new ReferenceModel(file, { description, reader }).see(input);
      assertEquals(rows.length, 64 * (side / 4) ** 2);
      const ends = [...rows.subarray(0, 6), ...rows.subarray(rows.length - 6)];
      return nmse(Float64Array.from(ends), Float64Array.from(expected));
    };
    assertLess(error(), 1e-6, patches);
    const otherwise = {
      ...images,
      positions: { ...images.positions!, resize: "bicubic" },
    } as const;
    assertGreater(error(otherwise), 3e-6, patches);
  }
});
