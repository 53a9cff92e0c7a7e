import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertGreater,
  assertLessOrEqual,
  assertThrows,
} from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { KiB, MiB } from "../../src/base/units.ts";
import { openModelFile } from "../../src/bundle/mod.ts";
import { CLUSTER_SLOTS } from "../../src/cache/mod.ts";
import { text } from "../../src/gguf/mod.ts";
import type { GpuPart } from "../../src/llm/choose_gpu.ts";
import type { LoadOptions } from "../../src/llm/mod.ts";
import { describeForUse, planLoad, planWhole } from "../../src/llm/plan_load.ts";
import { planWithin } from "../../src/llm/plan_within.ts";
import { besideGpu, type FiringRates, firingRates } from "../../src/planner/firing_rates.ts";
import { hitRate } from "../../src/planner/hit_rate.ts";
import { DEFAULT_PROFILE, sum, usedBytes } from "../../src/planner/mod.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { deepOnly } from "../support/deep.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { withPacked } from "../support/packed_model.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

const MODULE = await loadKernelModule();
/** Neurons that are more than what reads them. */
const WIDE = {
  type: "Q4_0",
  embeddingLength: 128,
  feedForwardLength: 2048,
  blockCount: 8,
} as const;
const RELU = [["llama.hidden_activation", text("relu")]] as const;
const THREADS: LoadOptions = { threads: 2, contextLength: 64, gpu: "off", ioWorkers: 2 };

function open(path: string, options: LoadOptions) {
  const { file, packed } = openModelFile(path);
  return { file, packed, model: describeForUse(file, options) };
}

function planned(path: string, budgetBytes: number, options: LoadOptions) {
  const budget = { budgetBytes, profile: DEFAULT_PROFILE, stats: null };
  return planWithin(open(path, options), MODULE, { ...options, ...budget }).plan;
}

/** What loading within the budget has. */
function loadedBytes(path: string, memoryBytes: number, options: LoadOptions): number {
  const of = open(path, options);
  const { plans, ioWorkers } = planLoad(of, MODULE, { ...options, memoryBytes });
  const units = of.packed?.units.length ?? of.model.config.blockCount;
  return usedBytes(plans, { units, ioWorkers });
}

/** Two models several tests are about; so each of them is packed once. */
const SILENT: TinyModelOptions = { ...WIDE, metadata: RELU };
const PREDICTED: TinyModelOptions = { ...WIDE, architecture: "bamboo", predictor: { rank: 64 } };

const packedPaths = new Map<TinyModelOptions, string>();
const folder = Deno.makeTempDirSync();
Deno.test.afterAll(() => Deno.removeSync(folder, { recursive: true }));

/** The path of a packed copy of a tiny model that tests share. */
async function packedPath(tiny: TinyModelOptions): Promise<string> {
  const path = packedPaths.get(tiny) ?? `${folder}/${packedPaths.size}.ganglion`;
  if (!packedPaths.has(tiny)) await withPacked(tiny, (_, packed) => Deno.copyFile(packed, path));
  packedPaths.set(tiny, path);
  return path;
}

const PACKED: readonly (readonly [string, TinyModelOptions, LoadOptions, readonly string[]])[] = [
  ["whose neurons are silent", SILENT, {}, ["gates", "resident", "units"]],
  ["of which all is computed", SILENT, { sparse: false }, ["resident", "units"]],
  ["with predictors", PREDICTED, { predictor: "on" }, ["predictor", "resident", "units"]],
  ["whose neurons never rest", WIDE, {}, ["resident", "units"]],
  [
    "of experts that never rest",
    {
      ...{ type: "Q4_0", architecture: "qwen3moe", feedForwardLength: 512 },
    },
    {},
    ["resident", "units"],
  ],
];

for (const [what, tiny, more, ways] of PACKED) {
  Deno.test(`planWithin() says of a packed model ${what} what loading it then has`, async () => {
    const path = await packedPath(tiny);
    const options = { ...THREADS, ...more };
    const refusal = planned(path, 0, options);
    assert(refusal.kind === "refusal");
    const least = refusal.neededBytes;
    const whole = planned(path, 1024 * MiB, options);
    assert(whole.kind === "plan" && whole.way === "resident");
    const seen = new Set<string>();
    for (const share of [0, 0.3, 0.7, 0.95, 1]) {
      const budget = Math.ceil(least + share * (whole.totalBytes - least));
      const plan = planned(path, budget, options);
      assert(plan.kind === "plan", `${share} between the least and the whole`);
      assertEquals(plan.totalBytes, loadedBytes(path, budget, options), `${share}: ${plan.way}`);
      assertEquals(plan.totalBytes, plan.regions.reduce((sum, { bytes }) => sum + bytes, 0));
      assert(plan.totalBytes <= budget);
      seen.add(plan.way);
    }
    assertEquals([...seen].sort(), ways);
    assertThrows(() => loadedBytes(path, least - 1, options), UnsupportedModelError);
  });
}

