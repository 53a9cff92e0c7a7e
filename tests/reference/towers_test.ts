/**
 * The reference's rows of images beside llama.cpp's, and every choice that makes a tower and a
 * projector: taken otherwise, it is further away than rounding.
 */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { list, type MetadataEntry, parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { projectedRows, readVision } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { TINY_ROWS } from "../golden/tiny_rows.ts";
import { nmse } from "../support/compare.ts";
import { someOf } from "../support/deep.ts";
import { type TinyGrid, tinyTowerInput } from "../support/tiny_image.ts";
import { TINY_KINDS, tinyVision, type TinyVisionName } from "../support/tiny_vision.ts";
import { CHOICES } from "./tower_choices.ts";
import { MISTAKES, type Seen } from "./tower_mistakes.ts";

/** llama.cpp looks GELU up in a table of halves: 6e-7 at most. */
const NMSE_MAX = 1e-6;
/** Of another epsilon before large rows 4e-6, of another kind of gelu 6e-6 and more. */
const NMSE_MIN = 3e-6;

for (const name of Object.keys(TINY_KINDS) as TinyVisionName[]) {
  Deno.test(`rows by ${name} are llama.cpp's, and by what it is not are not`, () => {
    // llama.cpp wants rows as long as the queries.
    const outputLength = name === "resampler" ? 256 : undefined;
    const bytes = tinyVision({ kind: name, metadata: METADATA[name], outputLength });
    const file = parseGguf(bytes);
    const { description: d, images } = readVision(file);
    const grid = gridOf(name);
    const image = { images, config: d.config, grid, isLikePeer: true };
    const seen = { d, input: tinyTowerInput(image, { file, bytes }) };
    const error = ({ d, input }: Seen) => {
      const reader = TensorReader.ofBytes(bytes);
      const rows = new ReferenceModel(file, { description: d, reader }).see(input);
      const { outputLength } = d.config.projector!;
      const count = projectedRows(d.config.projector!, input.kept)!;
      assertEquals(rows.length, count * outputLength);
      const start = name === "mlp" ? outputLength : 0;
      const behind = name === "hunyuanvl" ? [3, 2, 1, 0] : [0];
      const ends = [
        ...rows.subarray(start, start + 6),
        ...behind.flatMap((row) => {
          const end = rows.length - row * outputLength;
          return [...rows.subarray(end - 6, end)];
        }),
      ];
      return nmse(Float64Array.from(ends), Float64Array.from(TINY_ROWS[name]));
    };
    assertLess(error(seen), NMSE_MAX);
    for (const mistake of someOf(CHOICES[name])) {
      assertGreater(error({ ...seen, ...MISTAKES[mistake](seen) }), NMSE_MIN, mistake);
    }
  });
}

/** llama.cpp leaves out one layer more where a file does not say which one it wants. */
const METADATA: Partial<Record<TinyVisionName, MetadataEntry[]>> = {
  "mlp": [["clip.vision.feature_layer", list(Int32Array.of(2))]],
  "ldpv2": [["clip.vision.feature_layer", list(Int32Array.of(2))]],
};

/** Images that keep their shapes are no squares, where no positions are learned. */
function gridOf(name: TinyVisionName): TinyGrid {
  if (name === "qwen2.5vl_merger" || name === "exaone4_5") return { rows: 8, columns: 16 };
  const isEight = ["granite4_vision", "minicpmv4_6", "step3vl"].includes(name);
  if (isEight) return { rows: 8, columns: 8 };
  if (name === "youtuvl" || name === "muse-glimmer") return { rows: 10, columns: 6 };
  const isFree = name.startsWith("pixtral") || name === "resampler" || name === "qwen2vl_merger" ||
    name === "minicpmv4_6-four" || name === "minimax_m3" ||
    ["dots_ocr", "gemma4v", "gemma4uv", "gemma4v-limits", "hunyuanvl", "lightonocr"].includes(name);
  return isFree ? { rows: 4, columns: 6 } : { rows: 6, columns: 6 };
}
