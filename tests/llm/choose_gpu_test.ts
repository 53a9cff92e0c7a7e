import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import type { GpuDescription } from "../../gpu/mod.ts";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { openPacked } from "../../src/bundle/mod.ts";
import { openGguf, u32 } from "../../src/gguf/mod.ts";
import { chooseGpu, type LoadOptions } from "../../src/llm/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { DEFAULT_PROFILE, type GpuProfile } from "../../src/planner/mod.ts";
import { RANDOM_TYPES } from "../../src/synth/synth_types.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { withPacked } from "../support/packed_model.ts";
import { TINY_FAMILIES } from "../support/tiny_families.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

const REAL: GpuDescription = {
  available: true,
  adapter: { vendor: "v", architecture: "a", device: "d", description: "D", isFallback: false },
};
const SOFTWARE: GpuDescription = {
  available: true,
  adapter: { ...REAL.adapter!, isFallback: true },
};
const NONE: GpuDescription = { available: false, reason: "no adapter" };
const FAST: GpuProfile = {
  ...{ adapter: "D", copyGBps: 800, decodeGBps: 600, stepMs: 0, prefillGFlops: 9000 },
};
const SLOW: GpuProfile = { ...FAST, decodeGBps: 5 };

async function decide(
  options: LoadOptions,
  { gpu = REAL, of = {}, measured }: {
    gpu?: GpuDescription;
    of?: TinyModelOptions;
    measured?: GpuProfile;
  },
) {
  let decision!: Awaited<ReturnType<typeof chooseGpu>>;
  await withTinyFile(of, async (path) => {
    const file = openGguf(path);
    const profile = { ...DEFAULT_PROFILE, ...measured === undefined ? {} : { gpu: measured } };
    const model = describeModel(file);
    const describe = () => Promise.resolve(gpu);
    const by = { threads: 1, profile, ...options };
    decision = await chooseGpu({ file, model }, by, { describe });
  });
  return decision;
}

Deno.test("chooseGpu() takes a GPU by itself where it was measured and pays", async () => {
  const fast = await decide({}, { measured: FAST });
  assertEquals(fast.parts[0].isAlone, true);
  assertEquals(fast.mayBeWithout, true);
  assert(fast.expectedDecodeTps! > 0);
  const slow = await decide({}, { measured: SLOW });
  assertEquals(slow.parts, []);
  assertMatch(slow.reason, /tok\/s/);
  assertEquals((await decide({}, {})).parts, [], "never measured");
  assertEquals((await decide({}, { measured: FAST, gpu: SOFTWARE })).parts, []);
  assertEquals((await decide({ gpu: "off" }, { measured: FAST })).parts, []);
});

Deno.test("chooseGpu() takes models in looked-up and ternary types", async () => {
  for (const type of RANDOM_TYPES) {
    const of = { type, embeddingLength: 256, blockCount: 1, vocabSize: 400 } as const;
    assertEquals((await decide({}, { of, measured: FAST })).parts[0].isAlone, true);
  }
});

Deno.test("chooseGpu() leaves a model that no GPU computes to threads, and says why", async () => {
  const of = { architecture: "gemma3n" } as const;
  const says = "a width of 10 is no multiple of 4";
  const { parts, reason } = await decide({}, { of, measured: FAST });
  assertEquals(parts, []);
  assertStringIncludes(reason, `threads compute all of it; the GPU nothing: ${says}`);
  await assertRejects(() => decide({ gpu: "on" }, { of }), UnsupportedModelError, says);
});

Deno.test("chooseGpu() insists where it is told to, on a real adapter or on any", async () => {
  const on = await decide({ gpu: "on" }, { measured: SLOW });
  assertEquals([on.parts[0].isAlone, on.mayBeWithout], [true, false]);
  assertEquals((await decide({ gpu: "force" }, { gpu: SOFTWARE })).parts[0].mayBeSoftware, true);
  const refusals: [LoadOptions, GpuDescription, string][] = [
    [{ gpu: "on" }, NONE, "no adapter"],
    [{ gpu: "force" }, NONE, "no adapter"],
    [{ gpu: "on" }, SOFTWARE, "software"],
    [{ gpu: "on", predictor: "on" }, REAL, "predictors"],
    [{ gpu: "on", observe: ["gate"] }, REAL, "observed"],
  ];
  for (const [options, gpu, reason] of refusals) {
    await assertRejects(() => decide(options, { gpu }), Error, reason);
    assertEquals((await decide({ ...options, gpu: "auto" }, { gpu, measured: FAST })).parts, []);
  }
});

