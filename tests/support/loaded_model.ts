/** Loaded models for tests: closed whatever happens, and asked in the ways that tests ask. */
import { assert, assertEquals } from "@std/assert";
import { type LoadedModel, loadModel, type LoadOptions } from "../../src/llm/mod.ts";
import { tinyModel, type TinyModelOptions } from "./tiny_model.ts";

/** Loads the model at `path` for as long as `use` runs. */
export async function withModel<T>(
  path: string,
  options: LoadOptions,
  use: (model: LoadedModel) => Promise<T>,
): Promise<T> {
  const model = await loadModel(path, options);
  try {
    return await use(model);
  } finally {
    await model.close();
  }
}

/** Writes a tiny model to a temporary file for as long as `use` runs. */
export function withTinyFile<T>(
  options: TinyModelOptions,
  use: (path: string) => Promise<T>,
): Promise<T> {
  return withFile(tinyModel(options), use);
}

/** The same of any model. */
export async function withFile<T>(
  bytes: Uint8Array,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const path = await Deno.makeTempFile({ prefix: "ganglion-tiny-", suffix: ".gguf" });
  try {
    await Deno.writeFile(path, bytes);
    return await use(path);
  } finally {
    await Deno.remove(path);
  }
}

/** Logits of every position, [ids, vocab], in steps of so many tokens: complete and finite. */
export async function allLogits(
  model: LoadedModel,
  ids: readonly number[],
  stepTokens?: number,
): Promise<Float32Array> {
  const { vocabSize } = model.config;
  const all = new Float32Array(ids.length * vocabSize);
  let next = 0;
  await model.logits(ids, (rows, firstPosition) => {
    assertEquals(firstPosition, next);
    all.set(rows, firstPosition * vocabSize);
    next += rows.length / vocabSize;
    assert(stepTokens === undefined || rows.length <= stepTokens * vocabSize);
  }, { stepTokens });
  assertEquals(next, ids.length);
  assert(all.every(Number.isFinite));
  return all;
}

/** The `count` best ids after `ids`, end-of-text not special. */
export async function greedyIds(
  model: LoadedModel,
  ids: readonly number[],
  count: number,
): Promise<number[]> {
  const sampling = { temperature: 0 };
  const generation = model.generate({ ids, maxTokens: count, sampling, ignoreEnd: true });
  return [...(await generation.result).ids];
}