/** As a user has them: as many threads read as pay, or Linux' kernel where that may be asked. */
const ANY_READERS = { ...THREADS, ioWorkers: undefined };

/** Around the least, within what one kind of memory takes, and where ways change. */
const LESS = [1, 256 * KiB, 16 * MiB, ...deepOnly(4096, 64 * KiB, MiB, 4 * MiB, 64 * MiB)];
const EXTRA = [0, 1, 8 * MiB, ...deepOnly(64 * KiB, MiB, 32 * MiB, 64 * MiB)];

/** What takes least has no predictors in memory. */
const MAY_PREDICT: typeof PACKED[number] = [
  "that may ask predictors",
  PREDICTED,
  {},
  [],
];

for (const [what, tiny, more] of [...PACKED, MAY_PREDICT]) {
  const name = `planWithin() says by one figure what a packed model ${what} needs at least`;
  Deno.test(name, async () => {
    const path = await packedPath(tiny);
    for (const fileCache of ["auto", "on"] as const) {
      const options = { ...ANY_READERS, ...more, fileCache };
      const refusal = planned(path, 0, options);
      assert(refusal.kind === "refusal");
      const least = refusal.neededBytes;
      for (const less of LESS) {
        const plan = planned(path, least - less, options);
        assert(plan.kind === "refusal", `${fileCache}: ${less} bytes less than the least`);
        assertEquals(plan.neededBytes, least);
        assertThrows(() => loadedBytes(path, least - less, options), Error, `(${least} bytes)`);
      }
      for (const extra of EXTRA) {
        const plan = planned(path, least + extra, options);
        assert(plan.kind === "plan", `${fileCache}: ${extra} bytes more than the least`);
        assertEquals(loadedBytes(path, least + extra, options), plan.totalBytes);
        assert(plan.totalBytes <= least + extra);
      }
    }
  });
}

/** Half of the neurons of the last three layers, and the heads of these. */
const ON_GPU: GpuPart = {
  share: { heads: 1, neurons: [.5], hasOutput: true, layers: 3 },
  ...{ isAlone: false, mayBeSoftware: true, isByFrequency: true, priority: "normal" },
};

Deno.test("planWithin() expects of the disk what slots that are laid out will find", () =>
  packedPath(PREDICTED).then((path) => {
    const options: LoadOptions = { ...THREADS, threads: 1 };
    const of = open(path, options);
    for (const gpu of [null, ON_GPU]) {
      const by = { ...options, profile: DEFAULT_PROFILE, stats: null };
      const within = (budgetBytes: number) =>
        planWithin(of, MODULE, { ...by, budgetBytes }, gpu).plan;
      const refusal = within(0);
      assert(refusal.kind === "refusal");
      const units = of.packed!.units.map((unit) => ({
        ...unit,
        gpuOfStripe: gpu !== null && unit.layer >= 5 ? unit.neurons / unit.stripes / 2 : 0,
      }));
      const { bins, perToken } = firingRates(units, of.model.config, null);
      const seen = new Set<number>();
      for (let budget = refusal.neededBytes; seen.size < 3; budget += MiB) {
        const plan = within(budget);
        assert(plan.kind === "plan" && plan.way !== "resident", "it has slots, or comes as units");
        const { plans } = planLoad(of, MODULE, { ...options, memoryBytes: budget }, gpu);
        const [{ workspaces, stream }] = plans;
        const slots = workspaces.reduce((sum, { stream }) => sum + stream!.slotCount, 0);
        if (plan.way === "units") continue;
        assertEquals(plan.slots, slots);
        assertEquals(plan.residentShare, Math.min(1, slots / sum(units.map(besideGpu))));
        const hot = CLUSTER_SLOTS * workspaces.length * stream!.hotClusters[0];
        const found = hitRate(bins, slots, hot);
        assertAlmostEquals(plan.expected.hitRate, found, .01, `${slots} slots, ${hot} hot`);
        assertLessOrEqual(found, mostFound(bins, slots) / perToken + 1e-9);
        assertEquals(plan.expected.firingNeurons, perToken);
        seen.add(slots);
      }
    }
  }));

