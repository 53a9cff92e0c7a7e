/**
 * Several requests at once: the same ids as alone, whatever else is in their steps, whatever of
 * their prompts was in the cache, and nothing left behind when they go.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess } from "@std/assert";
import type { GenerateRequest, LoadedModel, LoadOptions } from "../../src/llm/mod.ts";
import { deepTest, IS_DEEP } from "../support/deep.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { Rng } from "../support/rng.ts";
import { someRequests } from "../support/some_requests.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

async function idsAlone(model: LoadedModel, requests: readonly GenerateRequest[]) {
  const answers: (readonly number[])[] = [];
  for (const request of requests) answers.push((await model.generate(request).result).ids);
  return answers;
}

async function idsTogether(model: LoadedModel, requests: readonly GenerateRequest[]) {
  const results = await Promise.all(requests.map((request) => model.generate(request).result));
  return results.map(({ ids }) => ids);
}

/** Of one superblock. */
const ROWS_OF_256: TinyModelOptions = { embeddingLength: 256, feedForwardLength: 256 };

/** Models whose rows are computed together, and one whose prompts take turns. */
const MODELS: readonly (readonly [string, TinyModelOptions, LoadOptions])[] = [
  ["llama in F32", { type: "F32" }, { threads: 1 }],
  ["llama in Q4_0", { type: "Q4_0" }, { threads: 2 }],
  ["llama-moe in IQ1_M and TQ1_0, in small steps", {
    ...{ type: "IQ1_M", architecture: "llama-moe", ...ROWS_OF_256, blockCount: 1 },
    changes: { experts: { count: 4, used: 2, length: 256 } },
    typeOf: (name) => name.includes("_exps") ? "TQ1_0" : undefined,
  }, { threads: 2, chunkTokens: 7 }],
  ["llama in Q8_0, in small steps", { type: "Q8_0" }, { threads: 3, chunkTokens: 7 }],
  // Two key/value heads: the third thread has none.
  ["gemma2 in Q8_0, 3 threads", { type: "Q8_0", architecture: "gemma2" }, { threads: 3 }],
  ["gpt2 in F16", { type: "F16", architecture: "gpt2" }, { threads: 2 }],
  ["olmo2 in Q4_0", { type: "Q4_0", architecture: "olmo2" }, { threads: 2 }],
  ["qwen2moe in Q4_0", { type: "Q4_0", architecture: "qwen2moe" }, { threads: 2 }],
  ["gpt-oss in Q8_0", { type: "Q8_0", architecture: "gpt-oss" }, { threads: 3 }],
  ["deepseek2-old in Q8_0", { type: "Q8_0", architecture: "deepseek2-old" }, { threads: 2 }],
  ["deepseek2-grouped in Q4_0", { type: "Q4_0", architecture: "deepseek2-grouped" }, {
    threads: 3,
  }],
  ["glm-dsa-chosen in Q8_0, in small steps", { type: "Q8_0", architecture: "glm-dsa-chosen" }, {
    ...{ threads: 2, chunkTokens: 7 },
  }],
  ["lfm2 in Q4_0, in small steps", { type: "Q4_0", architecture: "lfm2" }, {
    ...{ threads: 3, chunkTokens: 7 },
  }],
  ["jamba in Q8_0, in small steps", { type: "Q8_0", architecture: "jamba" }, {
    ...{ threads: 2, chunkTokens: 7 },
  }],
  ["plamo2 in Q8_0, in small steps", { type: "Q8_0", architecture: "plamo2" }, {
    ...{ threads: 3, chunkTokens: 7 },
  }],
  ["granitehybrid in Q4_0", { type: "Q4_0", architecture: "granitehybrid" }, { threads: 3 }],
  ["nemotron_h in Q4_0, prompts taking turns", { type: "Q4_0", architecture: "nemotron_h" }, {
    threads: 2,
  }],
  ["nemotron_h_moe-puzzle in Q4_0", { type: "Q4_0", architecture: "nemotron_h_moe-puzzle" }, {
    threads: 3,
  }],
  ["qwen35 in Q4_0, in small steps", { type: "Q4_0", architecture: "qwen35" }, {
    ...{ threads: 3, chunkTokens: 7 },
  }],
  ["rwkv7 in Q4_0, prompts taking turns", { type: "Q4_0", architecture: "rwkv7" }, {
    ...{ threads: 2, chunkTokens: 7 },
  }],
  ["rwkv6-old in Q4_0, prompts taking turns", { type: "Q4_0", architecture: "rwkv6-old" }, {
    ...{ threads: 2, chunkTokens: 7 },
  }],
  ["bailingmoe3 in Q4_0, in small steps", { type: "Q4_0", architecture: "bailingmoe3" }, {
    ...{ threads: 2, chunkTokens: 7 },
  }],
  ["kimi-k3 in Q4_0, in small steps", { type: "Q4_0", architecture: "kimi-k3" }, {
    ...{ threads: 3, chunkTokens: 7 },
  }],
  ["kimi-linear in Q4_0, in small steps", { type: "Q4_0", architecture: "kimi-linear" }, {
    ...{ threads: 3, chunkTokens: 7 },
  }],
  ["minimax-01 in Q4_0, in small steps", { type: "Q4_0", architecture: "minimax-01" }, {
    ...{ threads: 3, chunkTokens: 7 },
  }],
  ["lfm2moe in Q8_0", { type: "Q8_0", architecture: "lfm2moe" }, { threads: 2 }],
  ["bamboo in Q4_0, prompts taking turns", { type: "Q4_0", architecture: "bamboo" }, {
    threads: 2,
  }],
  ["bamboo in Q8_0, dense", { type: "Q8_0", architecture: "bamboo" }, {
    threads: 2,
    sparse: false,
  }],
];

