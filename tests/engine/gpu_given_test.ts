/** Prompts with images on a GPU that has all of the model, in chains, too, or some layers. */
import "../support/thread_pool.ts";
import { assertEquals } from "@std/assert";
import { Leader } from "../../src/engine/leader.ts";
import { list, openGguf, u32 } from "../../src/gguf/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { answerNow } from "../support/answer_now.ts";
import { chainTest, openChainRunner } from "../support/chain_runner.ts";
import { idsOf, referenceIds, someRows } from "../support/given_rows.ts";
import { gpuTest } from "../support/gpu_model.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";
import type { TinyFamilyName } from "../support/tiny_families.ts";

sizesAsData();

const WIDTH = 64;
const TOKENS = 24;

interface Images {
  readonly hasGrid: boolean;
  /** Rows and columns of the second one, and ids behind it. */
  readonly second: readonly [rows: number, columns: number];
  readonly behind: readonly number[];
  /** Tokens that are there when the prompt comes again. */
  readonly cached: number;
  /** Parts of rows. */
  readonly parts?: number;
  /** Behind which layer of four they are added; left out: behind the first of two. */
  readonly mapping?: readonly number[];
}

/** Reads images of a family, once from the beginning and once behind blocks that are there. */
function checkImages(
  architecture: TinyFamilyName,
  { hasGrid, second, behind, cached, parts = 1, mapping }: Images,
): Promise<void> {
  const blockCount = mapping?.length ?? 2;
  const shape = { architecture, seed: 3, contextLength: 224, blockCount } as const;
  const metadata = [
    mapping === undefined
      ? [`${architecture}.n_deepstack_layers`, u32(parts - 1)] as const
      : [`${architecture}.deepstack_mapping`, list(Int32Array.from(mapping))] as const,
  ];
  return withTinyFile({ ...shape, metadata }, async (path) => {
    const width = parts * WIDTH;
    const image = (firstId: number, [rows, columns]: readonly [number, number]) => ({
      ...{ firstId, seesAll: !hasGrid && parts === 1, grid: hasGrid ? { rows, columns } : null },
      values: someRows(-firstId, { count: rows * columns, width, size: 2 }),
    });
    const given = [image(-1, [3, 8]), image(-100, second)];
    const [ofFirst, ofSecond] = given.map((rows) => idsOf(rows, width));
    const prompt = { ids: [3, ...ofFirst, 44, 200, ...ofSecond, ...behind], given };
    // Behind it a text, of which nothing of the images is left.
    const text = { ids: [5, 6, 7, 8, 9], given: [] };
    const exact = new ReferenceModel(openGguf(path));
    const cases = [[prompt, 0], [prompt, cached], [text, 0]] as const;
    const expected = cases.map(([each]) => referenceIds(exact, each, TOKENS));
    const runner = await openChainRunner(path);
    for (const waitMs of [0, Infinity]) {
      const leader = new Leader(runner, { waitMs });
      for (const [i, [each, cachedTokens]] of cases.entries()) {
        runner.control.openSlot(0);
        const greedy = { maxTokens: TOKENS, sampling: { temperature: 0 }, endIds: [] };
        const { timings } = answerNow(leader, { ...each, ...greedy });
        assertEquals(timings.cachedTokens, cachedTokens);
        assertEquals([...runner.control.outputIds(0).subarray(0, TOKENS)], expected[i]);
      }
    }
    runner.close();
  });
}

chainTest(
  "a GPU puts tokens where images leave them room, in chains, too",
  () => checkImages("qwen3vl", { hasGrid: true, second: [5, 4], behind: [6], cached: 32 }),
);

chainTest(
  "a GPU lets an image's rows see each other, and does not begin within them",
  () => checkImages("gemma3", { hasGrid: false, second: [5, 4], behind: [6], cached: 0 }),
);

chainTest(
  "a GPU adds parts of rows behind the first layers",
  () =>
    checkImages("qwen3vl", {
      ...{ hasGrid: true, parts: 2 },
      ...{ second: [18, 2], behind: [6, 7, 8], cached: 64 },
    }),
);

chainTest(
  "a GPU adds parts of rows behind the layers that Granite's file says",
  () =>
    checkImages("granite", {
      ...{ hasGrid: false, parts: 3, mapping: [-1, 2, 1] },
      ...{ second: [18, 2], behind: [6, 7, 8], cached: 64 },
    }),
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