Deno.test("planWithin() leaves out of a mixture what a GPU has of its experts", () =>
  withPacked(
    { ...{ architecture: "drelu-moe", type: "Q4_0" }, changes: { experts: MIXTURE } },
    (_, path) => {
      const options: LoadOptions = { ...THREADS, threads: 1 };
      const of = open(path, options);
      const firingIn = (gpu: GpuPart | null) => {
        const by = { ...options, profile: DEFAULT_PROFILE, stats: null };
        const { plan } = planWithin(of, MODULE, { ...by, budgetBytes: 1024 * MiB }, gpu);
        assert(plan.kind === "plan");
        return plan.expected.firingNeurons;
      };
      const ratesOf = (left: (layer: number, position: number) => boolean) =>
        of.packed!.units.reduce((sum, { layer, rates }) =>
          sum + rates!.reduce((own, rate, i) => own + (left(layer, i) ? rate : 0), 0), 0);
      assertAlmostEquals(
        firingIn(null),
        ratesOf(() =>
          true
        ),
        .01,
      );
      const isLeft = (layer: number, position: number) => layer === 0 || position % 32 >= 16;
      const part = { ...ON_GPU, share: { ...ON_GPU.share, layers: 1 } };
      assertAlmostEquals(firingIn(part), ratesOf(isLeft), .01);
      return Promise.resolve();
    },
  ));

Deno.test("planWithin() expects no disk for what of a mixture every token needs, where it is kept", () =>
  withPacked({ type: "Q4_0", architecture: "nemotron_h_moe" }, (_, path) => {
    const options: LoadOptions = { ...THREADS, threads: 1 };
    const refusal = planned(path, 0, options);
    assert(refusal.kind === "refusal");
    const { units } = open(path, options).packed!;
    const bytes = units.filter(({ expert }) => typeof expert === "number")
      .reduce((sum, { neurons, bundleBytes }) => sum + neurons * bundleBytes, 0);
    const least = planned(path, refusal.neededBytes, options);
    assert(least.kind === "plan");
    const seen = new Set<number>();
    for (let budget = refusal.neededBytes; seen.size < 3; budget += 32 * KiB) {
      const plan = planned(path, budget, options);
      assert(plan.kind === "plan" && plan.way === "units");
      assertEquals(plan.rates, "all", "nothing names neurons without gates");
      assertEquals(plan.totalBytes, loadedBytes(path, budget, options));
      assertLessOrEqual(plan.totalBytes, budget);
      // Places are as large as an expert once what is larger, and of which there are two, is kept.
      if (plan.slotBytes === least.slotBytes) continue;
      const missing = 1 - (plan.slots - 2) / 16;
      const { plans } = planLoad(open(path, options), MODULE, { ...options, memoryBytes: budget });
      // Two are kept, and of an arena's places one is for what passes through.
      assertEquals(plan.slots, 2 + plans[0].stream!.stagePlaces - 1);
      assertEquals(plan.residentShare, plan.slots / 18);
      assertAlmostEquals(plan.expected.diskBytes, bytes * 3 / 8 * missing, 1e-6);
      seen.add(plan.slots);
    }
    return Promise.resolve();
  }));

/** In stripes of 32. */
const MIXTURE = { count: 4, used: 2, length: 256 };

/** Firings that those find who always have the most frequent neurons. */
function mostFound(bins: FiringRates["bins"], slots: number): number {
  let found = 0;
  for (const { rate, neurons } of bins) {
    found += rate * Math.min(neurons, slots);
    slots -= Math.min(neurons, slots);
  }
  return found;
}

Deno.test("planWithin() has fewer threads read where there is no memory for more", () =>
  withPacked({ type: "Q4_0", metadata: RELU }, (_, path) => {
    const options = { ...THREADS, ioWorkers: undefined, fileCache: "on" } as const;
    const readers = (budget: number) => {
      const plan = planned(path, budget, options);
      assert(plan.kind === "plan" && plan.way === "resident");
      return plan;
    };
    const whole = readers(1024 * MiB);
    const few = readers(whole.totalBytes - 1);
    assertEquals([whole.ioWorkers, few.ioWorkers], [4, 1]);
    assertEquals(whole.totalBytes - few.totalBytes, 30 * MiB);
    assertEquals(few.totalBytes, loadedBytes(path, whole.totalBytes - 1, options));
    // Whoever reads a few units one by one takes more than all of them.
    const refusal = planned(path, 0, options);
    assert(refusal.kind === "refusal" && refusal.neededBytes <= few.totalBytes);
    assert(loadedBytes(path, refusal.neededBytes, options) <= refusal.neededBytes);
    return Promise.resolve();
  }));

Deno.test("planWhole() says of a plain file what loading it then has, predictors included", () =>
  withTinyFile({ architecture: "bamboo", predictor: { rank: 64 } }, (path) => {
    const budget = { budgetBytes: 0, profile: DEFAULT_PROFILE, stats: null };
    const bytesWith = (more: LoadOptions) => {
      const options = { ...THREADS, ...more };
      const { totalBytes } = planWhole(open(path, options), MODULE, { ...options, ...budget });
      assertEquals(totalBytes, loadedBytes(path, totalBytes, options));
      assertThrows(() => loadedBytes(path, totalBytes - 1, options), UnsupportedModelError);
      return totalBytes;
    };
    assertGreater(bytesWith({}), bytesWith({ predictor: "off" }));
    assertGreater(bytesWith({ parallel: 4 }), bytesWith({}));
    return Promise.resolve();
  }));
