/** Who looks at images, a GPU or threads, and what becomes of one that cannot. */
import "../../support/thread_pool.ts";
import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { describeGpu, type GpuDescription } from "../../../gpu/mod.ts";
import { parseGguf } from "../../../src/gguf/mod.ts";
import { type LoadedModel, loadModel, type LoadOptions } from "../../../src/llm/mod.ts";
import { planTowers } from "../../../src/llm/images/load_tower.ts";
import { Tower } from "../../../src/llm/images/tower.ts";
import { describeModel, readVision } from "../../../src/model/mod.ts";
import { DEFAULT_PROFILE } from "../../../src/planner/mod.ts";
import { loadKernelModule } from "../../../wasm/mod.ts";
import { nmse } from "../../support/compare.ts";
import { gpuTest } from "../../support/gpu.ts";
import { withTinyFile } from "../../support/loaded_model.ts";
import { writePng } from "../../support/png_writer.ts";
import { tinyTowerInput } from "../../support/tiny_image.ts";
import { tinyModel } from "../../support/tiny_model.ts";
import { tinyVision, type TinyVisionName } from "../../support/tiny_vision.ts";

const REAL: GpuDescription = {
  available: true,
  adapter: { vendor: "v", architecture: "a", device: "d", description: "D", isFallback: false },
};
const SOFTWARE = { ...REAL, adapter: { ...REAL.adapter!, isFallback: true } };
const FAST = {
  ...DEFAULT_PROFILE,
  gpu: { adapter: "D", copyGBps: 800, decodeGBps: 600, stepMs: 0, prefillGFlops: 9000 },
};

/** Towers of one file, what each may take of a GPU's memory, and what was said. */
async function withTowers(
  kind: TinyVisionName,
  use: (
    open: (options: LoadOptions, gpu: GpuDescription) => Promise<
      { tower: Tower; bytes: number; said: string[]; see: () => Promise<Float32Array> }
    >,
  ) => Promise<void>,
): Promise<void> {
  const { config } = describeModel(parseGguf(tinyModel({ architecture: "gemma3" })));
  const module = await loadKernelModule();
  const path = await Deno.makeTempFile({ prefix: "ganglion-eyes-", suffix: ".gguf" });
  const towers: Tower[] = [];
  try {
    const file = tinyVision({ kind });
    await Deno.writeFile(path, file);
    const [{ file: parsed }] = planTowers(path, module);
    const { images, description } = readVision(parsed);
    const grid = { rows: 6, columns: 6 };
    const input = tinyTowerInput({ images, config: description.config, grid }, {
      ...{ file: parsed, bytes: file },
    });
    await use(async (asked, gpu) => {
      const options = { threads: 1, kvType: "f32", ...asked } as const;
      const [tower] = Tower.openAll(path, { config, module }, options);
      towers.push(tower);
      const said: string[] = [];
      const describe = () => Promise.resolve(gpu);
      const notify = ({ kind, text }: { kind: string; text: string }) =>
        void said.push(`${kind}: ${text}`);
      const bytes = await tower.chooseGpu(options, notify, { describe });
      return { tower, bytes, said, see: () => tower.see(input) };
    });
  } finally {
    for (const tower of towers) await tower.close();
    await Deno.remove(path);
  }
}

const isOnGpu = ({ plans }: Tower) => plans[0].gpu !== null;

Deno.test("Tower.chooseGpu() takes a GPU where it is asked for or pays, and says why not", () =>
  withTowers("gemma3", async (open) => {
    const cases: readonly (readonly [LoadOptions, GpuDescription, boolean, string?])[] = [
      [{}, REAL, false],
      [{ gpu: "off", profile: FAST }, REAL, false],
      [{ profile: FAST }, REAL, true],
      [{ profile: FAST }, SOFTWARE, false],
      [{ profile: { ...FAST, gpu: { ...FAST.gpu, prefillGFlops: 1e-3 } } }, REAL, false],
      [{ gpu: "on" }, REAL, true],
      [{ gpu: "on" }, SOFTWARE, false, "only a software adapter"],
      [{ gpu: "force" }, SOFTWARE, true],
      [{ gpu: "on" }, { available: false, reason: "no adapter" }, false, "no adapter"],
      [{ gpu: "on", gpuMemoryBytes: 1 << 30 }, REAL, true],
      [{ gpu: "on", gpuMemoryBytes: 16 << 20 }, REAL, false, "more than half"],
    ];
    for (const [options, gpu, expected, text] of cases) {
      const { tower, bytes, said } = await open(options, gpu);
      const name = JSON.stringify({ ...options, profile: options.profile?.gpu });
      assertEquals([isOnGpu(tower), bytes > 0], [expected, expected], name);
      assertEquals(said.length, text === undefined ? 0 : 1, name);
      if (text !== undefined) assertStringIncludes(said[0], text);
    }
  }));