Deno.test("chooseGpu() gives a GPU all of a model whose experts read latents, or nothing", async () => {
  const of = { architecture: "nemotron_h_moe-latent" } as const;
  const { parts } = await decide({ gpu: "on" }, { of });
  assertEquals(parts.map(({ isAlone }) => isAlone), [true]);
  for (const less of [{ besideGpu: true }, { gpuLayers: 2 }, { hotShare: 0 }]) {
    const insisted = () => decide({ gpu: "on", ...less }, { of });
    await assertRejects(
      insisted,
      UnsupportedModelError,
      "experts that read latents are not shared",
    );
    assertEquals((await decide({ ...less }, { of, measured: FAST })).parts, []);
  }
});

Deno.test("chooseGpu() gives requests a context each where nobody says how many, at first", async () => {
  const contextsOf = async (options: LoadOptions) => {
    const { parts } = await decide({ gpu: "on", ...options }, { of: { blockCount: 4 } });
    return parts.map(({ contexts }) => contexts);
  };
  const whole = (await contextsOf({})).length;
  const auto = { parallel: "auto" } as const;
  assertEquals(await contextsOf({}), Array(whole).fill(undefined));
  assertEquals(await contextsOf({ parallel: 3 }), Array(whole).fill(undefined));
  assertEquals(await contextsOf(auto), [4, ...Array(whole).fill(undefined)]);
  // As many as cost no layer.
  const least = async (parallel: number) => {
    let [low, high] = [0, 2 ** 30];
    while (high - low > 1) {
      const gpuMemoryBytes = Math.floor((low + high) / 2);
      const options: LoadOptions = { gpu: "auto", hotShare: 1, gpuMemoryBytes, parallel };
      const { parts } = await decide(options, { of: { blockCount: 4 }, measured: FAST });
      if (parts[0]?.isAlone) high = gpuMemoryBytes;
      else low = gpuMemoryBytes;
    }
    return high;
  };
  for (const contexts of [1, 2, 3]) {
    const gpuMemoryBytes = await least(contexts);
    const [first] = await contextsOf({ ...auto, gpuMemoryBytes });
    assertEquals(first, contexts === 1 ? undefined : contexts);
  }
});

Deno.test("chooseGpu() has heads and the first clusters of a packed file, never all alone", async () => {
  const sharesIn = async (path: string, options: LoadOptions) => {
    const packed = openPacked(path);
    const of = { file: packed.file, model: describeModel(packed.file), packed };
    const describe = () => Promise.resolve(REAL);
    const { parts, reason } = await chooseGpu(of, { gpu: "on", ...options }, { describe });
    assert(parts.every(({ isAlone, share }) => !isAlone && share.heads === 1));
    const shares = parts.map(({ share: { layers, neurons } }) => [layers, ...neurons]);
    return { shares, text: reason };
  };
  /** Bytes with which it has that share of both layers. */
  const leastMemory = async (path: string, share: number) => {
    let [low, high] = [0, 1 << 24];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      const { shares: [first] } = await sharesIn(path, { gpuMemoryBytes: middle })
        .catch(() => ({ shares: [[0, -1]] }));
      if (first[0] === 2 && first[1] >= share) high = middle;
      else low = middle;
    }
    return high;
  };
  const withTiny = (of: TinyModelOptions, use: (path: string) => Promise<void>) =>
    withPacked(
      { architecture: "bamboo", type: "Q4_0", feedForwardLength: 2048, ...of },
      (_, path) => use(path),
    );
  await withTiny({}, async (path) => {
    const all = await sharesIn(path, {});
    assertEquals(all.shares, [1, .7, .5, .3, .15, 0].map((share) => [2, share]));
    assertMatch(all.text, /of a packed file the same ones in steps of any length/);
    const some = await sharesIn(path, { hotShare: [.4, 1], gpuLayers: 1 });
    assertEquals(some.shares, [.4, .3, .15, 0].map((share) => [1, share]));
    // What half of the neurons of two layers need: two matrices of Q4_0, one of f16.
    const neurons = 2 * (2 * 2048 * 64 * 18 / 32 + 2 * 2048 * 64);
    const least = await leastMemory(path, .5);
    assertAlmostEquals(least - await leastMemory(path, 0), neurons / 2, 4096);
  });
  // Of each expert it has whole clusters: of stripes of 32 four, or none.
  const experts = { ...TINY_FAMILIES["drelu-moe"].experts, length: 256 };
  await withTiny({ architecture: "drelu-moe", changes: { experts } }, async (path) => {
    assertEquals((await sharesIn(path, {})).shares, [1, .7, .5, .3, 0].map((share) => [2, share]));
    assertEquals((await sharesIn(path, { hotShare: [.1] })).shares, [[2, 0]]);
    const all = 4 * 2 * (2 * 256 * 64 * 18 / 32 + 2 * 256 * 64);
    const least = await leastMemory(path, 1);
    assertAlmostEquals(least - await leastMemory(path, 0), all, 4096);
  });
  for (
    const [of, pattern] of [
      [{ type: "NVFP4" }, /in NVFP4 are the threads'/],
      [{
        architecture: "llama-moe-old",
        typeOf: (name) => name === "blk.1.ffn_up.2.weight" ? "F16" : undefined,
      }, /several types in a layer/],
    ] satisfies [TinyModelOptions, RegExp][]
  ) {
    await withTiny(of, async (path) => {
      const { shares, text } = await sharesIn(path, {});
      assertEquals(shares.map(([, ...neurons]) => neurons), [[0]]);
      assertMatch(text, pattern);
    });
  }
});

