/**
 * Steps of a GPU's rank that carry a token each of several sequences: each gets the bits that it
 * has alone, whoever is beside it, whichever blocks of the caches are whose.
 */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { type Gpu, tuneKernels } from "../../gpu/mod.ts";
import { DEFAULT_ROW_LANES } from "../../gpu/row_lanes.ts";
import { PLAIN_VARIANTS } from "../../gpu/variants.ts";
import { nmse } from "../support/compare.ts";
import { deepOnly, IS_DEEP } from "../support/deep.ts";
import { gpuTest } from "../support/gpu.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { type LoneRank, openLoneRank } from "../support/lone_gpu_rank.ts";
import { Rng } from "../support/rng.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";
import { TINY_FAMILIES } from "../support/tiny_families.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";
import { tunedAsReal } from "../support/tuning.ts";

sizesAsData();

const SEQUENCES = 16;
const CONTEXT = 128;
const BLOCKS = CONTEXT / 32;
/** Steps look within a block, at its end, behind it. */
const POSITIONS = [40, 1, 31, 32, 7, 63, 5, 33, 2, 64, 3, 39, 8, 62, 0, 30];
const SHAPE = { embeddingLength: 128, feedForwardLength: 256, headCount: 4, headCountKv: 2 };

/** What each has in the caches: some into the second block, which their steps do not look at. */
const LENGTHS = POSITIONS.map((at, slot) => slot % 4 === 1 ? Math.max(at + 1, 33) : at + 1);

const rng = new Rng(31);
const TEXTS = LENGTHS.map((length) => Array.from({ length }, () => 3 + rng.int(500)));

/** Sequence s at its ids from `first` on. */
function segment(slot: number, first: number, end: number) {
  return { slot, position: first, ids: TEXTS[slot].slice(first, end) };
}

/** The step of a token each of the first `count` sequences. */
function tokens(count: number) {
  return POSITIONS.slice(0, count).map((at, slot) => segment(slot, at, at + 1));
}

async function withRank(
  gpu: Gpu,
  { isAlone = true, used = SEQUENCES, ...of }: TinyModelOptions & {
    isAlone?: boolean;
    /** So many of the sequences have something in the caches. */
    used?: number;
  },
  use: (rank: LoneRank) => void,
): Promise<void> {
  await withTinyFile({ seed: 3, ...SHAPE, ...of }, async (path) => {
    const options = { parallel: SEQUENCES, contextLength: CONTEXT, chunkTokens: 96 };
    const rank = await openLoneRank(path, gpu, isAlone, options);
    // Nobody's blocks lie side by side.
    for (let slot = 0; slot < SEQUENCES; slot++) {
      for (let i = 0; i < BLOCKS; i++) {
        rank.setBlock(slot, i, (BLOCKS - 1 - i) * SEQUENCES + (slot * 3) % SEQUENCES);
      }
    }
    LENGTHS.slice(0, used).forEach((length, slot) => rank.run([segment(slot, 0, length)]));
    use(rank);
  });
}

/** Some leave, some come back; from 9 on they go through the weights twice. */
function checkTogether(rank: LoneRank, used = SEQUENCES): void {
  const alone = tokens(used).map((each) => rank.run([each])[0]);
  assert(alone.every((logits) => logits.every(Number.isFinite)));
  assertNotEquals(alone[0], alone[1]);
  for (const count of [1, 2, 5, 8, 16, 9].filter((count) => count <= used)) {
    assertEquals(rank.run(tokens(count)), alone.slice(0, count), `${count} sequences`);
  }
  // Those whose logits nobody wants come first.
  const last = [{ ...tokens(1)[0], logits: 0 }, ...tokens(4).slice(1)];
  assertEquals(rank.run(last), alone.slice(1, 4), "of the last ones");
  // In any order, and others than the first ones.
  const some = [6, 12, 2, 7, 9].filter((slot) => slot < used);
  const others = tokens(used);
  assertEquals(rank.run(some.map((i) => others[i])), some.map((i) => alone[i]), "others");
}

gpuTest("a GPU's step of several sequences gives each the bits that it has alone", async (gpu) => {
  const families = [
    ...["llama", "qwen2moe", "minicpm3", "lfm2"] as const,
    ...deepOnly("gpt2", "gemma2"), // biases, and norms behind: of one sequence in gpu_test.ts
  ];
  for (const architecture of families) {
    // That there are more of them is the same for all families.
    const used = architecture === "llama" || IS_DEEP ? SEQUENCES : 9;
    await withRank(gpu, { architecture, used }, (rank) => checkTogether(rank, used));
  }
});

