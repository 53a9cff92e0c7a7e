/** Blocks of keys that heads choose (MiniMax M3): the reference, and the engine beside it. */
import "../support/thread_pool.ts";
import { assertEquals, assertGreater, assertLess, assertStringIncludes } from "@std/assert";
import { describeModel, type ModelDescription } from "../../src/model/mod.ts";
import { openGguf, u32 } from "../../src/gguf/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { gpuObstacle } from "../../src/rank/gpu/obstacle.ts";
import {
  checkLogits,
  checkPoisoned,
  checkRestored,
  checkSeveralArenas,
  checkThreads,
  checkTogether,
} from "../support/attention_checks.ts";
import { nmse } from "../support/compare.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { randomIds } from "../support/rng.ts";
import { exactLogits } from "../support/known_logits.ts";

/** Five blocks of 32 positions, of which heads choose two. */
const IDS = randomIds(150, { end: 512, seed: 7 });
const CHOSEN = {
  architecture: "minimax-m3",
  seed: 3,
  metadata: [["minimax-m3.attention.indexer.top_k", u32(2)] as const],
} as const;
const F32_NMSE = 2e-12;

// Three ranks have some heads of a group each.
Deno.test("the engine has heads choose blocks of keys as the reference does", () =>
  withTinyFile(CHOSEN, (path) => checkThreads(path, IDS, F32_NMSE)));

Deno.test("nothing that is dead is read where heads choose blocks of keys", () =>
  withTinyFile(CHOSEN, (path) => checkPoisoned(path, IDS.slice(0, 110), F32_NMSE)));

Deno.test("requests together are answered as alone where heads choose blocks of keys", () =>
  withTinyFile(CHOSEN, (path) => checkTogether(path, IDS)));

Deno.test("blocks of keys of 16 bits, and quantised indexers, are nearly as good", () =>
  withTinyFile(CHOSEN, async (path) => {
    await checkLogits(path, IDS, 1e-3, { kvType: "i16" });
    const typeOf = (name: string) => /indexer\..*proj/.test(name) ? "Q8_0" : undefined;
    await withTinyFile({ ...CHOSEN, typeOf }, (quantised) => checkLogits(quantised, IDS, 5e-2));
  }));

Deno.test("blocks of keys are chosen in several arenas", () =>
  withTinyFile(CHOSEN, (path) => checkSeveralArenas(path, IDS, { share: 0.6, nmseMax: F32_NMSE })));

Deno.test("keys of blocks go into a file of keys and values, and come back", () =>
  withTinyFile(CHOSEN, (path) => checkRestored(path, IDS)));

Deno.test("gpuObstacle() leaves blocks of keys that are chosen to the threads", () =>
  withTinyFile(CHOSEN, (path) => {
    const file = openGguf(path);
    const of = (contextLength: number) =>
      gpuObstacle({ file, model: describeModel(file, { contextLength }) }, {});
    assertStringIncludes(of(65)!, "contexts of at most 64 tokens need no choice");
    assertEquals(of(64), null);
    return Promise.resolve();
  }));

/** llama.cpp's best logits at two of IDS, with flash attention: else it does not choose. */
const LLAMA_CPP = [
  [99, [[129, 5.9859], [437, 5.8433], [352, 5.5312]]],
  [149, [[328, 7.1559], [201, 6.0018], [64, 5.8907]]],
] as const;

Deno.test("ReferenceModel chooses blocks of keys as llama.cpp does", () =>
  withTinyFile(CHOSEN, (path) => {
    const logits = exactLogits(path, IDS);
    for (const [index, best] of LLAMA_CPP) {
      const row = logits.subarray(index * 512, (index + 1) * 512);
      const order = Array.from(row, (_, id) => id).sort((a, b) => row[b] - row[a]);
      assertEquals(order.slice(0, best.length), best.map(([id]) => id));
      for (const [id, value] of best) assertLess(Math.abs(row[id] - value), 5e-3);
    }
    return Promise.resolve();
  }));

const MISTAKES: Record<string, (d: ModelDescription) => ModelDescription> = {
  "all keys": (d) => changed(d, () => ({ blockCount: 8 })),
  "a block less": (d) => changed(d, () => ({ blockCount: 1 })),
  "two last blocks": (d) => changed(d, () => ({ lastBlocks: 2 })),
  "blocks of twice the length": (d) => changed(d, () => ({ blockPositions: 64 })),
  "norms exchanged": (d) =>
    withIndexers(d, ({ queryNorm, keyNorm, ...own }) => ({
      ...own,
      ...{ queryNorm: keyNorm, keyNorm: queryNorm },
    })),
  "heads' keys in the indexer's place": (d) =>
    withIndexers(d, (own) => ({ ...own, key: { ...own.query, rows: own.key.rows } })),
};

for (const [name, mistake] of Object.entries(MISTAKES)) {
  Deno.test(`ReferenceModel computes otherwise with ${name}`, () =>
    withTinyFile(CHOSEN, (path) => {
      const file = openGguf(path);
      const right = exactLogits(path, IDS);
      const wrong = new ReferenceModel(file, { description: mistake(describeModel(file)) });
      assertGreater(nmse(wrong.forward(IDS), right), 1e-4);
      return Promise.resolve();
    }));
}

type Indexer = NonNullable<ModelDescription["tensors"]["layers"][number]["blockIndexer"]>;

function changed(
  { config, tensors }: ModelDescription,
  change: () => Partial<NonNullable<ModelDescription["config"]["blockIndexer"]>>,
): ModelDescription {
  return { tensors, config: { ...config, blockIndexer: { ...config.blockIndexer!, ...change() } } };
}

function withIndexers(
  { config, tensors }: ModelDescription,
  change: (indexer: Indexer) => Indexer,
): ModelDescription {
  const layers = tensors.layers.map((layer) =>
    layer.blockIndexer ? { ...layer, blockIndexer: change(layer.blockIndexer) } : layer
  );
  return { config, tensors: { ...tensors, layers } };
}
