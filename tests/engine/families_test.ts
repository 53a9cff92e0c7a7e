/**
 * The engine against the reference, family by family, on small models made from a seed: what one
 * thread computes, what several do together, and tokens one by one against tokens in chunks.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess } from "@std/assert";
import { openGguf, TensorReader } from "../../src/gguf/mod.ts";
import { describeForUse, type LoadOptions, planModel } from "../../src/llm/mod.ts";
import { PAGE_BYTES } from "../../src/memory/arena.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { answersHere, logitsHere } from "../support/answers_here.ts";
import { nmse } from "../support/compare.ts";
import { deepTest } from "../support/deep.ts";
import { GPU_EXPERTS_ALONE, GPU_MIXTURES } from "../support/gpu_families.ts";
import { asRows } from "../support/given_rows.ts";
import { allLogits, greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { randomIds } from "../support/rng.ts";
import { TINY_FAMILIES, type TinyFamilyName } from "../support/tiny_families.ts";

const FAMILIES = Object.keys(TINY_FAMILIES) as TinyFamilyName[];
/** Of 26 layers, over which what rounding makes different grows to a hundred times as much. */
const DEEP: readonly TinyFamilyName[] = ["deepseek2"];
const MIXTURES = FAMILIES.filter((name) =>
  "experts" in TINY_FAMILIES[name] && !DEEP.includes(name)
);
/** Longer than the windows, and no multiple of the 16 rows that `logits` computes at once. */
const IDS = randomIds(37, { end: 512, seed: 7 });
const Q8_0 = { type: "Q8_0", embeddingLength: 64 } as const;
/** By seed 7 a token of theirs is so undecided that rounding chooses others (llama.cpp's, too). */
const DECIDED_SEEDS: Partial<Record<TinyFamilyName, number>> = {
  "granitemoe": 3,
  "deepseek2-grouped": 3,
  "exaone-moe": 12,
  "cohere2moe": 38,
  "llama4": 2,
  "jamba": 5,
  "granitehybrid-moe": 2,
  "qwen35moe": 3,
  "qwen3next": 4,
  "bailingmoe3": 5,
  "kimi-k3": 25,
  "kimi-linear": 5,
  "nemotron_h_moe-puzzle": 2,
  "laguna": 2,
  "minimax-m3": 3,
  "laguna-unwindowed": 9,
  "deepseek4": 2,
  "dots3note-chosen": 6,
};
/** States carry on what rounding has made different; llama.cpp's logits are as far away: 5e-3. */
const Q8_0_NMSE: Partial<Record<TinyFamilyName, number>> = {
  "granitehybrid-moe": 3e-3,
  // Of 12 seeds llama.cpp is 6e-3 to 6e-2 away.
  "kimi-k3": 1e-2,
  // Scores that nothing divides make much of little, too: 5.4e-2 in llama.cpp.
  "gemma4-moe": 3e-2,
  // Rounding chooses other keys, one of 16 is much; llama.cpp is 6.4e-3 and 2.8e-2 away.
  "deepseek32-chosen": 1.5e-2,
  "glm-dsa-chosen": 6e-2,
};
/** F32 weights; measured 8e-13 at most, of Gemma 3n and 4 1.6e-12, 1.8e-12 and 4.2e-12. */
const F32_NMSE = 2e-12;
const F32_NMSE_GEMMAS = 8e-12;
const GEMMAS: readonly TinyFamilyName[] = ["gemma3n", "gemma4", "gemma4-moe"];
/** Their tokens give layers more than embeddings. */
const WITH_INPUTS: readonly TinyFamilyName[] = ["gemma3n", "gemma4", "deepseek4", "qwen4exp"];

for (const architecture of FAMILIES) {
  Deno.test(`the engine computes ${architecture} as the reference does`, async () => {
    await withTinyFile({ architecture, seed: 3 }, async (path) => {
      const exact = reference(path, IDS);
      const nmseMax = GEMMAS.includes(architecture) ? F32_NMSE_GEMMAS : F32_NMSE;
      // One thread, the test's own, takes tokens one by one: what decoding does, for each position.
      const prompt = asRows(path, IDS.slice(0, 7), [2, 5]);
      const alone = await answersHere(path, IDS, { chunkTokens: 1 }, prompt);
      assertLess(nmse(alone.logits, exact), nmseMax, "one thread");
      // Rows in place of embeddings are as good.
      const { length } = alone.ofPrompt!;
      const ofIds = alone.logits.subarray(0, length);
      if (!WITH_INPUTS.includes(architecture)) assertEquals(alone.ofPrompt, ofIds, "given rows");
      // Three have unequal parts of heads and neurons, some no keys and values at all.
      await withModel(path, { threads: 3, chunkTokens: 64 }, async (model) => {
        assertLess(nmse(await allLogits(model, IDS), exact), nmseMax, "three threads");
        assertEquals(await greedyIds(model, IDS.slice(0, 9), 16), alone.greedy);
      });
    });
  });
}

/** One of each kind of experts (and of what is before them); of all others F32 is in the gate. */
const KINDS: readonly TinyFamilyName[] = GPU_MIXTURES.filter((name) =>
  !GPU_EXPERTS_ALONE.includes(name)
);

