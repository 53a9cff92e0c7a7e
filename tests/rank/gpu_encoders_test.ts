/**
 * A GPU's rank that has all of an encoder against the reference, on small models of some families,
 * made from a seed: texts alone, and several in a step. tests/engine/gpu_encoders_test.ts has the
 * engine around such a rank.
 */
import { assertLess } from "@std/assert";
import type { Gpu } from "../../gpu/mod.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import { gpuTest } from "../support/gpu.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { openLoneRank } from "../support/lone_gpu_rank.ts";
import { Rng } from "../support/rng.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";
import type { TinyEncoderName } from "../support/tiny_encoder_families.ts";

sizesAsData();

/** F32 weights, keys and values: only the order of sums differs. */
const F32_NMSE = 1e-11;
/** Longer than windows, and no multiple of a tile of tokens or of a block of positions. */
const IDS = Array.from({ length: 61 }, ((rng) => () => rng.int(512))(new Rng(7)));
/**
 * Of the families those that have between them all that a GPU does for encoders only: learned
 * positions, kinds and norms of sums; experts; slopes; windows of layers without a first norm;
 * heads of another length with norms behind blocks.
 */
const FAMILIES: readonly TinyEncoderName[] = [
  "bert",
  "nomic-bert-moe",
  "jina-bert-v2",
  "modern-bert",
  "gemma-embedding",
];
/** First rows and lengths: one token, few and many; and what several texts of a step are. */
const STEPS = [[[0, 1]], [[3, 5]], [[0, 33], [5, 1], [20, 41], [9, 3]]];

for (const architecture of FAMILIES) {
  gpuTest(
    `a GPU's rank reads texts by ${architecture} as the reference does, alone and together`,
    (gpu) => compare(gpu, architecture),
  );
}

async function compare(gpu: Gpu, architecture: TinyEncoderName): Promise<void> {
  await withTinyFile({ architecture, seed: 3 }, async (path) => {
    const { rows } = await openLoneRank(path, gpu, true);
    for (const texts of STEPS.map((step) => step.map(([from, n]) => IDS.slice(from, from + n)))) {
      const actual = rows(texts.map((ids, slot) => ({ slot, position: 0, ids })));
      const expected = Float64Array.from(texts.flatMap((ids) => [...referenceRows(path, ids)]));
      assertLess(nmse(actual, expected), F32_NMSE, `texts of ${texts.map(({ length }) => length)}`);
    }
  });
}

/** What the last norm leaves of each token, [ids, d]. */
function referenceRows(path: string, ids: readonly number[]): Float64Array {
  let rows: Float64Array = new Float64Array(0);
  const onTensor = (name: string, data: Float64Array) => {
    if (name === "norm") rows = data;
  };
  new ReferenceModel(openGguf(path), { onTensor }).vector(ids, "mean");
  return rows;
}