Deno.test("Tower.chooseGpu() leaves threads a kind that a GPU does not compute", () =>
  withTowers("gemma4v-limits", async (open) => {
    const { tower, said } = await open({ gpu: "force" }, SOFTWARE);
    assert(!isOnGpu(tower));
    assertEquals(said, [
      "info: Threads look at images, not the GPU: products that have limits are the threads'",
    ]);
  }));

gpuTest(
  "a tower's GPU sees what its threads see, within the memory that it says",
  () =>
    withTowers("gemma3", async (open) => {
      const description = await describeGpu();
      const threads = await open({ gpu: "off" }, description);
      const gpu = await open({ gpu: "force", gpuMemoryBytes: 1 << 30 }, description);
      assert(isOnGpu(gpu.tower));
      assertLess(nmse(await gpu.see(), Float64Array.from(await threads.see())), 1e-11);
      assert(isOnGpu(gpu.tower), "it had room");
      assertEquals(gpu.said, []);
    }),
);

gpuTest("threads look where the GPU that was there is gone", async () => {
  // What says that it is no software is not found by those who would use it.
  if ((await describeGpu()).adapter?.isFallback !== true) return;
  await withTowers("gemma3", async (open) => {
    const lost = await open({ gpu: "on" }, REAL);
    const threads = await open({ gpu: "off" }, REAL);
    assert(isOnGpu(lost.tower));
    assertEquals(await lost.see(), await threads.see());
    assert(!isOnGpu(lost.tower));
    assertEquals(lost.said.length, 1);
    assertStringIncludes(lost.said[0], "warning: Threads look at images, not the GPU: ");
  });
});

/** A model and its eyes on one GPU, and what was said meanwhile. */
async function withSeeing(
  options: LoadOptions,
  use: (model: LoadedModel, said: readonly string[]) => Promise<void>,
): Promise<void> {
  await withTinyFile({ architecture: "gemma3" }, async (path) => {
    const projectorPath = path.replace(".gguf", "-eyes.gguf");
    await Deno.writeFile(projectorPath, tinyVision({ kind: "gemma3" }));
    const said: string[] = [];
    try {
      const model = await loadModel(path, {
        ...{ threads: 1, kvType: "f32", projectorPath, ...options },
        onNotice: ({ kind, text }) => void said.push(`${kind}: ${text}`),
      });
      await use(model, said).finally(() => model.close());
    } finally {
      await Deno.remove(projectorPath);
    }
  });
}

/** The rows of an image, and what the model says behind it, greedily. */
async function answerTo(model: LoadedModel): Promise<{ rows: Float32Array; ids: number[] }> {
  const sample = (x: number, y: number, channel: number) => (x * 5 + y * 3 + channel * 60) % 256;
  const file = writePng({ width: 40, height: 40, bits: 8, type: 2, sample });
  const messages = [{ role: "user", content: "A cat?", images: [{ at: 0, file }] }];
  const images = await model.lookAt!(messages);
  const asked = { ids: model.encodeChat(messages, { images }), given: images.given };
  const generation = model.generate({
    ...{ ...asked, sampling: { temperature: 0 }, maxTokens: 4, ignoreEnd: true },
  });
  return { rows: images.given[0].values, ids: [...(await generation.result).ids] };
}

gpuTest(
  "a model and its eyes share a GPU, answer as on threads, and live when it is lost",
  async () => {
    let threads: Awaited<ReturnType<typeof answerTo>> | null = null;
    await withSeeing({ gpu: "off" }, async (model) => void (threads = await answerTo(model)));
    const same = async (model: LoadedModel) => {
      const { rows, ids } = await answerTo(model);
      assertLess(nmse(rows, Float64Array.from(threads!.rows)), 1e-11);
      assertEquals(ids, threads!.ids);
    };
    // Lost at each first look: opened again once, and left to threads then; the text's stays.
    const lost = { gpu: "force", gpuMemoryBytes: 1 << 30, gpuLossAtLook: 1 } as const;
    await withSeeing(lost, async (model, said) => {
      await same(model);
      const left = said.filter((text) => text.startsWith("warning: Threads look at images"));
      assertEquals(left.length, 1);
      assertStringIncludes(left[0], "The GPU");
      await same(model);
    });
  },
);

gpuTest(
  "a GPU that is lost while it looks is opened again, and is not given up for that",
  () =>
    withTowers("gemma3", async (open) => {
      const description = await describeGpu();
      const expected = Float64Array.from(await (await open({ gpu: "off" }, description)).see());
      const lost = await open({ gpu: "force", gpuLossAtLook: 2 }, description);
      for (const _look of [1, 2]) assertLess(nmse(await lost.see(), expected), 1e-11);
      assert(isOnGpu(lost.tower));
      assertEquals(lost.said, []);
    }),
);
