/**
 * The engine against the reference, format by format, on small models made from a seed. Both
 * compute with the same weights, so that only activations differ: rounded to int8 where weights are
 * quantised, whatever their type. A weight at a wrong place, or a scale of another block, shows.
 */
import "../support/thread_pool.ts";
import { assertEquals, assertLess } from "@std/assert";
import { openGguf, parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { dtypeByName } from "../../src/model/dtypes.ts";
import { packFile } from "../../src/pack/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { SYNTH_QUANTS, type SynthQuant } from "../../src/synth/mod.ts";
import { logitsHere } from "../support/answers_here.ts";
import { nmse } from "../support/compare.ts";
import { allLogits, withFile, withModel, withTinyFile } from "../support/loaded_model.ts";
import { randomIds } from "../support/rng.ts";
import { withTensorScales } from "../support/scaled_model.ts";
import { ternaryTwins } from "../support/ternary_model.ts";
import { tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";

/** More than the 16 rows that `logits` computes at once, and no multiple of 4. */
const IDS = randomIds(23, { from: 3, end: 393, seed: 5 });
const VOCAB_SIZE = 393;

/** Rows of one superblock. */
const WIDE: TinyModelOptions = {
  embeddingLength: 256,
  feedForwardLength: 512,
  headDim: 64,
  vocabSize: VOCAB_SIZE,
};

/** Rows of 3 and of 5 blocks, which threads share unevenly. */
const NARROW: TinyModelOptions = {
  embeddingLength: 96,
  feedForwardLength: 160,
  headCount: 3,
  headCountKv: 1,
  headDim: 32,
  vocabSize: VOCAB_SIZE,
};

/** Rows of one and a half and of two and a half superblocks, for blocks of 64 and 128. */
const HALVES: TinyModelOptions = {
  embeddingLength: 384,
  feedForwardLength: 640,
  headDim: 64,
  headCount: 6,
  vocabSize: VOCAB_SIZE,
};

/**
 * Rounding to int8 changes a product by (largest / 127)² / 12 / mean square, 3e-5 where activations
 * are normal and a block's largest is 2.2 deviations; five in a row add up. Of f16, keys and values
 * are rounded; of F32, sums. Measured at most 1.5e-4, 3.4e-8 and 8e-14.
 */
function largestError(quant: SynthQuant): number {
  if (quant === "F32") return 1e-12;
  return quant === "F16" || quant === "BF16" ? 2e-7 : 3e-4;
}

/** Threads, and tokens of a chunk. */
const SHARED = [[2, 64], [3, 7]] as const;

for (const [index, type] of SYNTH_QUANTS.entries()) {
  Deno.test(`the engine computes ${type} as the reference does`, () =>
    compare({ ...WIDE, type, seed: 11 }, SHARED[index % 2]));
}

for (const [index, type] of SYNTH_QUANTS.entries()) {
  if ((dtypeByName(type)?.blockElements ?? 256) > 32) continue;
  // What is shared by two where rows are wide is shared by three here, and the other way round.
  Deno.test(`the engine computes ${type} in rows that fill no superblock`, () =>
    compare({ ...NARROW, type, seed: 12 }, SHARED[1 - index % 2]));
}

for (const [index, type] of (["Q1_0", "Q2_0", "NVFP4"] as const).entries()) {
  Deno.test(`the engine computes ${type} in rows that end within a superblock`, () =>
    compare({ ...HALVES, type, seed: 13 }, SHARED[index % 2]));
}

Deno.test("the engine computes NVFP4 with factors of tensors, and of experts, as the reference does", async () => {
  const dense = { ...HALVES, type: "NVFP4", seed: 14 } as const;
  await withFile(withTensorScales(tinyModel(dense)), async (path) => {
    await compareAt(path, "NVFP4", [[2, 7]]);
  });
  const experts = { count: 4, used: 2, length: 128 };
  const mixture = { ...dense, architecture: "llama-moe", changes: { experts } } as const;
  await withFile(withTensorScales(tinyModel(mixture)), async (path) => {
    await compareAt(path, "NVFP4", [[3, 64]]);
    const logitsOf = async (file: string) => {
      let logits: Float32Array = new Float32Array(0);
      await withModel(file, { threads: 1 }, async (model) => {
        logits = await allLogits(model, IDS);
      });
      return logits;
    };
    const out = `${path}.ganglion`;
    try {
      await packFile({ input: path, out, stats: null, alignBytes: 64 });
      assertLess(nmse(await logitsOf(out), await logitsOf(path)), 1e-9, "packed");
    } finally {
      await Deno.remove(out).catch(() => {});
    }
  });
});

for (const [index, [type, widths]] of Object.entries({ TQ2_0: WIDE, Q2_0: HALVES }).entries()) {
  Deno.test(`the engine computes I2_S, as ${type}, as the reference does`, async () => {
    const tiny = { ...widths, architecture: "bitnet-b1.58", seed: 15 } as const;
    const { i2s, floats } = ternaryTwins(tinyModel(tiny));
    await withFile(i2s, async (path) => {
      const exact = await compareAt(path, "Q2_0", [SHARED[index]]);
      const file = parseGguf(floats);
      const reference = new ReferenceModel(file, { reader: TensorReader.ofBytes(floats) });
      assertEquals(exact, reference.forward(IDS), "the same weights as floats");
    });
  });
}

/** One thread, the test's own, takes tokens one by one, as decoding does; several take chunks. */
async function compare(
  options: TinyModelOptions & { type: SynthQuant },
  shared: typeof SHARED[number],
): Promise<void> {
  await withTinyFile(options, async (path) => {
    const exact = await compareAt(path, options.type, [shared]);
    const logits = await logitsHere(path, IDS, { chunkTokens: 1, contextLength: 64 });
    assertLess(nmse(logits, exact), largestError(options.type), "one thread");
  });
}

async function compareAt(
  path: string,
  type: SynthQuant,
  ways: readonly (readonly [threads: number, chunkTokens: number])[],
): Promise<Float32Array> {
  const file = openGguf(path);
  using reader = TensorReader.open(file);
  const exact = new ReferenceModel(file, { reader }).forward(IDS);
  for (const [threads, chunkTokens] of ways) {
    await withModel(path, { threads, chunkTokens, contextLength: 64 }, async (model) => {
      const logits = await allLogits(model, IDS);
      assertLess(nmse(logits, exact), largestError(type), `${threads} threads`);
      if (type === "F32") return; // sums of floats have another order
      assertEquals(await allLogits(model, IDS, 1), logits, "steps of one token");
    });
  }
  return exact;
}
