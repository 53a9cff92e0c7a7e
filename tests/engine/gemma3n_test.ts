/** Gemma 3n's network of convolutions on one thread and on several against the reference. */
import "../support/thread_pool.ts";
import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { Tower } from "../../src/llm/images/tower.ts";
import { type ImageConfig, type ModelConfig, readVision } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { prepareImage } from "../../src/vision/prepare.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { nmse } from "../support/compare.ts";
import { tinyGemma3n, type TinyGemma3nOptions } from "../support/tiny_gemma3n.ts";
import { seededImage } from "../vision/seeded_image.ts";

/** What a tower of a file is asked, with what the reference sees of two images of other colours. */
async function withTower(
  made: TinyGemma3nOptions,
  threads: number,
  use: (tower: Tower, images: ImageConfig) => Promise<void>,
): Promise<void> {
  const path = await Deno.makeTempFile({ prefix: "ganglion-gemma3n-", suffix: ".gguf" });
  try {
    await Deno.writeFile(path, tinyGemma3n(made));
    const module = await loadKernelModule();
    const config = { embeddingLength: made.outputLength ?? 64 } as ModelConfig;
    const [tower] = Tower.openAll(path, { config, module }, { threads });
    try {
      await use(tower, tower.reads as ImageConfig);
    } finally {
      await tower.close();
    }
  } finally {
    await Deno.remove(path);
  }
}

function tileOf(images: ImageConfig, width: number, height: number) {
  const tables = { positions: null, classTokens: null, patchBias: null };
  const { tiles } = prepareImage(seededImage(width, height), images, tables);
  assertEquals(tiles.length, 1);
  return tiles[0];
}

function seenByReference(made: TinyGemma3nOptions, tile: ReturnType<typeof tileOf>) {
  const bytes = tinyGemma3n(made);
  const file = parseGguf(bytes);
  const { description } = readVision(file);
  return new ReferenceModel(file, { description, reader: TensorReader.ofBytes(bytes) }).see(tile);
}

Deno.test("rows of Gemma 3n's network are the reference's, on any number of threads", async () => {
  const made = { outputLength: 80 };
  let expected: Float64Array | null = null;
  // More threads than some blocks have groups of channels, or heads.
  for (const threads of [1, 3, 5]) {
    await withTower(made, threads, async (tower, images) => {
      const tile = tileOf(images, 90, 200);
      expected ??= seenByReference(made, tile);
      // The second image finds what the first one has left.
      for (const seen of [tileOf(images, 256, 256), tile]) {
        const rows = await tower.see(seen);
        assertEquals(rows.length, 256 * 80);
        if (seen === tile) assertLess(nmse(rows, expected), 1e-11, `${threads} threads`);
      }
    });
  }
});

Deno.test("rows of Gemma 3n's network are the reference's where they are means of places", async () => {
  const made = { imageSize: 512 };
  await withTower(made, 2, async (tower, images) => {
    const tile = tileOf(images, 500, 300);
    assertLess(nmse(await tower.see(tile), seenByReference(made, tile)), 1e-11);
  });
});

Deno.test("rows of Gemma 3n's network are the reference's: halves, and gains as planes", async () => {
  const made = { type: "F16", hasPlaneGains: true } as const;
  await withTower(made, 2, async (tower, images) => {
    const tile = tileOf(images, 256, 256);
    assertLess(nmse(await tower.see(tile), seenByReference(made, tile)), 1e-6);
  });
});

Deno.test("what is cancelled amid Gemma 3n's network is not seen, and the next image is", async () => {
  await withTower({}, 2, async (tower, images) => {
    const tile = tileOf(images, 256, 256);
    const first = await tower.see(tile);
    const controller = new AbortController();
    const cancelled = tower.see(tile, controller.signal);
    setTimeout(() => controller.abort(), 1);
    await assertRejects(() => cancelled, DOMException);
    assertEquals(await tower.see(tile), first);
  });
});