/** Models whose like is in the gate, and which one that is. */
const ALIKE: Readonly<Record<string, string>> = {
  "llama in Q8_0, in small steps": "lfm2 and llama in Q4_0 are",
  "deepseek2-old in Q8_0": "deepseek2-grouped is",
  "nemotron_h in Q4_0, prompts taking turns": "its states are granitehybrid's",
  "bailingmoe3 in Q4_0, in small steps": "its latents are deepseek2's, its states kimi-k3's",
  "kimi-linear in Q4_0, in small steps": "kimi-k3 is",
  "lfm2moe in Q8_0": "lfm2 and qwen2moe are",
  "bamboo in Q8_0, dense": "llama in Q4_0 is",
};

/**
 * Models that the gate asks in all ways: prompts that nothing is known of, known ones in another
 * order, requests by themselves afterwards, and some that wait for others. Rows, turns, states and
 * latents; of the others known prompts in another order are the second and last way.
 */
const IN_ALL_WAYS = ["llama in Q4_0", "plamo2 in Q8_0, in small steps"];

for (const [name, form, options] of MODELS) {
  const deep = name in ALIKE ? `in the gate ${ALIKE[name]}` : undefined;
  // fault 61: the same ids alone and in a batch.
  deepTest(
    `generate() of ${name} gives the same ids alone and in a batch of 8`,
    deep,
    () =>
      withTinyFile({ ...form, contextLength: 300 }, async (path) => {
        const requests = someRequests(8, 24);
        let alone: (readonly number[])[] = [];
        await withModel(path, { ...options, parallel: 1 }, async (model) => {
          alone = await idsAlone(model, requests);
        });
        alone.forEach((ids, i) => assertEquals(ids.length, requests[i].maxTokens));
        const isAll = IS_DEEP || IN_ALL_WAYS.includes(name);
        await withModel(path, { ...options, parallel: 8 }, async (model) => {
          assertEquals(await idsTogether(model, requests), alone, "cold");
          const reversed = await idsTogether(model, requests.toReversed());
          assertEquals(reversed, alone.toReversed(), "prompts are in the cache");
          if (!isAll) return;
          assertEquals(await idsTogether(model, requests), alone, "in the cache again");
          assertEquals(await idsAlone(model, requests), alone, "alone again");
        });
        if (!isAll) return;
        await withModel(path, { ...options, parallel: 3 }, async (model) => {
          assertEquals(await idsTogether(model, requests), alone, "not all of them at once");
        });
      }),
  );
}

