/** DeepSeek-OCR from a file of an image to rows in a prompt: both towers, tiles, lines. */
import { assertEquals, assertLess } from "@std/assert";
import { parseGguf, u32 } from "../../src/gguf/mod.ts";
import { loadModel } from "../../src/llm/mod.ts";
import type { ChatMessage } from "../../src/llm/types.ts";
import { readVision } from "../../src/model/mod.ts";
import { prepareFile } from "../../src/vision/prepare.ts";
import { nmse } from "../support/compare.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { writePng } from "../support/png_writer.ts";
import { tinyDeepseekOcr } from "../support/tiny_deepseekocr.ts";
import { seenByBoth, tablesOfBoth } from "../support/two_towers.ts";
import "../support/thread_pool.ts";

Deno.test("a prompt has DeepSeek-OCR's rows line by line through tiles, then those of the whole", async () => {
  const eyes = tinyDeepseekOcr({ metadata: [["clip.vision.preproc_max_tiles", u32(2)]] });
  await withTinyFile({ architecture: "deepseek2-ocr" }, async (path) => {
    const projectorPath = path.replace(".gguf", "-eyes.gguf");
    await Deno.writeFile(projectorPath, eyes);
    const model = await loadModel(path, { threads: 2, projectorPath });
    try {
      const sample = (x: number, y: number, c: number) => (x * 5 + y * 3 * c + c * 60) % 256;
      const file = writePng({ width: 40, height: 21, bits: 8, type: 2, sample });
      const messages: ChatMessage[] = [{
        role: "user",
        content: "Read.",
        images: [{ at: 0, file }],
      }];
      const seen = await model.lookAt!(messages, {});
      const { ids } = seen;
      const rows = new Map(
        seen.given.flatMap(({ firstId, values }) =>
          Array.from(
            { length: values.length / 64 },
            (_, row) =>
              [firstId - row, Array.from(values.subarray(64 * row, 64 * (row + 1)))] as const,
          )
        ),
      );
      const values = ids[0].filter((id) => id < 0).flatMap((id) => rows.get(id)!);
      // Two lines of two tiles of 2 · 2 rows, four lines of four, a row behind each and all.
      assertEquals(values.length, 64 * (2 * 5 + 4 * 5 + 1));
      const expected = await rowsOf(file, eyes);
      assertLess(nmse(Float64Array.from(values), expected), 1e-11);
      assertEquals(ids[0].filter((id) => id < 0).length, 31);
      // The row behind a line is the same one.
      assertEquals(rows.size, 31 - 5);
    } finally {
      await model.close();
      await Deno.remove(projectorPath);
    }
  });
});

async function rowsOf(file: Uint8Array<ArrayBuffer>, eyes: Uint8Array<ArrayBuffer>) {
  const { images } = readVision(parseGguf(eyes));
  const tables = tablesOfBoth(eyes, images);
  const { tiles } = await prepareFile(file, images, tables);
  const [left, right, whole] = tiles.map((tile) => seenByBoth(eyes, tile));
  const line = (rows: Float64Array, first: number, count: number) =>
    Array.from(rows.subarray(first * 64, (first + count) * 64));
  const { [0]: lineEnd, [1]: end } = [images.behindLines!.line, images.behindLines!.image]
    .map((name) => {
      const named = { ...images, positions: { ...images.positions!, tensor: name } };
      return Array.from(tablesOfBoth(eyes, named).positions!);
    });
  return Float64Array.from([
    ...[0, 2].flatMap((first) => [...line(left, first, 2), ...line(right, first, 2), ...lineEnd]),
    ...[0, 4, 8, 12].flatMap((first) => [...line(whole, first, 4), ...lineEnd]),
    ...end,
  ]);
}