gpuTest("a GPU's step gives the same bits where its last workgroups end attention", async (gpu) => {
  const run = async () => {
    const all: Float32Array[][] = [];
    const counts = [1, 5, IS_DEEP ? 16 : 9, 1];
    await withRank(gpu, { type: "Q4_0", used: Math.max(...counts) }, (rank) => {
      for (const count of counts) all.push(rank.run(tokens(count)));
      all.push(rank.run([segment(0, 36, 41)])); // as guesses are looked at
    });
    return all;
  };
  const expected = await run();
  gpu.endsByLast = true;
  try {
    assertEquals(await run(), expected);
    assert(gpu.pipelines.hasCompiled("attention_last"));
  } finally {
    gpu.endsByLast = false;
  }
});

gpuTest("a GPU's step of several sequences does so by products of 8 bits", async (gpu) => {
  const adapter = await navigator.gpu.requestAdapter();
  await tuneKernels(gpu, tunedAsReal(adapter!.info));
  try {
    await withRank(gpu, { type: "Q4_0" }, (rank) => checkTogether(rank));
    // Of two kinds of experts; heads of the second one have norms.
    for (const architecture of ["qwen2moe", "qwen3moe"] as const) {
      await withRank(gpu, { type: "Q4_0", architecture }, (rank) => checkTogether(rank));
    }
  } finally {
    gpu.variants = PLAIN_VARIANTS;
    gpu.rowLanes = DEFAULT_ROW_LANES;
  }
}, { deep: "tests/engine/gpu_batch_test.ts has two models whose products are of integers" });

gpuTest(
  "a GPU's first layer reads half of its norm whatever else is put in 8 bits",
  async (gpu) => {
    const adapter = await navigator.gpu.requestAdapter();
    await tuneKernels(gpu, tunedAsReal(adapter!.info));
    // What heads give comes before states read the norm; so does what experts are chosen by.
    const { arctic: { experts }, "falcon-h1": { stateSpace } } = TINY_FAMILIES;
    const heads = { headDim: 32, stateSpace: { ...stateSpace, inner: 128, rank: 8 } };
    const families = [
      { architecture: "falcon-h1", changes: heads },
      { architecture: "arctic", changes: { experts: { ...experts, shared: 128 } } },
    ] as const;
    const run = async (of: TinyModelOptions, joinsEnds: boolean) => {
      gpu.joinsEnds = joinsEnds;
      const logits: Float32Array[] = [];
      // Of caches that nothing is in: shaders of prompts take longest to compile.
      await withRank(gpu, { type: "Q8_0", used: 0, ...of }, (rank) => {
        for (const count of deepOnly(3)) logits.push(...rank.run(tokens(count)));
        logits.push(...rank.run(tokens(1)), ...rank.run(tokens(1)));
      });
      return logits;
    };
    try {
      for (const of of families) {
        const [halves, wholes] = [await run(of, true), await run(of, false)];
        const errors = halves.map((logits, i) => nmse(logits, wholes[i]));
        assert(errors.every((error) => error < 1e-4), `${of.architecture}: ${errors}`);
      }
    } finally {
      Object.assign(gpu, {
        joinsEnds: true,
        variants: PLAIN_VARIANTS,
        rowLanes: DEFAULT_ROW_LANES,
      });
    }
  },
);

gpuTest("a GPU's sequences that fork share blocks and go apart behind them", async (gpu) => {
  for (const architecture of ["llama", "minicpm3"] as const) {
    await withRank(gpu, { architecture, used: 1 }, checkFork);
  }
});

function checkFork(rank: LoneRank): void {
  // Sequence 1 becomes a fork of 0: its first block is 0's, the next one its own.
  const text = TEXTS[0];
  const own = rank.run([{ slot: 0, position: 40, ids: text.slice(40, 41) }])[0];
  rank.setBlock(1, 0, (BLOCKS - 1) * SEQUENCES);
  rank.run([{ slot: 1, position: 32, ids: text.slice(32, 40) }]);
  const step = (id: number) => [
    { slot: 0, position: 40, ids: text.slice(40, 41) },
    { slot: 1, position: 40, ids: [id] },
  ];
  assertEquals(rank.run(step(text[40])), [own, own], "the same id");
  const [first, other] = rank.run(step(text[40] === 9 ? 10 : 9));
  assertEquals(first, own, "the other one does not write into its blocks");
  assertNotEquals(other, own);
}
