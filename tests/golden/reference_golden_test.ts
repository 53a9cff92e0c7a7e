/**
 * The reference against programs that are not this one: numpy's float64 and llama.cpp, on random
 * models of every supported kind and on small trained ones.
 */
import { assert, assertEquals, assertLess } from "@std/assert";
import { openGguf, parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { firstCloseStep, kl, lastRow, nmse, top1 } from "../support/compare.ts";
import { deepTest, IS_DEEP } from "../support/deep.ts";
import { sharedPath, sharedTest } from "../support/shared.ts";
import { readFloats, readJson } from "../support/shared_data.ts";
import type { TinyFamilyName } from "../support/tiny_families.ts";
import type { TinyFamily } from "../support/tiny_family.ts";
import { GEMMA3N_OF_LLAMA_CPP } from "../support/tiny_layered_families.ts";
import { CHAMELEON_VOCABULARY } from "../support/tiny_singular_families.ts";
import { TINY_PROMPT, tinyModel } from "../support/tiny_model.ts";
import { greedyIds } from "./greedy.ts";
import { TINY_GREEDY } from "./tiny_greedy.ts";
import { LLAMA_CPP_LOGITS } from "./tiny_logits.ts";

const GOLDEN_MODELS = [
  "llama-f32",
  "llama-f16",
  "llama-q8_0",
  "llama-q4_0",
  "llama-tied-f16",
  "llama3-rope-f16",
  "llama-moe-f16",
  "qwen2-f16",
  "qwen3-f16",
  "gemma-f16",
  "gemma2-f16",
  "smallthinker-f16",
  "bamboo-f16",
  "relu-llama-f16",
  "bamboo-pwri-f16",
  "bamboo-pwri-q4_0",
  "relu-llama-pwri-f16",
];

/** Continued in the gate; of the others logits are, as exactly (`deno task test:deep` has all). */
const CONTINUED: readonly string[] = IS_DEEP
  ? GOLDEN_MODELS
  : ["llama-q4_0", "llama-moe-f16", "gemma2-f16", "bamboo-pwri-f16"];

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

  if (name.includes("-pwri-")) {
    sharedTest(folder, `ReferenceModel loses nothing by the predictors of ${name}`, () => {
      const file = openGguf(sharedPath(`${folder}/model.gguf`));
      const model = new ReferenceModel(file, { usesPredictors: true });
      const { b }: Record<string, number[]> = readJson(`${folder}/tokens.json`);
      assertLess(nmse(model.forward(b), readFloats(`${folder}/exact_b.f32`)), NMSE_MAX);
    });
  }

  if (!CONTINUED.includes(name)) continue;
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
    const stories = readJson<Record<string, Story[]>>("models/golden.json")[name];
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

/** llama.cpp looks GELU up in a table of halves; logits are kept with four digits. */
const LOGIT_ERROR_MAX = { gelu: 3e-3, exact: 1e-4 };
/** 22 layers carry GELU's rounding on, of which ten sum up few neurons. */
const LOGIT_ERROR_MAX_GEMMA3N = 1e-2;

for (const [name, [at11, at47]] of Object.entries(LLAMA_CPP_LOGITS)) {
  Deno.test(`ReferenceModel gives a tiny ${name} the logits that llama.cpp gives it`, () => {
    const model = name === "phi3-short"
      ? tinyReference("phi3", { contextLength: 256 })
      : name === "gemma3n"
      ? tinyReference(name, { changes: GEMMA3N_OF_LLAMA_CPP })
      : name === "chameleon"
      ? tinyReference(name, { vocabSize: CHAMELEON_VOCABULARY })
      : sharedReference(name as TinyFamilyName);
    const logits = model.forward(TINY_PROMPT);
    const { vocabSize, feedForward: { activation } } = model.config;
    const errorMax = name === "gemma3n"
      ? LOGIT_ERROR_MAX_GEMMA3N
      : LOGIT_ERROR_MAX[activation === "gelu" ? "gelu" : "exact"];
    for (const [position, best] of [[11, at11], [47, at47]] as const) {
      for (const [id, expected] of best) {
        const error = Math.abs(logits[position * vocabSize + id] - expected);
        assertLess(error, errorMax, `logit ${id} at ${position}`);
      }
    }
  });
}

/** Of those that llama.cpp's logits are of, one for each way to go on: what a layer keeps. */
const GOING_ON: readonly string[] = [
  ...["llama", "gemma3", "gemma3n", "deepseek2", "deepseek32-chosen", "lfm2", "jamba"],
  ...["qwen3next", "plamo2", "deepseek4", "hy_v4", "minimax-m3"],
  ...["rwkv6", "rwkv7", "kimi-k3", "minimax-01", "qwen4exp"],
];

for (const [name, ids] of Object.entries(TINY_GREEDY)) {
  const isElse = name in LLAMA_CPP_LOGITS && !GOING_ON.includes(name);
  const deep = isElse ? "its logits are llama.cpp's, and others go on as it does" : undefined;
  deepTest(`ReferenceModel gives the recorded greedy ids of a tiny ${name}`, deep, () => {
    const model = sharedReference(name as TinyFamilyName);
    assertEquals(greedyIds(model, TINY_PROMPT.slice(0, 12), ids.length), ids);
  });
}

/** Of families as they are: the same model gives logits and ids. */
const references = new Map<TinyFamilyName, ReferenceModel>();

function sharedReference(architecture: TinyFamilyName): ReferenceModel {
  let model = references.get(architecture);
  if (model === undefined) references.set(architecture, model = tinyReference(architecture));
  return model;
}

function tinyReference(
  architecture: TinyFamilyName,
  { contextLength, ...of }: {
    contextLength?: number;
    changes?: Partial<TinyFamily>;
    vocabSize?: number;
  } = {},
): ReferenceModel {
  const bytes = tinyModel({ architecture, seed: 36, ...of });
  const reader = TensorReader.ofBytes(bytes);
  return new ReferenceModel(parseGguf(bytes), { reader, contextLength });
}