for (const [index, architecture] of MIXTURES.entries()) {
  const deep = KINDS.includes(architecture) ? undefined : "in F32 it is computed above";
  deepTest(`${architecture} in Q8_0 computes chunks as single tokens`, deep, async () => {
    await withTinyFile(
      { architecture, seed: DECIDED_SEEDS[architecture] ?? 7, ...Q8_0 },
      async (path) => {
        const logits: Float32Array[] = [];
        for (const chunkTokens of [1, 64]) {
          logits.push(await logitsHere(path, IDS, { chunkTokens, kvType: "f32" }));
        }
        const [threads, chunkTokens] = index % 2 === 0 ? [2, 64] : [3, 5];
        await withModel(path, { threads, chunkTokens, kvType: "f32" }, async (model) => {
          logits.push(await allLogits(model, IDS));
        });
        // A sum in another order may round an activation to another int8.
        for (const other of logits) assertLess(nmse(other, logits[0]), 1e-5);
        assertLess(nmse(logits[0], reference(path, IDS)), Q8_0_NMSE[architecture] ?? 2e-3);
      },
    );
  });
}

Deno.test("routers compute in f32 whatever their type: a rounded activation may choose others", async () => {
  for (const router of ["F16", "Q8_0"] as const) {
    const typeOf = (name: string) => /ffn_gate_inp/.test(name) ? router : undefined;
    await withTinyFile({ architecture: "qwen2moe", seed: 3, typeOf }, async (path) => {
      await withModel(path, { threads: 2 }, async (model) => {
        assertLess(nmse(await allLogits(model, IDS), reference(path, IDS)), F32_NMSE, router);
      });
    });
  }
});

Deno.test("what moves RWKV-6's shares may be quantised, as other matrices may", async () => {
  const { timeMix } = TINY_FAMILIES["rwkv6qwen2"];
  const changes = { timeMix: { ...timeMix, moved: { ...timeMix.moved, rank: 32 } } };
  const typeOf = (name: string) => /time_mix_w[12]/.test(name) ? "Q8_0" : undefined;
  await withTinyFile({ architecture: "rwkv6qwen2", seed: 3, changes, typeOf }, async (path) => {
    const logits = await logitsHere(path, IDS, { chunkTokens: 16 });
    assertLess(nmse(logits, reference(path, IDS)), 2e-4);
  });
});

for (
  const architecture of [
    ...["gemma3", "smallthinker", "stablelm-parallel", "nanbeige", "hrm_text"] as const,
    ...["deepseek2-old", "deepseek2-grouped", "rwkv7", "glm-dsa-chosen", "kimi-k3"] as const,
  ]
) {
  Deno.test(`the engine carries ${architecture} from arena to arena`, async () => {
    await withTinyFile({ architecture, seed: 3 }, async (path) => {
      const file = openGguf(path);
      const module = await loadKernelModule();
      const options: LoadOptions = { threads: 2, contextLength: 40, chunkTokens: 16 };
      const planned = (arenaBytesMax?: number) =>
        planModel({ file, model: describeForUse(file, options) }, module, {
          ...options,
          arenaBytesMax,
        })[0].arenas;
      const [whole] = planned();
      const arenaBytesMax = 0.7 * PAGE_BYTES * whole.pageCount;
      assert(planned(arenaBytesMax).length > 1, "several arenas");
      await withModel(path, { ...options, arenaBytesMax }, async (model) => {
        assertLess(nmse(await allLogits(model, IDS), reference(path, IDS)), F32_NMSE);
      });
    });
  });
}

Deno.test("LoadedModel.bytesPerToken counts of experts those that a token uses", async () => {
  const bytesOf = async (architecture: TinyFamilyName) => {
    let bytes = 0;
    await withTinyFile({ architecture, tied: true }, async (path) => {
      await withModel(path, { threads: 1 }, async (model) => {
        bytes = model.memory.weightsBytes - model.bytesPerToken;
        await Promise.resolve();
      });
    });
    return bytes;
  };
  assertEquals(await bytesOf("llama"), 0);
  // 2 layers, 2 of 4 experts unused, each with 3 matrices of 64 · 64 floats.
  assertEquals(await bytesOf("llama-moe"), 2 * 2 * 3 * 64 * 64 * 4);
});

Deno.test("loadModel() takes the rotary factors of the context that is used", async () => {
  await withTinyFile({ architecture: "phi3", seed: 3 }, async (path) => {
    const [short, long] = [256, 1024].map((length) => reference(path, IDS, length));
    assert(nmse(short, long) > 1e-3, "both kinds of factors show");
    for (const [contextLength, exact] of [[256, short], [1024, long]] as const) {
      await withModel(path, { threads: 2, contextLength }, async (model) => {
        assertLess(nmse(await allLogits(model, IDS), exact), F32_NMSE);
      });
    }
  });
});

/** The judge's logits, [ids, vocab]. */
function reference(path: string, ids: readonly number[], contextLength?: number): Float32Array {
  const file = openGguf(path);
  using reader = TensorReader.open(file);
  return new ReferenceModel(file, { reader, contextLength }).forward(ids);
}
