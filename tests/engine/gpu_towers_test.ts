/** Towers of every kind: which a GPU has, and that what it sees is what the reference sees. */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { openGguf, parseGguf } from "../../src/gguf/mod.ts";
import { loadTower } from "../../src/llm/images/load_tower.ts";
import { readHearing, readVision } from "../../src/model/mod.ts";
import type { GpuSetup } from "../../src/rank/gpu/gpu_setup.ts";
import { towerObstacle } from "../../src/rank/gpu/tower_obstacle.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import { gpuTest } from "../support/gpu.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";
import { tinyDeepseekOcr } from "../support/tiny_deepseekocr.ts";
import { tinyGemma3n } from "../support/tiny_gemma3n.ts";
import { TINY_HEARING_NAMES, tinyHearing } from "../support/tiny_hearing.ts";
import { type TinyGrid, tinyTowerInput } from "../support/tiny_image.ts";
import {
  TINY_KINDS,
  TINY_TOWER,
  tinyVision,
  type TinyVisionName,
  type TinyVisionOptions,
} from "../support/tiny_vision.ts";

sizesAsData();

/** F32 weights, keys and values: only the order of sums differs. */
const F32_NMSE = 1e-11;
const GPU: GpuSetup = {
  ...{ mayBeSoftware: true, tuning: null, memoryBytes: null, lossAtStep: null, waitMs: null },
  priority: "normal",
};

/** What threads see, and why; all others a GPU sees, a kind that is new here as well. */
const THREADS: { readonly [Kind in TinyVisionName]?: string } = {
  "step3vl": "convolutions over rows of images are the threads'",
  "ldpv2": "rows that are changed before they are merged are the threads'",
  "mimovl": "windows along lines and columns of images are the threads'",
  "granite4_vision": "queries that rows are asked by are the threads'",
  "llama4": "stages of projectors are the threads'",
  "hunyuanvl": "rows around those of images are the threads'",
  "youtuvl": "windows that edges of images cut off are the threads'",
  "adapter": "gates of projectors are the threads'",
  "muse-glimmer": "gelu by the error function is the threads'",
  "minicpmv4_6": "rows that become fewer between layers are the threads'",
  "minicpmv4_6-four": "gelu by the error function is the threads'",
  "resampler": "queries that rows are asked by are the threads'",
  "gemma4uv": "towers without layers are the threads'",
  "glm4v": "patches that are normalised first are the threads'",
  "gemma4v": "heads of images that are turned in parts are the threads'",
  "minimax_m3": "heads of images that are turned in parts are the threads'",
  "gemma4v-limits": "products that have limits are the threads'",
};
/** No side computes its norms. */
const REFUSED: readonly TinyVisionName[] = ["internvl-norms"];
const NAMES = (Object.keys(TINY_KINDS) as TinyVisionName[]).filter((name) =>
  !REFUSED.includes(name)
);

async function withFile(
  made: TinyVisionOptions,
  use: (path: string, bytes: Uint8Array<ArrayBuffer>) => void | Promise<void>,
): Promise<void> {
  const path = await Deno.makeTempFile({ prefix: "ganglion-tower-", suffix: ".gguf" });
  try {
    const bytes = tinyVision(made);
    await Deno.writeFile(path, bytes);
    await use(path, bytes);
  } finally {
    await Deno.remove(path);
  }
}

/** How far what a GPU sees is from what the reference sees, image by image, one after the other. */
async function errorsOf(made: TinyVisionOptions, grids?: readonly TinyGrid[]): Promise<number[]> {
  const errors: number[] = [];
  await withFile(made, async (path, bytes) => {
    const { file, engine } = await loadTower(path, { onGpu: GPU, kvType: "f32" });
    try {
      const { images, description } = readVision(file);
      const side = images.windowSide === null ? TINY_TOWER.side : 2 * images.windowSide;
      for (const grid of grids ?? [{ rows: side, columns: side }]) {
        const of = { images, config: description.config, grid };
        const input = tinyTowerInput(of, { file, bytes });
        const seen = await engine.images.see(input);
        errors.push(nmse(seen, new ReferenceModel(file, { description }).see(input)));
      }
    } finally {
      await engine.close();
    }
  });
  return errors;
}

Deno.test("towerObstacle() leaves threads what a GPU would see otherwise", async () => {
  for (const kind of NAMES) {
    await withFile({ kind }, (path) => {
      const file = openGguf(path);
      assertEquals(towerObstacle(readVision(file).description, file), THREADS[kind] ?? null, kind);
    });
  }
});

Deno.test("towerObstacle() leaves networks of convolutions to threads", () => {
  const file = parseGguf(tinyGemma3n());
  const obstacle = towerObstacle(readVision(file).description, file);
  assertEquals(obstacle, "networks of convolutions are the threads'");
});

Deno.test("towerObstacle() leaves sounds to threads", () => {
  const ocr = parseGguf(tinyDeepseekOcr());
  const { description, second } = readVision(ocr);
  const reasons = [description, second!].map((model) => towerObstacle(model, ocr));
  assertEquals(reasons, Array(2).fill("towers in two parts are the threads'"));
  const file = parseGguf(tinyDeepseekOcr({ version: 2 }));
  const of = readVision(file);
  assertEquals([of.description, of.second!].map((model) => towerObstacle(model, file)), [
    ...["convolutions over rows of images are the threads'", "towers that hear are the threads'"],
  ]);
  for (const kind of TINY_HEARING_NAMES) {
    const file = parseGguf(tinyHearing({ kind }));
    const obstacle = towerObstacle(readHearing(file).description, file);
    assertEquals(obstacle, "towers that hear are the threads'", kind);
  }
  // One block has nothing between its layers.
  const one = parseGguf(tinyHearing({ kind: "granite_speech", lengths: { blockCount: 1 } }));
  const obstacle = towerObstacle(readHearing(one).description, one);
  assertEquals(obstacle, "towers that hear are the threads'");
});

Deno.test("towerObstacle() refuses halves, and rows that are made alike, each by itself", () =>
  withFile({ kind: "gemma4v" }, (path) => {
    const file = openGguf(path);
    const { config, tensors } = readVision(file).description;
    const { standard, ...plain } = tensors.projector!;
    assert(standard !== undefined);
    const halves = { config, tensors: { ...tensors, projector: plain } };
    assertStringIncludes(towerObstacle(halves, file)!, "turned in parts");
    const layers = config.layers.map(({ secondRope: _, ...layer }) => layer);
    const ropes = config.ropes.map(({ start: _, ...rope }) => rope);
    const alike = { config: { ...config, layers, ropes }, tensors };
    assertStringIncludes(towerObstacle(alike, file)!, "made alike");
  }));

/** Those of which a GPU has all that they are made of from another kind. */
const TWINS: readonly TinyVisionName[] = ["lightonocr", "janus_pro", "exaone4_5"];

for (const kind of NAMES.filter((name) => !(name in THREADS) && !TWINS.includes(name))) {
  gpuTest(`a GPU sees by ${kind} as the reference does`, async () => {
    for (const error of await errorsOf({ kind, seed: 3 })) assertLess(error, F32_NMSE);
  });
}

gpuTest(
  "a GPU sees images of any shape one after the other, by other types nearly so",
  async () => {
    const grids = [[6, 6], [2, 6]].map(([rows, columns]) => ({ rows, columns }));
    for (const error of await errorsOf({ kind: "gemma3", seed: 5 }, grids)) {
      assertLess(error, F32_NMSE);
    }
    for (const error of await errorsOf({ kind: "mlp", type: "Q8_0" })) assertLess(error, 1e-3);
  },
);
