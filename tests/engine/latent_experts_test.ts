/**
 * Experts that read latents, where layers use other numbers of them, of other lengths: of rounded
 * weights, with biases, out of a packed file, and in whatever memory there is. That ranks compute
 * them as the reference does is families_test.ts, that several requests are answered as each alone
 * is batch_test.ts; what a GPU has of them, rank/gpu_families_test.ts.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { openGguf, TensorReader, u32 } from "../../src/gguf/mod.ts";
import { loadModel, type LoadOptions } from "../../src/llm/mod.ts";
import { BudgetError } from "../../src/llm/choose_units.ts";
import { bytesPerToken } from "../../src/llm/gpu_memory.ts";
import { describeModel } from "../../src/model/mod.ts";
import { usageOf } from "../../src/planner/firing_rates.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { logitsHere } from "../support/answers_here.ts";
import { nmse } from "../support/compare.ts";
import { deepOnly, deepTest, IS_DEEP } from "../support/deep.ts";
import { allLogits, greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { FEW_SLOTS, READERS, withPacked } from "../support/packed_model.ts";
import { randomIds } from "../support/rng.ts";
import type { SynthQuant } from "../../src/synth/synth_types.ts";
import { TINY_FAMILIES } from "../support/tiny_families.ts";
import type { TinyFamily } from "../support/tiny_family.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

const IDS = randomIds(21, { end: 512, seed: 8 });
const PUZZLE = TINY_FAMILIES["nemotron_h_moe-puzzle"];

/** Rows of down that single neurons can be read from: 64 of them, of a stream that is wider. */
function puzzleOf(type: SynthQuant, keys: TinyFamily["keys"] = {}): TinyModelOptions {
  const changes = {
    experts: { ...PUZZLE.experts, latent: 64 },
    keys: { ...PUZZLE.keys, "moe_latent_size": u32(64), ...keys },
  };
  return { architecture: "nemotron_h_moe-puzzle", type, embeddingLength: 128, changes };
}

interface Answers {
  readonly chunked: Float32Array;
  readonly single: Float32Array;
  readonly greedy: readonly number[];
}

async function ask(path: string, options: LoadOptions): Promise<Answers> {
  return await withModel(path, { ...READERS, ...options }, async (model) => ({
    chunked: await allLogits(model, IDS),
    single: await allLogits(model, IDS, 1),
    greedy: await greedyIds(model, IDS, 16),
  }));
}

Deno.test("a rank computes latents of rounded numbers as the reference does of exact ones", () =>
  // All experts of each layer: none is chosen by a rounded number instead of another.
  withTinyFile(puzzleOf("Q8_0", { "expert_used_count": u32(8) }), async (path) => {
    const file = openGguf(path);
    using reader = TensorReader.open(file);
    const exact = new ReferenceModel(file, { reader }).forward(IDS);
    for (const chunkTokens of [1, 64]) {
      const logits = await logitsHere(path, IDS, { chunkTokens, kvType: "f32" });
      assertLess(nmse(logits, exact), ROUNDED_NMSE);
    }
  }));

/** Measured: 4.7e-4; of latents that are another layer's 0.8. */
const ROUNDED_NMSE = 2e-3;

Deno.test("a rank adds biases of experts that read latents to what is made of their sum", () => {
  const experts = { ...PUZZLE.experts!, hasBiases: "apartFromRouter" } as const;
  const of = { architecture: "nemotron_h_moe-puzzle", changes: { experts } } as const;
  return withTinyFile(of, async (path) => {
    const file = openGguf(path);
    using reader = TensorReader.open(file);
    const exact = new ReferenceModel(file, { reader }).forward(IDS);
    for (const chunkTokens of [1, 64]) {
      const logits = await logitsHere(path, IDS, { chunkTokens, kvType: "f32" });
      assertLess(nmse(logits, exact), 1e-11);
    }
  });
});

/** What threads add up in another order, of floats: those of halves are rounded once more. */
const SUMS_NMSE = { "F16": 1e-8, "F32": 1e-11 };

for (const type of ["Q4_0", "Q8_0", "F16", "F32"] as const) {
  const deep = type === "Q4_0" ? undefined : "Q4_0 is streamed the same way";
  deepTest(
    `experts that read latents in ${type} answer the same from disk as from memory`,
    deep,
    () =>
      withPacked(puzzleOf(type), async (path, packed) => {
        for (const threads of [1, ...deepOnly(2), 3]) {
          const whole = await ask(path, { threads });
          const kept = { hasResidentGates: false, slotCount: 0, stagePlaces: 6, keepsCommon: true };
          const ways = [FEW_SLOTS, { ...FEW_SLOTS, residentUnits: 1, arenaCount: 2 }, {
            ...{ ...FEW_SLOTS, ...kept },
          }];
          const all = [...ways, { ...FEW_SLOTS, residentUnits: 1e9 }];
          // Three share arenas, and what is staged.
          for (const streaming of threads === 1 || IS_DEEP ? all : all.slice(1, 3)) {
            const streamed = await ask(packed, { threads, streaming });
            if (threads === 1) assertEquals(streamed, whole);
            for (const which of ["chunked", "single"] as const) {
              const most = type === "F16" || type === "F32" ? SUMS_NMSE[type] : 1e-12;
              assertLess(nmse(streamed[which], whole[which]), most);
            }
            assertEquals(streamed.greedy, whole.greedy);
          }
        }
      }),
  );
}

Deno.test("bytesPerToken() counts of a layer's experts as many as a token uses there", () =>
  withTinyFile({ architecture: "nemotron_h_moe-puzzle", tied: true }, async (path) => {
    // Up and down of 32 numbers; 3 of 8 experts of 32 neurons are used, 1 of 64, 4 of 48.
    const unused = 2 * 32 * (5 * 32 + 7 * 64 + 4 * 48) * 4;
    const file = openGguf(path), model = describeModel(file);
    const all = [...file.tensors.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    assertEquals(all - bytesPerToken({ file, model }), unused);
    assertEquals(
      [1, 4, 6].map((layer) => usageOf({ layer, expert: 0 }, model.config)),
      [3 / 8, 1 / 8, 4 / 8],
    );
    await withModel(path, { threads: 1 }, ({ memory, bytesPerToken }) => {
      assertEquals(memory.weightsBytes - bytesPerToken, unused);
      return Promise.resolve();
    });
  }));

Deno.test("a packed model whose experts read latents runs in the least memory that it asks for", () =>
  withPacked(puzzleOf("Q8_0"), async (path, packed) => {
    const options = { threads: 1, ...READERS } as const;
    const load = () => loadModel(packed, { ...options, memoryBytes: 2 ** 20 });
    const { neededBytes } = await assertRejects(load, BudgetError);
    const whole = await ask(path, options);
    const streamed = async (more: number) => {
      const counts: { hits: number; diskBytes: number }[] = [];
      await withModel(packed, { ...options, memoryBytes: neededBytes + more }, async (model) => {
        assert(model.memory.diskBytes > 0, "some experts are not in memory");
        assertEquals(model.memory.slotBytes, 0, "nobody can name neurons one by one");
        assertEquals(await greedyIds(model, IDS, 16), whole.greedy);
        const request = { ids: IDS, maxTokens: 16, sampling: { temperature: 0 }, ignoreEnd: true };
        counts.push((await model.generate(request).result).timings.streamed!);
      });
      return counts[0];
    };
    const [least, some] = [await streamed(0), await streamed(2 ** 17)];
    assert(some.hits > 0, "what was used last has stayed");
    assertLess(some.diskBytes, least.diskBytes);
  }));