Deno.test("generate() gives the same ids in a batch with 1 to 3 threads, streamed or not", () =>
  withTinyFile({ type: "Q4_0", contextLength: 300 }, async (path) => {
    const requests = someRequests(8);
    let expected: (readonly number[])[] | null = null;
    for (const threads of [1, 2, 3]) {
      await withModel(path, { threads, parallel: 8 }, async (model) => {
        const streamed = await Promise.all(requests.map(async (request) => {
          const ids: number[] = [];
          for await (const chunk of model.generate(request)) ids.push(...chunk.ids);
          return ids;
        }));
        // Sums over ranks round otherwise; ids of these models do not depend on it.
        expected ??= streamed;
        assertEquals(streamed, expected);
        assertEquals(await idsTogether(model, requests), expected);
      });
    }
  }));

Deno.test("generate() computes a prompt once for several answers that are asked for at once", () =>
  withTinyFile({ type: "Q4_0", contextLength: 300 }, async (path) => {
    const ids = Array.from({ length: 210 }, (_, i) => 3 + (i * i) % 500);
    const requests = [1, 2, 3, 1].map((seed) => ({
      ids,
      maxTokens: 20,
      sampling: { temperature: 1.3, topK: 0, seed },
      ignoreEnd: true,
    }));
    let alone: (readonly number[])[] = [];
    await withModel(path, { threads: 2 }, async (model) => {
      alone = await idsAlone(model, requests);
    });
    await withModel(path, { threads: 2, parallel: 4 }, async (model) => {
      const results = await Promise.all(requests.map((each) => model.generate(each).result));
      assertEquals(results.map(({ ids }) => ids), alone);
      const cached = results.map(({ timings }) => timings.cachedTokens);
      assertEquals(cached, [0, 209, 209, 209], "all but the last id");
    });
  }));

Deno.test("generate() forks answers as a beam does: what they have in common is computed once", () =>
  withTinyFile({ type: "Q4_0", contextLength: 300 }, async (path) => {
    const ids = Array.from({ length: 120 }, (_, i) => 3 + (i * i) % 500);
    const sampling = { temperature: 0 };
    const fork = (stem: readonly number[]) =>
      [7, 8, 9].map((id) => ({ ids: [...stem, id], maxTokens: 12, sampling, ignoreEnd: true }));
    let stem: readonly number[] = [];
    let alone: (readonly number[])[] = [];
    await withModel(path, { threads: 2 }, async (model) => {
      const first = { ids, maxTokens: 50, sampling, ignoreEnd: true };
      stem = [...ids, ...(await model.generate(first).result).ids];
      alone = await idsAlone(model, fork(stem));
    });
    await withModel(path, { threads: 2, parallel: 3 }, async (model) => {
      await model.generate({ ids, maxTokens: 50, sampling, ignoreEnd: true }).result;
      // 169 positions of prompt and answer have their keys and values.
      const results = await Promise.all(fork(stem).map((each) => model.generate(each).result));
      assertEquals(results.map(({ ids }) => ids), alone);
      assertEquals(results.map(({ timings }) => timings.cachedTokens), [169, 169, 169]);
      assertEquals(model.kv.usedTokens, 0);
    });
  }));

