/** Prompts with images on a GPU that has all of the model, in chains, too, or some layers. */
import "../support/thread_pool.ts";
import { assertEquals } from "@std/assert";
import { Leader } from "../../src/engine/leader.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { answerNow } from "../support/answer_now.ts";
import { chainTest, openChainRunner } from "../support/chain_runner.ts";
import { idsOf, referenceIds, someRows } from "../support/given_rows.ts";
import { gpuTest } from "../support/gpu_model.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import type { TinyFamilyName } from "../support/tiny_families.ts";

const WIDTH = 64;
const TOKENS = 24;

/** Reads images of a family, once from the beginning and once behind blocks that are there. */
function checkImages(
  architecture: TinyFamilyName,
  { hasGrid, cached }: { hasGrid: boolean; cached: number },
): Promise<void> {
  const shape = { architecture, seed: 3, contextLength: 224, blockCount: 2 } as const;
  return withTinyFile(shape, async (path) => {
    const image = (firstId: number, rows: number, columns: number) => ({
      ...{ firstId, seesAll: !hasGrid, grid: hasGrid ? { rows, columns } : null },
      values: someRows(-firstId, { count: rows * columns, width: WIDTH }),
    });
    const given = [image(-1, 3, 8), image(-100, 5, 4)];
    const [first, second] = given.map((rows) => idsOf(rows, WIDTH));
    const prompt = { ids: [3, ...first, 44, 200, ...second, 6], given };
    const exact = referenceIds(new ReferenceModel(openGguf(path)), prompt, TOKENS);
    const runner = await openChainRunner(path);
    for (const waitMs of [0, Infinity]) {
      const leader = new Leader(runner, { waitMs });
      runner.control.openSlot(0);
      const request = { ...prompt, maxTokens: TOKENS, sampling: { temperature: 0 }, endIds: [] };
      for (const cachedTokens of [0, cached]) {
        runner.control.openSlot(0);
        const { timings } = answerNow(leader, request);
        assertEquals(timings.cachedTokens, cachedTokens);
        assertEquals([...runner.control.outputIds(0).subarray(0, TOKENS)], exact);
      }
    }
    runner.close();
  });
}

chainTest(
  "a GPU puts tokens where images leave them room, in chains, too",
  () => checkImages("qwen3vl", { hasGrid: true, cached: 32 }),
);

chainTest(
  "a GPU lets an image's rows see each other, and does not begin within them",
  () => checkImages("gemma3", { hasGrid: false, cached: 0 }),
);

gpuTest("a GPU and threads let an image's rows see each other, each in its layers", async () => {
  await withTinyFile({ architecture: "gemma3", seed: 3 }, async (path) => {
    const rows = { firstId: -1, values: someRows(1, { count: 35, width: WIDTH }) };
    const given = [{ ...rows, seesAll: true, grid: null }];
    const prompt = { ids: [3, 9, ...idsOf(given[0], WIDTH), 44, 200], given };
    const exact = referenceIds(new ReferenceModel(openGguf(path)), prompt, 8);
    const way = { gpu: "force", gpuLayers: 4, threads: 2, chunkTokens: 8, wholeRows: 35 } as const;
    await withModel(path, way, async (model) => {
      const sampling = { temperature: 0 };
      const request = { ...prompt, maxTokens: 8, sampling, ignoreEnd: true };
      assertEquals((await model.generate(request).result).ids, exact);
    });
  });
});
