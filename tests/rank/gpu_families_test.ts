/**
 * A GPU's rank that has all of a model against a thread, family by family, on small models made
 * from a seed. The rank is the test's own and all of them share its device: families with the same
 * sizes share shaders, which take longer to compile than to run. tests/engine/gpu_test.ts has the
 * engine around such ranks, and ranks beside threads.
 */
import "../support/thread_pool.ts";
import { assert, assertLess } from "@std/assert";
import type { Gpu } from "../../gpu/mod.ts";
import { openGguf, u32 } from "../../src/gguf/mod.ts";
import { chooseGpu } from "../../src/llm/choose_gpu.ts";
import { describeForUse } from "../../src/llm/plan_load.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import { gpuTest } from "../support/gpu.ts";
import {
  GPU_BESIDE,
  GPU_EXPERTS_IN_GATE,
  GPU_JOINED,
  GPU_TAKEN,
  gpuForm,
} from "../support/gpu_families.ts";
import { allLogits, withModel, withTinyFile } from "../support/loaded_model.ts";
import { type LoneRank, openLoneRank } from "../support/lone_gpu_rank.ts";
import { randomIds } from "../support/rng.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";
import { TINY_FAMILIES, type TinyFamilyName } from "../support/tiny_families.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

sizesAsData();

/** Longer than the windows. */
const IDS = randomIds(34, { end: 512, seed: 7 });
/** Tokens of steps, of at most 16 rows of logits: the last ones are decoded, beyond a block. */
const STEPS = [16, 11, 2, 1, 1, 1, 1, 1];
/** F32 weights, keys and values: only the order of sums differs. */
const F32_NMSE = 1e-11;

/** Beside a thread a GPU computes layers of these in the gate, with all experts. */
const BESIDE = new Set<TinyFamilyName>([...GPU_BESIDE, ...GPU_EXPERTS_IN_GATE]);
for (const architecture of GPU_JOINED) BESIDE.delete(architecture);

for (const architecture of GPU_TAKEN) {
  gpuTest(
    `a GPU's rank computes ${architecture} as a thread does`,
    (gpu) => compare(gpu, gpuForm(architecture)),
    BESIDE.has(architecture) ? { deep: "tests/engine/gpu_test.ts has it beside a thread" } : {},
  );
}

gpuTest("a GPU's rank computes experts whose ups have a type of their own", async (gpu) => {
  // In one layer those of experts, in one that of the one that every token uses; and a router.
  const ups = ["blk.0.ffn_up_exps.weight", "blk.1.ffn_up_shexp.weight"];
  const others = [...ups, "blk.1.ffn_gate_inp.weight"];
  const typeOf = (name: string) => others.includes(name) ? "F16" : undefined;
  // A token uses one, which is smaller than that one.
  const changes = { experts: { count: 8, used: 1, length: 32, shared: 64, isPlain: true } };
  await compare(gpu, { architecture: "hunyuan-moe", typeOf, changes });
});

const PUZZLE = TINY_FAMILIES["nemotron_h_moe-puzzle"];
/** All experts of each layer: none is chosen by a rounded number instead of another. */
const ROUNDED: TinyModelOptions = {
  ...{ architecture: "nemotron_h_moe-puzzle", type: "Q4_0", embeddingLength: 128 },
  changes: {
    experts: { ...PUZZLE.experts, latent: 64 },
    keys: { ...PUZZLE.keys, "moe_latent_size": u32(64), "expert_used_count": u32(8) },
  },
};
/** Measured: 4.3e-4 to 4.9e-4 of Q4_0, 4.1e-4 to 5.7e-4 of Q8_0; by floats 6e-9. */
const ROUNDED_NMSE = 2e-3;