// fault 65: requests come and go while others run.
Deno.test("generate() takes requests in and lets them go while others run", () =>
  withTinyFile({ type: "Q4_0", contextLength: 300 }, async (path) => {
    const requests = someRequests(8);
    await withModel(path, { threads: 2, parallel: 4 }, async (model) => {
      const alone = await idsAlone(model, requests);
      const rng = new Rng(5);
      const long = model.generate({ ...requests[0], ids: [5, 6], maxTokens: 250 });
      for (let round = 0; round < 12; round++) {
        const leaves = requests.map(() => rng.int(3) === 0);
        const results = await Promise.all(requests.map(async (request, i) => {
          const abort = new AbortController();
          const generation = model.generate({ ...request, signal: abort.signal });
          if (leaves[i]) setTimeout(() => abort.abort(), rng.int(20));
          return await generation.result;
        }));
        results.forEach(({ ids, finishReason }, i) => {
          if (finishReason === "length") assertEquals(ids, alone[i]);
          else assertEquals([ids, finishReason], [alone[i].slice(0, ids.length), "cancelled"]);
          assert(finishReason === "length" || leaves[i], "only who is told to stop does");
        });
      }
      await long.result;
      assertEquals(model.load, { running: 0, waiting: 0 });
      assertEquals(await idsTogether(model, requests), alone);
    });
  }));

Deno.test("generate() lets a short prompt through while a long one is read", () =>
  withTinyFile({ type: "Q4_0", contextLength: 8192, blockCount: 6 }, async (path) => {
    await withModel(path, { threads: 2, parallel: 2 }, async (model) => {
      const ids = Array.from({ length: 8000 }, (_, i) => 3 + i % 500);
      const startMs = performance.now();
      const long = model.generate({ ids, maxTokens: 1 });
      await new Promise((resolve) => setTimeout(resolve, 5));
      const short = await model.generate({ ids: [5, 6, 7], maxTokens: 2, ignoreEnd: true }).result;
      const shortMs = performance.now() - startMs;
      await long.result;
      const longMs = performance.now() - startMs;
      assertEquals(short.ids.length, 2);
      assertLess(shortMs, longMs / 2);
    });
  }));

Deno.test("generate() ends at its deadline, whether it runs or waits", () =>
  // Of 4,096 positions a machine that is idle fills all within half a second.
  withTinyFile({ type: "Q4_0", contextLength: 65_536 }, async (path) => {
    await withModel(path, { threads: 1, parallel: 1 }, async (model) => {
      const answers = (deadlineMs: number) =>
        [deadlineMs, 60]
          .map((deadlineMs) => model.generate({ ids: [5, 6], ignoreEnd: true, deadlineMs }))
          .map(({ result }) => result);
      // A machine that is busy may have no id for a while: then it has more time.
      for (let deadlineMs = 250;; deadlineMs *= 2) {
        const [running, waiting] = await Promise.all(answers(deadlineMs));
        assertEquals([running.finishReason, waiting.finishReason], ["time", "time"]);
        assertEquals(waiting.ids, []);
        if (running.ids.length > 0) break;
        assertLess(deadlineMs, 10_000, "it never has an id");
      }
    });
  }));

Deno.test("generate() answers as many at once as it was loaded for, and counts who waits", () =>
  withTinyFile({ type: "Q4_0", contextLength: 2048 }, async (path) => {
    await withModel(path, { threads: 1, parallel: 3, maxWaiting: 2 }, async (model) => {
      const abort = new AbortController();
      const request = { ids: [5, 6], ignoreEnd: true, signal: abort.signal };
      const all = Array.from({ length: 5 }, () => model.generate(request));
      assertEquals(model.load, { running: 3, waiting: 2 });
      let refused = "";
      try {
        model.generate(request);
      } catch (error) {
        refused = (error as { code: string }).code;
      }
      assertEquals(refused, "queue_full");
      // If one of them waited for another, it would not say two pieces while all run.
      const pieces = all.slice(0, 3).map((each) => each[Symbol.asyncIterator]());
      for (const turn of [1, 2]) {
        for (const each of pieces) assertEquals((await each.next()).done, false, `${turn}`);
      }
      assertEquals(model.load, { running: 3, waiting: 2 });
      abort.abort();
      const results = await Promise.all(all.map(({ result }) => result));
      assertEquals(results.map(({ finishReason }) => finishReason), all.map(() => "cancelled"));
    });
  }));
