/**
 * The engine against other engines: logits and greedy ids of models with random weights within the
 * tolerance that comes with them, and stories of small trained ones.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess } from "@std/assert";
import type { LoadOptions, Notice } from "../../src/llm/mod.ts";
import { firstCloseStep, maxAbs, nmse } from "../support/compare.ts";
import { deepOnly } from "../support/deep.ts";
import { allLogits, greedyIds, withModel } from "../support/loaded_model.ts";
import { sharedPath, sharedTest } from "../support/shared.ts";
import { readFloats, readJson } from "../support/shared_data.ts";

const GOLDEN_MODELS = [
  "llama-f32",
  "llama-f16",
  "llama-q8_0",
  "llama-q4_0",
  "llama-iq4_nl",
  "llama-q2_k",
  "llama-q4_k",
  "llama-q4_k_m",
  "llama-q6_k",
  "llama-tied-f16",
  "llama3-rope-f16",
  "qwen2-f16",
  "qwen3-f16",
  "gemma-f16",
  "gemma2-f16",
  "llama-moe-f16",
  "smallthinker-f16",
  "relu-llama-f16",
  "bamboo-f16",
  "bamboo-pwri-f16",
  "bamboo-pwri-q4_0",
  "relu-llama-pwri-f16",
];

interface Tolerance {
  readonly vs_exact_nmse: number;
}

/** What a model says of a sequence of a golden folder. */
interface Answer {
  readonly sequence: string;
  readonly threads: number;
  readonly logits: Float32Array;
  readonly greedy: readonly number[];
}

for (const name of GOLDEN_MODELS) {
  const folder = `golden/${name}`;
  const exact = (sequence: string) => readFloats(`${folder}/exact_${sequence}.f32`);
  let asked: Promise<Answer[]> | null = null;
  const answers = () => asked ??= ask(folder);

  sharedTest(folder, `LoadedModel.logits() of ${name} are within its tolerance`, async () => {
    const { tolerance }: { tolerance: Record<string, Tolerance> } = readJson(
      `${folder}/meta.json`,
    );
    for (const { sequence, threads, logits } of await answers()) {
      const error = nmse(logits, exact(sequence));
      assertLess(error, tolerance[sequence].vs_exact_nmse, `${sequence}, ${threads} threads`);
    }
  });

  sharedTest(folder, `generate() continues ${name} with the exact greedy ids`, async () => {
    const greedy: Record<string, { ids: number[]; gap: number[] }> = readJson(
      `${folder}/greedy.json`,
    );
    for (const { sequence, logits, greedy: found } of await answers()) {
      const { ids, gap } = greedy[`exact_${sequence}`];
      const comparable = firstCloseStep(gap, maxAbs(logits, exact(sequence)));
      assertEquals(found.slice(0, comparable), ids.slice(0, comparable));
    }
  });
}

/** Alone, by halves and by unequal parts; halves are shared by many other tests. */
const THREADS = [1, ...deepOnly(2), 3];

/** Asks with each number of threads. */
async function ask(folder: string): Promise<Answer[]> {
  const tokens: Record<string, number[]> = readJson(`${folder}/tokens.json`);
  const greedy: Record<string, { ids: number[] }> = readJson(`${folder}/greedy.json`);
  const answers: Answer[] = [];
  for (const threads of THREADS) {
    await withModel(sharedPath(`${folder}/model.gguf`), { threads }, async (model) => {
      for (const [sequence, prompt] of Object.entries(tokens)) {
        const logits = await allLogits(model, prompt);
        const count = greedy[`exact_${sequence}`].ids.length;
        answers.push({
          ...{ sequence, threads, logits },
          greedy: await greedyIds(model, prompt, count),
        });
      }
    });
  }
  assert(answers.length > 0);
  return answers;
}

for (const name of ["bamboo-pwri-f16", "bamboo-pwri-q4_0", "relu-llama-pwri-f16"]) {
  const folder = `golden/${name}`;

  sharedTest(folder, `${name} decodes with predictors within its tolerance`, async () => {
    const tokens: Record<string, number[]> = readJson(`${folder}/tokens.json`);
    const { tolerance }: { tolerance: Record<string, Tolerance> } = readJson(
      `${folder}/meta.json`,
    );
    for (const threads of THREADS) {
      const notices: Notice[] = [];
      const options: LoadOptions = {
        ...{ threads, chunkTokens: 1, predictor: "on" },
        onNotice: (notice) => notices.push(notice),
      };
      await withModel(sharedPath(`${folder}/model.gguf`), options, async (model) => {
        assertEquals(model.predictors?.choices.map(({ isUsed }) => isUsed), [true, true, true]);
        assertEquals(notices.filter(({ kind }) => kind === "warning"), []);
        for (const [sequence, ids] of Object.entries(tokens)) {
          const exact = readFloats(`${folder}/exact_${sequence}.f32`);
          const error = nmse(await allLogits(model, ids), exact);
          assertLess(error, tolerance[sequence].vs_exact_nmse, `${sequence}, ${threads} threads`);
        }
      });
    }
  });
}

/** An entry of shared/models/golden.json. */
interface Story {
  readonly prompt: string;
  readonly prompt_ids: number[];
  readonly top5_logits_after_prompt: [id: number, logit: number][];
  readonly greedy_ids: number[];
}

for (const name of ["stories260K", "babyllama105"]) {
  const path = `models/${name}-f32.gguf`;

  sharedTest(path, `${name} in F32 tells the golden stories, logits within 1e-3`, async () => {
    const stories = readJson<Record<string, Story[]>>("models/golden.json")[name];
    for (const threads of [1, 2, 3]) {
      await withModel(sharedPath(path), { threads }, async (model) => {
        for (const story of stories) {
          assertEquals(model.encodePrompt(story.prompt), story.prompt_ids);
          const logits = await allLogits(model, story.prompt_ids);
          const last = logits.subarray(logits.length - model.config.vocabSize);
          for (const [id, logit] of story.top5_logits_after_prompt ?? []) {
            assertLess(Math.abs(last[id] - logit), 1e-3, `id ${id} after "${story.prompt}"`);
          }
          const rest = story.greedy_ids.slice(story.prompt_ids.length);
          assertEquals(await greedyIds(model, story.prompt_ids, rest.length), rest);
        }
      });
    }
  });
}