gpuTest(
  "a GPU's rank computes latents of Q4_0 by integers, of a text and of several",
  (gpu) =>
    withTinyFile({ seed: 3, ...ROUNDED }, async (path) => {
      const { variants } = gpu;
      gpu.variants = {
        ...{ ...variants, matmul_byte: "matmul_int8", matmul_nibble: "matmul_int8" },
        ...{ matvec_byte: "matvec_int8", matvec_nibble: "matvec_int8" },
      };
      try {
        const rank = await openLoneRank(path, gpu, true, { parallel: 3, contextLength: 64 });
        for (let slot = 0; slot < 3; slot++) {
          for (let i = 0; i < 2; i++) rank.setBlock(slot, i, 3 * i + slot);
        }
        const reference = new ReferenceModel(openGguf(path));
        assertLess(nmse(logitsOf(rank), reference.forward(IDS)), ROUNDED_NMSE);
        const texts = [0, 12, 5].map((from) => IDS.slice(from, from + 8));
        const found = texts.map((): number[] => []);
        for (let position = 0; position < 8; position++) {
          const segments = texts.map((text, slot) => ({ slot, position, ids: [text[position]] }));
          rank.run(segments).forEach((row, slot) => found[slot].push(...row));
        }
        for (const [slot, text] of texts.entries()) {
          assertLess(nmse(Float32Array.from(found[slot]), reference.forward(text)), ROUNDED_NMSE);
        }
      } finally {
        gpu.variants = variants;
      }
    }),
  { deep: "latents of floats are here, products by integers in tests/gpu" },
);

gpuTest("a GPU's rank computes several residual streams as a thread does", async (gpu) => {
  const { layered } = TINY_FAMILIES.gemma3n;
  const changes = { layered: { ...layered, altUp: { ...layered.altUp, rank: 12 } } };
  await compare(gpu, { architecture: "gemma3n", changes });
});

gpuTest("layers that are used several times lie on a GPU once", async (gpu) => {
  const bytes: number[] = [];
  for (const loops of [1, 3]) {
    const metadata = [["nanbeige.num_loops", u32(loops)] as const];
    const of = { architecture: "nanbeige", feedForwardLength: 2048, metadata } as const;
    await withTinyFile(of, async (path) => {
      const before = gpu.allocatedBytes;
      await openLoneRank(path, gpu, true);
      bytes.push(gpu.allocatedBytes - before);
    });
  }
  // Each block has 1.6 MB of neurons; keys and values of four more layers take less.
  assert(bytes[0] > 2 * 1.5e6);
  assertLess(bytes[1] - bytes[0], 1.5e6);
});

/** Keys and values are of f16, sums in f32: nothing else is rounded. */
const EXACT_NMSE = 1e-6;

/** One for each kind of levels; that all of them are the file's is in tests/gpu/weights_test.ts. */
for (const type of ["IQ1_M", "IQ2_S", "IQ3_XXS", "IQ3_S", "TQ1_0", "Q1_0"] as const) {
  gpuTest(`a GPU's rank computes weights of type ${type} as they are`, async (gpu) => {
    const of = { type, embeddingLength: 256, feedForwardLength: 256, blockCount: 1 } as const;
    await withTinyFile({ seed: 3, ...of }, async (path) => {
      await assertTaken(path, gpu);
      const rank = await openLoneRank(path, gpu, true);
      const expected = new ReferenceModel(openGguf(path)).forward(IDS);
      assertLess(nmse(logitsOf(rank), expected), EXACT_NMSE);
    });
  });
}

async function compare(gpu: Gpu, of: TinyModelOptions): Promise<void> {
  await withTinyFile({ seed: 3, ...of }, async (path) => {
    await assertTaken(path, gpu);
    const rank = await openLoneRank(path, gpu, true);
    await withModel(path, { threads: 1, gpu: "off" }, async (model) => {
      assertLess(nmse(logitsOf(rank), await allLogits(model, IDS)), F32_NMSE);
    });
  });
}

/** A GPU takes all of the model when it is asked to. */
async function assertTaken(path: string, { info }: Gpu): Promise<void> {
  const options = { gpu: "force" } as const;
  const file = openGguf(path);
  const model = describeForUse(file, options);
  const describe = () => Promise.resolve({ available: true, adapter: info });
  const { parts: [part] } = await chooseGpu({ file, model }, options, { describe });
  assert(part.isAlone);
}

/** Logits of every position, [IDS, vocabulary]. */
function logitsOf({ run }: LoneRank): Float32Array {
  const rows: Float32Array[] = [];
  for (const count of STEPS) {
    const position = rows.length;
    const ids = IDS.slice(position, position + count);
    rows.push(...run([{ slot: 0, position, ids, logits: count }]));
  }
  return Float32Array.from(rows.flatMap((row) => [...row]));
}
