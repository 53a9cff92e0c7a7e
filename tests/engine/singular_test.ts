/** What families of a kind of their own ask of the engine beyond logits. */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess } from "@std/assert";
import { describeForUse, planModel } from "../../src/llm/mod.ts";
import { PAGE_BYTES } from "../../src/memory/arena.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { list, openGguf, u32 } from "../../src/gguf/mod.ts";
import { nmse } from "../support/compare.ts";
import { allLogits, greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { CHAMELEON_VOCABULARY, SINGULAR_FAMILIES } from "../support/tiny_singular_families.ts";
import { TINY_PROMPT } from "../support/tiny_model.ts";
import { exactLogits } from "../support/known_logits.ts";

const IDS = TINY_PROMPT.slice(0, 9);

Deno.test("the engine never says tokens of Chameleon's images, and computes the others", async () => {
  const of = { architecture: "chameleon", vocabSize: CHAMELEON_VOCABULARY, seed: 3 } as const;
  await withTinyFile(of, async (path) => {
    const expected = exactLogits(path, IDS);
    await withModel(path, { threads: 2 }, async (model) => {
      const logits = new Float32Array(expected.length);
      await model.logits(IDS, (rows, first) => logits.set(rows, first * CHAMELEON_VOCABULARY));
      const isSaid = (_: number, i: number) => {
        const id = i % CHAMELEON_VOCABULARY;
        return id < 4 || id >= 8196;
      };
      const silent = logits.filter((value, i) => !isSaid(value, i));
      assert(silent.length === IDS.length * 8192 && silent.every((value) => value === -Infinity));
      assertLess(nmse(logits.filter(isSaid), expected.filter(isSaid)), 2e-12);
      const ids = await greedyIds(model, IDS, 8);
      assertEquals(ids.filter((id) => !isSaid(0, id)), []);
    });
  });
});

Deno.test("the engine never says tokens that a file lists, on the leader or behind it", async () => {
  const of = { architecture: "llama", seed: 3 } as const;
  const free = await withTinyFile(
    of,
    (path) => withModel(path, { threads: 1 }, (model) => greedyIds(model, IDS, 8)),
  );
  const silenced = [...new Set([...free, 500, 501])].toSorted((a, b) => a - b);
  const metadata = [
    ["tokenizer.ggml.suppress_tokens", list(Int32Array.of(-1, 512, ...silenced))] as const,
  ];
  await withTinyFile({ ...of, metadata }, async (path) => {
    const expected = exactLogits(path, IDS);
    assertEquals(expected.filter((value) => value === -Infinity).length / 9, silenced.length);
    await withModel(path, { threads: 3 }, async (model) => {
      const logits = new Float32Array(expected.length);
      await model.logits(IDS, (rows, first) => logits.set(rows, first * 512));
      const isSaid = (_: number, i: number) => !silenced.includes(i % 512);
      const silent = logits.filter((value, i) => !isSaid(value, i));
      assert(silent.length > 0 && silent.every((value) => value === -Infinity));
      assertLess(nmse(logits.filter(isSaid), expected.filter(isSaid)), 2e-12);
      const ids = await greedyIds(model, IDS, 8);
      assertEquals(ids.filter((id) => silenced.includes(id)), []);
    });
  });
});

Deno.test("layers that are used several times lie in memory once, and are read as often", async () => {
  const usedBytes = async (loops: number) => {
    let bytes = { weights: 0, perToken: 0, kv: 0 };
    const metadata = [["nanbeige.num_loops", u32(loops)] as const];
    await withTinyFile(
      { architecture: "nanbeige", seed: 3, tied: true, metadata },
      async (path) => {
        await withModel(path, { threads: 1 }, ({ memory, bytesPerToken: perToken }) => {
          bytes = { weights: memory.weightsBytes, perToken, kv: memory.kvBytes };
          return Promise.resolve();
        });
      },
    );
    return bytes;
  };
  const [once, thrice] = [await usedBytes(1), await usedBytes(3)];
  // The norm that ends passes lies in the arena a second time.
  assertLess(thrice.weights - once.weights, 1024);
  assertEquals(thrice.kv, 3 * once.kv);
  // Two blocks of four matrices of 64 columns around attention, and three of 96 neurons.
  const walked = 2 * 4 * 64 * (64 + 32 + 32 + 64 + 3 * 96);
  assertLess(Math.abs(thrice.perToken - once.perToken - 2 * walked), 1024);
});

Deno.test("LoadedModel.bytesPerToken leaves out companions of experts that no token uses", async () => {
  await withTinyFile({ architecture: "grovemoe", seed: 3, tied: true }, async (path) => {
    await withModel(path, { threads: 1 }, ({ memory, bytesPerToken }) => {
      // 5 of 8 experts and 1 of 4 companions, each with 3 matrices of 64 by 32 floats, in 2 layers.
      assertEquals(memory.weightsBytes - bytesPerToken, 2 * (5 + 1) * 3 * 64 * 32 * 4);
      return Promise.resolve();
    });
  });
});

Deno.test("layers in other arenas attend to the keys that the first one has chosen", async () => {
  const { latent } = SINGULAR_FAMILIES["glm-dsa-chosen"];
  const indexer = { ...latent.indexer, choosers: [true, false, false, false] };
  const changes = { latent: { ...latent, indexer } };
  await withTinyFile({ architecture: "glm-dsa-chosen", seed: 3, changes }, async (path) => {
    const expected = exactLogits(path, TINY_PROMPT);
    const options = { threads: 2, contextLength: 64, chunkTokens: 16 };
    const file = openGguf(path), module = await loadKernelModule();
    const planned = (arenaBytesMax?: number) =>
      planModel({ file, model: describeForUse(file, options) }, module, {
        ...options,
        arenaBytesMax,
      })[0].arenas;
    const arenaBytesMax = 0.45 * PAGE_BYTES * planned()[0].pageCount;
    assertEquals(planned(arenaBytesMax).length, 4);
    await withModel(path, { ...options, arenaBytesMax }, async (model) => {
      assertLess(nmse(await allLogits(model, TINY_PROMPT), expected), 2e-12);
    });
  });
});

Deno.test("indexers may be quantised where nothing else of a layer is, and the other way round", async () => {
  const changes = {
    latent: { ...SINGULAR_FAMILIES["deepseek32-chosen"].latent, query: 64 },
  };
  for (const isIndexer of [true, false]) {
    const typeOf = (name: string) =>
      /attn_|indexer/.test(name) && !/norm/.test(name)
        ? /indexer/.test(name) === isIndexer ? "Q8_0" : "F32"
        : undefined;
    await withTinyFile(
      { architecture: "deepseek32-chosen", seed: 3, changes, typeOf },
      async (path) => {
        const expected = exactLogits(path, TINY_PROMPT);
        await withModel(path, { threads: 2, chunkTokens: 16 }, async (model) => {
          const error = nmse(await allLogits(model, TINY_PROMPT), expected);
          assertLess(error, 5e-2);
        });
      },
    );
  }
});
