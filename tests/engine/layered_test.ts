/** Models whose layers differ: from disk, over arenas, and what is refused of them. */
import "../support/thread_pool.ts";
import { assertEquals, assertGreater, assertLess, assertRejects } from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { KvRecords } from "../../src/engine/kv_records.ts";
import { describeForUse } from "../../src/llm/mod.ts";
import { createArenaMemory } from "../../src/memory/arena.ts";
import { describeModel } from "../../src/model/mod.ts";
import { nmse } from "../support/compare.ts";
import { allLogits, greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { FEW_SLOTS, withPacked } from "../support/packed_model.ts";
import { openRanks } from "../support/poisoned_rank.ts";
import { someRequests } from "../support/some_requests.ts";
import { TINY_PROMPT } from "../support/tiny_model.ts";
import { exactLogits } from "../support/known_logits.ts";

const READERS = Deno.permissions.querySync({ name: "ffi" }).state === "granted"
  ? {}
  : { ioWorkers: 2 };
const PHRASE = TINY_PROMPT.slice(0, 9);
/** What it repeats is likelier than the rest: there is something to guess. */
const REPEATING = {
  ids: [...PHRASE, 9, ...PHRASE, 11, ...PHRASE, ...PHRASE.slice(0, 3)],
  sampling: { temperature: 0, logitBias: new Map(PHRASE.map((id, i) => [id, 6 + i % 3])) },
  ...{ maxTokens: 24, ignoreEnd: true },
};
/** Longer than windows. */
const IDS = TINY_PROMPT.slice(0, 21);

// Of the dense block beside experts one of three threads has nothing.
for (const [architecture, threads] of [["gemma4", 2], ["gemma4-moe", 3]] as const) {
  Deno.test(`${architecture} answers the same from disk as from memory`, () =>
    withPacked({ architecture, type: "Q8_0" }, async (path, packed) => {
      const whole = await withLogits(path, { threads: 2 });
      const streamed = await withLogits(packed, { threads, streaming: FEW_SLOTS, ...READERS });
      assertLess(nmse(streamed, whole), 1e-4);
    }));
}

// What heads give is wider than the stream, as in real models: what lies in memory has other
// neighbours.
Deno.test("experts that are normalised apart are chosen right beside wide heads", () =>
  withTinyFile(
    { architecture: "gemma4-moe", type: "F32", seed: 3, changes: { headDim: 128 } },
    async (path) => {
      const logits = await withLogits(path, { threads: 1 });
      assertLess(nmse(logits, exactLogits(path, IDS)), 1e-11);
    },
  ));

async function withLogits(
  path: string,
  options: Parameters<typeof withModel>[1],
): Promise<Float32Array> {
  let logits = new Float32Array(0);
  await withModel(path, options, async (model) => {
    logits = Float32Array.from(await allLogits(model, IDS));
  });
  return logits;
}

// Fewer requests than batch_test.ts and speculation_test.ts ask of others, and both at once.
Deno.test("generate() of gemma4 answers at once and with guesses as alone", () =>
  withTinyFile({ architecture: "gemma4", type: "Q8_0", seed: 4 }, async (path) => {
    const requests = [REPEATING, ...someRequests(3, 16)];
    let alone: (readonly number[])[] = [];
    await withModel(path, { threads: 2, speculate: "off", chunkTokens: 24 }, async (model) => {
      for (const request of requests) alone.push((await model.generate(request).result).ids);
    });
    const together = { threads: 2, speculate: 5, parallel: 4, chunkTokens: 32 };
    await withModel(path, together, async (model) => {
      const answers = () => Promise.all(requests.map((each) => model.generate(each).result));
      const cold = await answers();
      assertEquals(cold.map(({ ids }) => ids), alone);
      assertGreater(cold[0].timings.acceptedTokens ?? 0, 2);
      requests.reverse();
      alone = alone.toReversed();
      const warm = await answers();
      assertEquals(warm.map(({ ids }) => ids), alone, "prompts are in the cache");
      assertGreater(Math.max(...warm.map(({ timings }) => timings.cachedTokens ?? 0)), 31);
    });
  }));

Deno.test("layers that would be far from the keys that they read are refused", () =>
  withPacked({ architecture: "gemma4", type: "Q8_0" }, async (_, packed) => {
    const streaming = { ...FEW_SLOTS, arenaCount: 2 };
    await assertRejects(
      () => withModel(packed, { ...READERS, threads: 2, streaming }, async () => {}),
      UnsupportedModelError,
      "layer 3: it reads the keys of layer 1",
    );
  }));

Deno.test("what is kept of a block of tokens is of layers that have keys, as wide as they are", () =>
  withTinyFile({ architecture: "gemma4" }, async (path) => {
    using ranks = await openRanks(path, { rankCount: 1 }, { poisons: false });
    const memories = ranks.plans.map(({ arenas }) => arenas.map(createArenaMemory));
    const { config } = describeModel(openGguf(path));
    const records = new KvRecords({ plans: ranks.plans, memories, config } as never, "");
    // Keys and values of 2 heads over 32 positions: two layers of 16 dimensions, one of 32.
    assertEquals(records.recordBytes, 12 + 4 * 32 + 2 * (2 * 32) * (16 + 16 + 32) * 4);
  }));

Deno.test("layers with unequal neurons are not observed", () =>
  withTinyFile({ architecture: "gemma4" }, async (path) => {
    await assertRejects(
      // deno-lint-ignore require-await
      async () => describeForUse(openGguf(path), { observe: ["fired"] }),
      UnsupportedModelError,
      "differ in how many neurons",
    );
  }));

Deno.test("a table of what tokens give layers that changed is noticed", () =>
  withTinyFile({ architecture: "gemma4", type: "Q8_0" }, async (path) => {
    await withModel(path, { threads: 2 }, async (model) => {
      assertEquals((await greedyIds(model, IDS, 2)).length, 2);
      Deno.writeFileSync(path, Deno.readFileSync(path));
      Deno.utimeSync(path, new Date(), new Date(2000, 1, 1));
      const error = await assertRejects(() => greedyIds(model, [7, 8, 9], 4), Error);
      assertEquals(/changed while it was in use/.test(error.message), true, error.message);
    });
  }));
