/**
 * The reference against programs that are not this one: numpy's float64 and llama.cpp, on random
 * models of every supported kind and on small trained ones.
 */
import { assert, assertEquals, assertLess } from "@std/assert";
import { openGguf, parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { firstCloseStep, kl, lastRow, nmse, top1 } from "../support/compare.ts";
import { sharedPath, sharedTest } from "../support/shared.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { greedyIds } from "./greedy.ts";

const GOLDEN_MODELS = [
  "llama-f32",
  "llama-f16",
  "llama-q8_0",
  "llama-q4_0",
  "llama-tied-f16",
  "llama3-rope-f16",
  "qwen2-f16",
];

/** f64 on both sides, the golden one rounded to f32 for storage. */
const NMSE_MAX = 1e-10;

for (const name of GOLDEN_MODELS) {
  const folder = `golden/${name}`;

  sharedTest(folder, `ReferenceModel computes the exact logits of ${name}`, () => {
    const model = new ReferenceModel(openGguf(sharedPath(`${folder}/model.gguf`)));
    const { vocabSize } = model.config;
    const sequences: Record<string, number[]> = readJson(`${folder}/tokens.json`);
    for (const [sequence, ids] of Object.entries(sequences)) {
      const exact = readFloats(`${folder}/exact_${sequence}.f32`);
      const logits = model.forward(ids);
      assertLess(nmse(logits, exact), NMSE_MAX, `${name} ${sequence}`);
      assertEquals(top1(logits, exact, vocabSize), 1);
      assertLess(kl(logits, exact, vocabSize).max, NMSE_MAX);
    }
  });

  sharedTest(folder, `ReferenceModel continues ${name} with the exact greedy ids`, () => {
    const model = new ReferenceModel(openGguf(sharedPath(`${folder}/model.gguf`)));
    const sequences: Record<string, number[]> = readJson(`${folder}/tokens.json`);
    const greedy: Record<string, { ids: number[]; gap: number[] }> = readJson(
      `${folder}/greedy.json`,
    );
    for (const [sequence, prompt] of Object.entries(sequences)) {
      const { ids, gap } = greedy[`exact_${sequence}`];
      const comparable = firstCloseStep(gap, 1e-6);
      assertEquals(greedyIds(model, prompt, comparable), ids.slice(0, comparable));
    }
  });
}

/** An entry of shared/models/golden.json. */
interface Story {
  readonly prompt: string;
  readonly prompt_ids: number[];
  readonly top5_logits_after_prompt: [id: number, logit: number][];
  /** The prompt's ids first. */
  readonly greedy_ids: number[];
}

for (const name of ["stories260K", "babyllama105"]) {
  sharedTest(`models/${name}-f32.gguf`, `ReferenceModel tells the stories of ${name}`, () => {
    const model = new ReferenceModel(openGguf(sharedPath(`models/${name}-f32.gguf`)));
    const stories: Story[] = readJson("models/golden.json")[name];
    assert(stories.length > 0);
    for (const story of stories) {
      const { prompt, prompt_ids: ids } = story;
      const logits = lastRow(model.forward(ids), model.config.vocabSize);
      for (const [id, expected] of story.top5_logits_after_prompt) {
        assertLess(Math.abs(logits[id] - expected), 1e-3, `logit ${id} after "${prompt}"`);
      }
      const expected = story.greedy_ids.slice(ids.length);
      assertEquals(greedyIds(model, ids, expected.length), expected, `after "${prompt}"`);
    }
  });
}

// Recorded from this reference once it agreed with everything above: a fresh clone has these only.
// deno-fmt-ignore
const TINY_GREEDY = {
  llama: [
    403, 101, 161, 218, 455, 369, 505, 306, 218, 195, 384, 141,
    491, 389, 354, 178, 489, 467, 222, 462, 224, 132, 230, 479,
  ],
  qwen2: [
    11, 334, 196, 98, 258, 16, 235, 346, 183, 258, 16, 235,
    346, 183, 258, 16, 235, 346, 70, 139, 495, 427, 469, 346,
  ],
};

for (const architecture of ["llama", "qwen2"] as const) {
  Deno.test(`ReferenceModel gives the recorded greedy ids of a tiny ${architecture}`, () => {
    const bytes = tinyModel({ architecture, seed: 36 });
    const model = new ReferenceModel(parseGguf(bytes), { reader: TensorReader.ofBytes(bytes) });
    assertEquals(greedyIds(model, [1, 300, 47, 112, 509], 24), TINY_GREEDY[architecture]);
  });
}

function readJson(relative: string) {
  return JSON.parse(Deno.readTextFileSync(sharedPath(relative)));
}

function readFloats(relative: string): Float32Array {
  return new Float32Array(Deno.readFileSync(sharedPath(relative)).buffer);
}
