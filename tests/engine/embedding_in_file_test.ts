/**
 * A packed model that is streamed leaves its embedding table in the file, where the output is
 * another tensor: small models made from a seed, compared with themselves in memory.
 */
import "../support/thread_pool.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { setTimeout as delay } from "node:timers/promises";
import { isModelChanged, RequestError } from "../../src/base/errors.ts";
import { openPacked } from "../../src/bundle/mod.ts";
import type { StreamingChoice } from "../../src/rank/plan/plan_units.ts";
import { type LoadedModel, type LoadOptions, memoryUse, planModel } from "../../src/llm/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import type { RankPlan } from "../../src/rank/plan/plan_types.ts";
import { deepTest } from "../support/deep.ts";
import { allLogits, greedyIds, withModel } from "../support/loaded_model.ts";
import { downsIn, FEW_SLOTS, withPacked } from "../support/packed_model.ts";
import { randomIds } from "../support/rng.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";
import { loadKernelModule } from "../../wasm/mod.ts";

const TABLE = "token_embd.weight";
const BAMBOO = { architecture: "bamboo", type: "Q4_0" } as const;
const MODULE = await loadKernelModule();
/** More than there are places for rows of quantised tables. */
const IDS = randomIds(150, { end: 256, seed: 21 });

function plansOf(path: string, options: LoadOptions): RankPlan[] {
  const packed = openPacked(path);
  return planModel(
    { file: packed.file, packed, model: describeModel(packed.file) },
    MODULE,
    options,
  );
}

function bytesOfRegion(plans: readonly RankPlan[], name: string): number {
  return plans.flatMap(({ arenas }) => arenas.flatMap(({ regions }) => regions))
    .filter((region) => region.name === name)
    .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** What is asked of a model: logits of all positions and the best ids. */
async function ask(path: string, options: LoadOptions) {
  const answers: (Float32Array | number[])[] = [];
  await withModel(path, { ioWorkers: 2, chunkTokens: 128, ...options }, async (model) => {
    answers.push(await greedyIds(model, IDS, 16), await allLogits(model, IDS));
  });
  return answers;
}

const OTHER_TYPE = "in the gate are rows of floats, of blocks and of superblocks";

for (
  const tiny of [
    ...(["F32", "F16", "Q4_0", "Q8_0"] as const).map((type) => ({ ...BAMBOO, type })),
    { ...BAMBOO, type: "Q4_K", embeddingLength: 256, feedForwardLength: 768 },
    { ...BAMBOO, type: "Q2_0" }, // rows of a quarter of a superblock
    { ...BAMBOO, type: "IQ2_XS", embeddingLength: 256, typeOf: downsIn("Q4_0") },
    { architecture: "smallthinker", type: "Q4_0" },
  ] satisfies TinyModelOptions[]
) {
  const deep = ["F16", "Q8_0", "Q4_K"].includes(tiny.type) ? OTHER_TYPE : undefined;
  deepTest(
    `${tiny.architecture} in ${tiny.type} answers the same without its table`,
    deep,
    () =>
      withPacked(tiny, async (_, packed) => {
        for (const threads of [1, 3]) {
          const slotCount = 1024;
          const options = { threads, streaming: { ...FEW_SLOTS, slotCount } };
          const whole = { threads, streaming: { ...options.streaming, residentUnits: 1e9 } };
          assert(plansOf(packed, options).every((plan) => plan.embeddingInFile !== null));
          assertEquals(await ask(packed, options), await ask(packed, whole), `${threads}`);
        }
      }),
  );
}

Deno.test("planRanks() leaves the table in the file where units are streamed and it is no output", async () => {
  for (const tied of [false, true]) {
    await withPacked({ ...BAMBOO, tied }, (_, packed) => {
      const planned = (residentUnits: number) =>
        plansOf(packed, { threads: 2, streaming: { ...FEW_SLOTS, residentUnits } });
      const [none, some, all] = [0, 1, 2].map(planned);
      for (const plans of tied ? [] : [none, some]) {
        assertEquals(bytesOfRegion(plans, TABLE), 0);
        // 512 rows, packed.
        assertEquals(memoryUse(plans).diskTableBytes, 512 * 144);
        assert(plans.every(({ embeddingInFile }) => embeddingInFile!.rowsAtOnce < 128));
      }
      for (const plans of tied ? [none, some, all] : [all]) {
        assertEquals(bytesOfRegion(plans, TABLE), 512 * 144);
        assertEquals(memoryUse(plans).diskTableBytes, 0);
      }
      return Promise.resolve();
    });
  }
});

/** Slots for all neurons of the last unit, which are filled when the model is loaded. */
const ALL_FOUND: StreamingChoice = { ...FEW_SLOTS, residentUnits: 1, slotCount: 512 };

async function streamedBy(model: LoadedModel, ids: readonly number[], maxTokens: number) {
  const request = { ids, maxTokens, sampling: { temperature: 0 }, ignoreEnd: true };
  return (await model.generate(request).result).timings.streamed!;
}

Deno.test("a token reads one row of a table in the file, and nothing else that is in slots", () =>
  withPacked(BAMBOO, async (_, packed) => {
    await withModel(packed, { threads: 2, streaming: ALL_FOUND, ioWorkers: 2 }, async (model) => {
      const { hits, misses, diskReads, diskBytes } = await streamedBy(model, [7], 9);
      assertGreater(hits, 0);
      assertEquals([misses, diskReads, diskBytes], [0, 8, 8 * 36]);
    });
  }));

Deno.test("a row of the table that cannot be read ends its request, and asks for the file anew", () =>
  withPacked(BAMBOO, async (_, packed) => {
    const options = { threads: 2, streaming: ALL_FOUND };
    const [{ embeddingInFile }, second] = plansOf(packed, options);
    // A row of each rank's.
    for (const id of [9, second.shard.vocab.start + 5]) {
      await withModel(packed, { ...options, ioWorkers: 2 }, async (model) => {
        assertEquals((await greedyIds(model, [7], 4)).length, 4);
        await Deno.utime(packed, new Date(), new Date(2000, 1, id));
        await delay(1_100); // it is looked at once a second
        const error = await assertRejects(() => greedyIds(model, [id], 4), RequestError);
        const at = embeddingInFile!.fileOffsetBytes + 36 * id;
        assertStringIncludes(error.message, `36 bytes at byte ${at} of`);
        assertStringIncludes(error.message, "changed while it was in use");
        assertEquals([error.status, isModelChanged(model.failure)], [503, true]);
      });
    }
  }));
