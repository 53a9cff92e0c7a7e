/**
 * What any way to attend has to hold, whatever it keeps of tokens: the reference's logits by any
 * threads and chunks, requests together as each alone, several arenas as one, and what is kept goes
 * into a file and comes back.
 */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { writeKvFile } from "../../src/engine/kv_file.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { describeForUse, type LoadOptions, planModel } from "../../src/llm/mod.ts";
import { PAGE_BYTES } from "../../src/memory/arena.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { answerNow } from "./answer_now.ts";
import { answersHere } from "./answers_here.ts";
import { nmse } from "./compare.ts";
import { allLogits, greedyIds, withModel } from "./loaded_model.ts";
import { openRanks } from "./poisoned_rank.ts";
import { exactLogits } from "./known_logits.ts";

/**
 * The reference's logits of 150 `ids` by one thread token by token, by three and by two in chunks;
 * and what answers a prompt from the cache answers it as at first.
 */
export async function checkThreads(
  path: string,
  ids: readonly number[],
  nmseMax: number,
): Promise<void> {
  const exact = exactLogits(path, ids);
  const alone = await answersHere(path, ids, { chunkTokens: 1 });
  assertLess(nmse(alone.logits, exact), nmseMax, "one thread");
  for (const options of [{ threads: 3, chunkTokens: 64 }, { threads: 2, chunkTokens: 7 }]) {
    await withModel(path, { ...options, gpu: "off" }, async (model) => {
      assertLess(nmse(await allLogits(model, ids), exact), nmseMax, `${options.threads}`);
      const cold = await greedyIds(model, ids.slice(0, 140), 8);
      assertEquals(await greedyIds(model, ids.slice(0, 140), 8), cold, "by what is kept");
    });
  }
}

/** The reference's logits of `ids`, by two threads or as `options` have it. */
export async function checkLogits(
  path: string,
  ids: readonly number[],
  nmseMax: number,
  options: LoadOptions = {},
): Promise<void> {
  const exact = exactLogits(path, ids);
  await withModel(path, { threads: 2, gpu: "off", ...options }, async (model) => {
    assertLess(nmse(await allLogits(model, ids), exact), nmseMax);
  });
}

/** By index in ids: the best ids and their logits, as another program has them. */
export type BestLogits = readonly (readonly [number, readonly (readonly [number, number])[]])[];

/** The reference's logits of `ids` are `best`, and the same where it goes on at `cuts`. */
export function checkBest(
  path: string,
  { ids, best, cuts }: {
    readonly ids: readonly number[];
    readonly best: BestLogits;
    readonly cuts: readonly number[];
  },
): void {
  const model = new ReferenceModel(openGguf(path));
  const logits = model.forward(ids);
  const { vocabSize } = model.config;
  for (const [index, ofIndex] of best) {
    for (const [id, value] of ofIndex) {
      const off = Math.abs(logits[index * vocabSize + id] - value);
      assertLess(off, 1e-4, `logit ${id} at ${index}`);
    }
  }
  const pieces = [0, ...cuts].flatMap((from, i) => [
    ...model.forward(ids.slice(from, cuts[i] ?? ids.length), from),
  ]);
  assertEquals(Float32Array.from(pieces), logits, "in pieces");
}

/** What nobody reads any more of intermediates is NaN: the reference's logits of `ids`. */
export async function checkPoisoned(
  path: string,
  ids: readonly number[],
  nmseMax: number,
): Promise<void> {
  const exact = exactLogits(path, ids);
  const options = { contextLength: 32 * Math.ceil(ids.length / 32), chunkTokens: 16 };
  using ranks = await openRanks(path, options, { poisons: true });
  const logits = new Float32Array(exact.length);
  const vocabSize = exact.length / ids.length;
  ranks.leader.texts.scoreAll(ids, (rows, first) => logits.set(rows, first * vocabSize));
  assertLess(nmse(logits, exact), nmseMax);
}

/** Two threads, prompts of 140, 97 and 40 of `ids`: the same answers, one and three at once. */
export async function checkTogether(path: string, ids: readonly number[]): Promise<void> {
  const prompts = [140, 97, 40].map((length) => ids.slice(0, length).toReversed());
  const answers: number[][] = [];
  for (const parallel of [1, 3]) {
    await withModel(path, { threads: 2, parallel, gpu: "off" }, async (model) => {
      const all = prompts.map((prompt) => greedyIds(model, prompt, 12));
      answers.push((await Promise.all(all)).flat());
    });
  }
  assertEquals(answers[1], answers[0]);
}

/** Two threads whose arenas have `share` of the pages of one: the reference's logits. */
export async function checkSeveralArenas(
  path: string,
  ids: readonly number[],
  { share, nmseMax }: { readonly share: number; readonly nmseMax: number },
): Promise<void> {
  const exact = exactLogits(path, ids);
  const options = { threads: 2, contextLength: 160, chunkTokens: 32 };
  const file = openGguf(path), module = await loadKernelModule();
  const planned = (arenaBytesMax?: number) =>
    planModel({ file, model: describeForUse(file, options) }, module, {
      ...options,
      arenaBytesMax,
    })[0].arenas;
  const arenaBytesMax = share * PAGE_BYTES * planned()[0].pageCount;
  assertGreater(planned(arenaBytesMax).length, 1);
  await withModel(path, { ...options, arenaBytesMax, gpu: "off" }, async (model) => {
    assertLess(nmse(await allLogits(model, ids), exact), nmseMax);
  });
}

/** A prompt of 140 of `ids`: 128 of them come from a file that another engine wrote. */
export async function checkRestored(path: string, ids: readonly number[]): Promise<void> {
  const options = { contextLength: 160, chunkTokens: 32, rankCount: 1 };
  const request = { ids: ids.slice(0, 140), maxTokens: 8, sampling: { temperature: 0 } };
  const open = () => openRanks(path, options, { poisons: false });
  const kv = `${path}.kv`;
  try {
    using ranks = await open();
    const answer = (of: typeof ranks) => {
      const { timings } = answerNow(of.leader, { ...request, endIds: [] });
      return { ids: [...of.outputIds.slice(0, 8)], cached: timings.cachedTokens };
    };
    const cold = answer(ranks);
    assertEquals(cold.cached, 0);
    const copy = ranks.leader.archive({ modelFingerprint: "tiny" })!.copy(request.ids);
    const { start, sizeBytes, recordBytes } = copy;
    const next = () => Promise.resolve(copy.next(recordBytes));
    await writeKvFile({ start, sizeBytes, next }, { path: kv });
    using others = await open();
    const restoring = others.leader.archive({ modelFingerprint: "tiny" })!.restoring(kv);
    while (!restoring.next().done);
    assertEquals(answer(others), { ...cold, cached: 128 });
  } finally {
    await Deno.remove(kv);
  }
}
