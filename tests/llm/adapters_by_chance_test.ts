/**
 * Requests of a model and its adapters as a server has them: some with shares of their own, some
 * that leave in the middle, texts read between them, guesses: each is answered as if it was alone.
 */
import "../support/thread_pool.ts";
import { assertEquals, assertGreater } from "@std/assert";
import { join } from "node:path";
import type { GenerateRequest, LoadedModel, LoadOptions } from "../../src/llm/mod.ts";
import { deepTest } from "../support/deep.ts";
import { withModel } from "../support/loaded_model.ts";
import { Rng } from "../support/rng.ts";
import { tinyAdapter } from "../support/tiny_adapter.ts";
import { tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";

const FORMS: readonly (readonly [TinyModelOptions, LoadOptions])[] = [
  [{ type: "Q4_0" }, { threads: 2, speculate: 4 }],
  [{}, { threads: 3, chunkTokens: 7, speculate: 3 }],
  [{ architecture: "granitehybrid" }, { threads: 2, chunkTokens: 16 }],
];
const TARGETS = /^blk\.\d+\.attn_([qkv]|output)\.weight$/;
const WORDS = Array.from({ length: 120 }, (_, i) => 3 + (i * 37) % 480);

interface Asked {
  /** 0: of the model itself; else of one with an adapter. */
  readonly model: number;
  readonly request: GenerateRequest;
  /** So long it is waited for, ms; null: until its end. */
  readonly patienceMs: number | null;
}

/** What requests say of adapters: mostly nothing. */
const SHARES = [
  ...[undefined, undefined, undefined, []],
  ...[[{ id: 0, scale: 0.3 }, { id: 1, scale: -0.7 }], [{ id: 1, scale: 1.3 }]],
];

function askedByChance(rng: Rng): Asked {
  const below = (count: number) => Math.floor(rng.float() * count);
  const start = below(2) * below(8);
  return {
    model: below(3),
    request: {
      ...{ ids: WORDS.slice(start, start + 3 + below(109)), maxTokens: 1 + below(20) },
      ...{ sampling: { temperature: 0 }, ignoreEnd: true, adapters: SHARES[below(SHARES.length)] },
    },
    patienceMs: below(4) === 0 ? below(30) : null,
  };
}

/** Ids of an answer; null: who asked has left. */
async function answer(model: LoadedModel, { model: which, request, patienceMs }: Asked) {
  const of = [model, ...model.adapted][which];
  const signal = patienceMs === null ? undefined : AbortSignal.timeout(patienceMs);
  try {
    const { ids, finishReason } = await of.generate({ ...request, signal }).result;
    return finishReason === "length" ? ids : null;
  } catch (error) {
    if (signal?.aborted) return null;
    throw error;
  }
}

for (const [form, load] of FORMS) {
  const name = `${form.architecture ?? "llama"}, ${form.type ?? "F32"}`;
  const reason = "batches of two models are, in attached_adapters_test";
  deepTest(
    `generate() with adapters is as alone among requests that leave: ${name}`,
    reason,
    async () => {
      const folder = await Deno.makeTempDir();
      try {
        const bytes = tinyModel({ seed: 36, contextLength: 300, ...form });
        const path = join(folder, "tiny.gguf");
        await Deno.writeFile(path, bytes);
        const namedAdapters = ["poet", "clerk"].map((id, index) => ({
          ...{ id, adapter: { path: join(folder, `${id}.gguf`), scale: 1 - index / 2 } },
        }));
        for (const [index, { adapter }] of namedAdapters.entries()) {
          const rank = 3 + 14 * index;
          const of = { targets: TARGETS, seed: 5 + index, rank };
          await Deno.writeFile(adapter.path, tinyAdapter(bytes, of));
        }
        const rng = new Rng(77);
        const all = Array.from({ length: 40 }, () => askedByChance(rng));
        const alone: (readonly number[] | null)[] = [];
        await withModel(
          path,
          { ...load, namedAdapters, parallel: 1, speculate: 0 },
          async (model) => {
            for (const each of all) alone.push(await answer(model, { ...each, patienceMs: null }));
          },
        );
        let answered = 0;
        const busy = { ...load, namedAdapters, parallel: 5, maxWaiting: 100 };
        await withModel(path, busy, async (model) => {
          for (let round = 0; round < 3; round++) {
            const reads = model.adapted.map((each) => each.promptLogprobs(WORDS, 0));
            const answers = all.map((each) => answer(model, each));
            for (const [index, ids] of (await Promise.all(answers)).entries()) {
              if (ids === null) continue;
              assertEquals(ids, alone[index], `request ${index} of round ${round}`);
              answered++;
            }
            await Promise.all(reads);
          }
        });
        assertGreater(answered, 60);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  );
}
