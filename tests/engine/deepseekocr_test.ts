/** DeepSeek-OCR's two towers on one thread and on several against the reference. */
import "../support/thread_pool.ts";
import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { u32 } from "../../src/gguf/mod.ts";
import { RequestError } from "../../src/base/errors.ts";
import { planTowers, startSecond } from "../../src/llm/images/load_tower.ts";
import { Tower } from "../../src/llm/images/tower.ts";
import type { ImageConfig, ModelConfig } from "../../src/model/mod.ts";
import { prepareImage } from "../../src/vision/prepare.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { nmse } from "../support/compare.ts";
import { Rng } from "../support/rng.ts";
import { tinyDeepseekOcr, type TinyDeepseekOcrOptions } from "../support/tiny_deepseekocr.ts";
import { seenByBoth, tablesOfBoth } from "../support/two_towers.ts";

interface Case {
  readonly made: TinyDeepseekOcrOptions;
  readonly threads: number;
  readonly nmseMax: number;
  /** Room for some layers only. */
  readonly arenaBytesMax?: number;
}

const CASES: Readonly<Record<string, Case>> = {
  "of the second version on one thread": {
    ...{ made: { version: 2 }, threads: 1, nmseMax: 1e-11 },
  },
  "of the second version on three threads, of which one has no keys": {
    ...{ made: { version: 2 }, threads: 3, nmseMax: 1e-11 },
  },
  "of the second version in several arenas": {
    ...{ made: { version: 2 }, threads: 2, nmseMax: 1e-11, arenaBytesMax: 2_100_000 },
  },
  "of the second version in Q8_0": {
    ...{ made: { version: 2, type: "Q8_0" }, threads: 3, nmseMax: 1e-3 },
  },
  "one thread": { made: {}, threads: 1, nmseMax: 1e-11 },
  "three threads": { made: {}, threads: 3, nmseMax: 1e-11 },
  "five threads, of which some have no heads": { made: {}, threads: 5, nmseMax: 1e-11 },
  "two threads whose layers are in several arenas": {
    ...{ made: {}, threads: 2, nmseMax: 1e-11, arenaBytesMax: 2_100_000 },
  },
  "windows that fill the image's sides": { made: { windowSide: 4 }, threads: 2, nmseMax: 1e-11 },
  "F16": { made: { type: "F16" }, threads: 2, nmseMax: 1e-5 },
  "Q8_0": { made: { type: "Q8_0" }, threads: 3, nmseMax: 1e-3 },
};

for (const [name, { made, threads, nmseMax, arenaBytesMax }] of Object.entries(CASES)) {
  Deno.test(`rows of DeepSeek-OCR's towers are the reference's: ${name}`, async () => {
    const path = await Deno.makeTempFile({ prefix: "ganglion-ocr-", suffix: ".gguf" });
    try {
      const metadata = [["clip.vision.preproc_max_tiles", u32(2)] as const];
      const bytes = tinyDeepseekOcr({ ...made, metadata });
      await Deno.writeFile(path, bytes);
      const module = await loadKernelModule();
      const config = { embeddingLength: 64 } as ModelConfig;
      const [tower] = Tower.openAll(path, { config, module }, { threads, arenaBytesMax });
      try {
        assertEquals(tower.plans.length, 2 * threads);
        const isCut = tower.plans.some(({ arenas }) => arenas.length > 1);
        assertEquals(isCut, arenaBytesMax !== undefined);
        const images = tower.reads as ImageConfig;
        const { tiles } = prepareImage(noise(70, 40), images, tablesOfBoth(bytes, images));
        assertEquals(tiles.length, 3);
        // A tile, the image as a whole, and a tile again: tables are made for each of their sizes.
        for (const tile of [tiles[0], tiles[2], tiles[1]]) {
          const expected = seenByBoth(bytes, tile);
          assertLess(nmse(await tower.see(tile), expected), nmseMax);
        }
      } finally {
        await tower.close();
      }
    } finally {
      await Deno.remove(path);
    }
  });
}

function noise(width: number, height: number) {
  const rng = new Rng(5);
  const bytes = Uint8Array.from(
    { length: width * height * 3 },
    () => Math.floor(256 * rng.float()),
  );
  return {
    ...{ width, height, bytes, start: 0, rowStride: width * 3, pixelStride: 3 },
    channels: [0, 1, 2] as const,
  };
}

Deno.test("rows that are asked are half of what the second version's other tower takes", async () => {
  const path = await Deno.makeTempFile({ prefix: "ganglion-ocr-", suffix: ".gguf" });
  try {
    await Deno.writeFile(path, tinyDeepseekOcr({ version: 2 }));
    const [planned] = planTowers(path, await loadKernelModule(), { threads: 1 });
    const engine = await startSecond(planned);
    try {
      const rows = new Float32Array(6 * 64).fill(0.5);
      const input = { count: 6, kept: 2, patches: rows, added: rows, positions: null };
      await assertRejects(() => engine.images.see(input), RequestError, "6 rows, of which 2 ask");
      assertEquals((await engine.images.see({ ...input, kept: 3 })).length, 3 * 64);
    } finally {
      await engine.close();
    }
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("what is cancelled between DeepSeek-OCR's towers is not seen, and the next image is", async () => {
  const path = await Deno.makeTempFile({ prefix: "ganglion-ocr-", suffix: ".gguf" });
  try {
    const bytes = tinyDeepseekOcr();
    await Deno.writeFile(path, bytes);
    const module = await loadKernelModule();
    const config = { embeddingLength: 64 } as ModelConfig;
    const [tower] = Tower.openAll(path, { config, module }, { threads: 2 });
    try {
      const images = tower.reads as ImageConfig;
      const { tiles: [tile] } = prepareImage(noise(8, 8), images, tablesOfBoth(bytes, images));
      const controller = new AbortController();
      let reads = 0;
      const cancelled = {
        ...tile,
        // The second tower asks for it when the first one has seen.
        get second() {
          if (++reads === 2) controller.abort();
          return tile.second;
        },
      };
      await assertRejects(() => tower.see(cancelled, controller.signal), DOMException);
      const seen = await tower.see(tile);
      assertLess(nmse(seen, seenByBoth(bytes, tile)), 1e-11);
    } finally {
      await tower.close();
    }
  } finally {
    await Deno.remove(path);
  }
});