Deno.test("chooseGpu() leaves threads what it is told to, and experts that a GPU cannot do", async () => {
  const shareOf = async (options: LoadOptions, of: TinyModelOptions = {}) => {
    const [{ share, isAlone }] = (await decide({ gpu: "on", ...options }, { of })).parts;
    return { ...share, isAlone };
  };
  const all = { heads: 1, neurons: [1], hasOutput: true, layers: 2 };
  assertEquals(await shareOf({}), { ...all, isAlone: true });
  assertEquals(await shareOf({ gpuLayers: 99 }), { ...all, isAlone: true });
  assertEquals(await shareOf({ gpuLayers: 1 }), { ...all, layers: 1, isAlone: false });
  assertEquals(await shareOf({ hotShare: 0.25 }), { ...all, neurons: [0.25], isAlone: false });
  const experts: TinyModelOptions = { architecture: "llama-moe" };
  assertEquals(await shareOf({}, experts), { ...all, isAlone: true });
  assertEquals(await shareOf({ gpuLayers: 1 }, experts), { ...all, layers: 1, isAlone: false });
  assertEquals(await shareOf({ hotShare: 0 }, experts), {
    ...{ ...all, neurons: [0], isAlone: false },
  });
  const others: TinyModelOptions = {
    architecture: "llama-moe-old",
    typeOf: (name) => name === "blk.1.ffn_up.2.weight" ? "F16" : undefined,
  };
  assertEquals(await shareOf({}, others), { ...all, neurons: [0], isAlone: false });
  const { reason } = await decide({ gpu: "on" }, { of: others });
  assertMatch(reason, /experts of several types in a layer are the threads'/);
});

Deno.test("chooseGpu() has smaller shares ready: of silent neurons fewer, else fewer layers", async () => {
  const smaller = async (of: TinyModelOptions, options: LoadOptions = {}) =>
    (await decide({ gpu: "on", ...options }, { of })).parts.slice(1).map(({ share }) => share);
  for (const { layers } of await smaller({ architecture: "llama" })) assert(layers < 2);
  // Experts are whole, be they silent.
  const mixed = await smaller({ architecture: "drelu-moe" });
  assertEquals(mixed.map(({ neurons, layers }) => [...neurons, layers]), [[1, 1], [0, 2]]);
  const neurons = (await smaller({ architecture: "bamboo" })).map((share) => share.neurons);
  assertEquals(neurons, [[0.5, 0.63, 0.7], [0.5], [0.25]]);
  const asked = await smaller({ architecture: "bamboo" }, { hotShare: [0.2, 0.8] });
  assertEquals(asked.map((share) => share.neurons), [[0.2, 0.4], [0.2]]);
});

Deno.test("chooseGpu() says which neurons a GPU computes in which steps", async () => {
  const firing = { counts: [], modelFingerprint: "" };
  const reason = async (options: LoadOptions) =>
    (await decide({ gpu: "on", ...options }, {})).reason;
  const growing = await reason({ hotShare: [0.3, 0.5, 0.7, 1], firing });
  assertMatch(
    growing,
    /30 % of the neurons in steps of 1 token \(50 % from 2 on, 70 % from 8 on, 100 % from 32 on\)/,
  );
  assertMatch(growing, /those that fire most often/);
  assertMatch(await reason({ hotShare: 0.3 }), /30 % of the neurons, the first ones/);
  assert(!(await reason({ hotShare: 1, besideGpu: true, firing })).includes("most often"));
});

Deno.test("chooseGpu() knows what a token reads of experts, and what room they take", async () => {
  const of: TinyModelOptions = {
    architecture: "llama-moe",
    changes: { experts: { count: 16, used: 1, length: 512 } },
  };
  const all = (await decide({}, { of, measured: FAST })).expectedDecodeTps!;
  const used = { ...of, changes: { experts: { count: 16, used: 16, length: 512 } } };
  const whole = (await decide({}, { of: used, measured: FAST })).expectedDecodeTps!;
  assert(all > 4 * whole, `${all} and ${whole} tokens a second`);
  const shares = async (options: LoadOptions) =>
    (await decide({ gpu: "on", ...options }, { of })).parts
      .map(({ share: { neurons: [experts], layers } }) => ({ experts, layers }));
  // Fewer layers, then heads without experts.
  assertEquals(await shares({}), [
    ...[{ experts: 1, layers: 2 }, { experts: 1, layers: 1 }],
    { experts: 0, layers: 2 },
  ]);
  // A layer's experts are 16 × 3 × 512 × 64 floats, 6 MiB: there is room for one layer, or none.
  const ofRoom = (gpuMemoryBytes: number) =>
    shares({ gpuMemoryBytes, contextLength: 64, chunkTokens: 8 });
  assertEquals((await ofRoom(10 * 2 ** 20))[0], { experts: 1, layers: 1 });
  assertEquals(await ofRoom(4 * 2 ** 20), [{ experts: 0, layers: 2 }]);
  // What 1,024 tokens' experts make is 6.4 MB.
  const room = { gpuMemoryBytes: 10 * 2 ** 20, contextLength: 64, chunkTokens: 1024 };
  assertEquals((await shares(room))[0].experts, 0);
  // Experts are 192 KiB a layer here; the one that all use 1.5 MiB.
  const shared: TinyModelOptions = {
    architecture: "qwen2moe",
    changes: {
      experts: { count: 8, used: 3, length: 32, shared: 2048 },
      keys: {
        "expert_feed_forward_length": u32(32),
        "expert_shared_feed_forward_length": u32(2048),
      },
    },
  };
  const less = {
    gpu: "on",
    gpuMemoryBytes: 3 * 2 ** 19,
    contextLength: 64,
    chunkTokens: 8,
  } as const;
  assertEquals((await decide(less, { of: shared })).parts[0].share.neurons, [0]);
  // Where experts are threads', each share is there once.
  const none = await shares({ hotShare: 0 });
  assertEquals(none.map(({ layers }) => layers), [2, 1, 0]);
});

Deno.test("chooseGpu() counts the small kernels of a mixture's layers", async () => {
  const measured = { ...FAST, smallKernelMs: 1000 };
  const speedOf = async (architecture: "llama" | "llama-moe") =>
    (await decide({ gpu: "on" }, { of: { architecture }, measured })).expectedDecodeTps!;
  // Of two layers: attention and ends of products; a router, a choice and a sum besides.
  assertAlmostEquals(await speedOf("llama"), 1 / 4, 1e-3);
  assertAlmostEquals(await speedOf("llama-moe"), 1 / 10, 1e-3);
});

Deno.test("chooseGpu() compares what an encoder reads, and has all of it or nothing", async () => {
  const of = { architecture: "bert" } as const;
  const fast = await decide({ parallel: "auto" }, { of, measured: FAST });
  assertEquals(fast.parts.map(({ isAlone, contexts }) => ({ isAlone, contexts })), [
    { isAlone: true, contexts: undefined },
  ]);
  assertEquals(fast.expectedDecodeTps, null, "it writes nothing");
  // A tenth of a second for a layer's small kernels: of two layers 64 tokens in 0.4 s.
  const slow = await decide({}, { of, measured: { ...FAST, smallKernelMs: 100 } });
  assertEquals(slow.parts, []);
  assertStringIncludes(slow.reason, "it would read 160.0 tok/s, the threads");
  const asked = () => decide({ gpu: "on", hotShare: 0.5 }, { of, measured: FAST });
  await assertRejects(asked, UnsupportedModelError, "are not shared out between a GPU and threads");
});
