/**
 * Rows that a prompt brings along in place of embeddings, beside the reference. Those that are ids'
 * embeddings give what the ids give, to the bit: families_test.ts.
 */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { list, openGguf, u32 } from "../../src/gguf/mod.ts";
import { givenWidth } from "../../src/model/given_width.ts";
import { describeModel } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import {
  asRows,
  type GivenPrompt,
  idsOf,
  referenceOf,
  someRows,
  stepLogits,
} from "../support/given_rows.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { openRanks } from "../support/poisoned_rank.ts";

Deno.test("tokens of hunyuan_vl stand behind all rows of images, which are numbered", async () => {
  const metadata = [
    ["hunyuan_vl.rope.dimension_sections", list(Int32Array.of(1, 2, 2, 1))] as const,
  ];
  await withTinyFile({ architecture: "hunyuan_vl", seed: 3, metadata }, async (path) => {
    using ranks = await openRanks(path, {}, { poisons: false });
    const { embeddingLength: width } = ranks.runner.setup.config;
    const image = (firstId: number, rows: number, columns: number) => ({
      ...{ firstId, seesAll: false, grid: { rows, columns, isFramed: true as const } },
      values: someRows(-firstId, { count: rows * columns + 2, width }),
    });
    const given = [image(-1, 2, 3), image(-100, 4, 2)];
    const [first, second] = given.map((rows) => idsOf(rows, width));
    const prompt = { ids: [3, ...first, 44, 200, ...second, 6, 90, 5], given };
    const as = referenceOf(prompt, width);
    const exact = new ReferenceModel(openGguf(path));
    const expected = exact.forward(prompt.ids, 0, as);
    assertLess(nmse(stepLogits(ranks.runner, prompt), expected), 2e-12);
    assertLess(nmse(stepLogits(ranks.runner, prompt, [3, 5, 11]), expected), 2e-12);
    const places = Array.from(as.positions!);
    // Rows for columns, images without numbers, and rows that take less room.
    for (const [one, other] of [[1, 2], [3, 0]]) {
      const positions = places.map((place, i) =>
        i % 4 === one
          ? places[i - one + other]
          : i % 4 === other && other > 0
          ? places[i - 1]
          : place
      );
      assertGreater(nmse(exact.forward(prompt.ids, 0, { ...as, positions }), expected), 1e-6);
    }
  });
});

for (const architecture of ["gemma3n", "gemma4"] as const) {
  Deno.test(`given rows of ${architecture} give layers what id 0 gives`, async () => {
    await withTinyFile({ architecture, seed: 3 }, async (path) => {
      using ranks = await openRanks(path, {}, { poisons: false });
      const prompt = asRows(path, [17, 300, 5, 41, 96, 511, 7], [2, 5]);
      const given = referenceOf(prompt, 64);
      const exact = new ReferenceModel(openGguf(path)).forward(prompt.ids, 0, given);
      assertLess(nmse(stepLogits(ranks.runner, prompt), exact), 1e-11);
    });
  });
}

/** Text, an image of 2 rows and 3 columns, text, one that is higher than wide, text. */
function withImages(width: number, hasGrid = true): GivenPrompt {
  const image = (firstId: number, rows: number, columns: number) => ({
    ...{ firstId, seesAll: false, grid: hasGrid ? { rows, columns } : null },
    values: someRows(-firstId, { count: rows * columns, width }),
  });
  const given = [image(-1, 2, 3), image(-100, 4, 1)];
  const [first, second] = given.map((rows) => idsOf(rows, width));
  return { ids: [3, ...first, 44, 200, ...second, 6, 90, 5], given };
}

for (const architecture of ["qwen2vl", "qwen3vl", "qwen35", "glm4-sections"] as const) {
  Deno.test(`tokens of ${architecture} stand where images leave them room`, async () => {
    await withTinyFile({ architecture, seed: 3 }, async (path) => {
      using ranks = await openRanks(path, {}, { poisons: false });
      const { embeddingLength: width } = ranks.runner.setup.config;
      const prompt = withImages(width);
      const given = referenceOf(prompt, width);
      const exact = new ReferenceModel(openGguf(path)).forward(prompt.ids, 0, given);
      assertLess(nmse(stepLogits(ranks.runner, prompt), exact), 2e-12);
      assertLess(nmse(stepLogits(ranks.runner, prompt, [3, 5, 11]), exact), 2e-12);
    });
  });
}

for (const architecture of ["qwen3vl", "qwen3vlmoe"] as const) {
  Deno.test(`parts of rows of ${architecture} are added behind the first layers`, async () => {
    const metadata = [[`${architecture}.n_deepstack_layers`, u32(2)] as const];
    await withTinyFile({ architecture, seed: 3, metadata }, async (path) => {
      for (const rankCount of [1, 2]) {
        using ranks = await openRanks(path, { rankCount }, { poisons: false });
        const width = givenWidth(ranks.runner.setup.config);
        assertEquals(width, 3 * 64);
        const prompt = withImages(width);
        const given = referenceOf(prompt, width);
        const exact = new ReferenceModel(openGguf(path)).forward(prompt.ids, 0, given);
        assertLess(nmse(stepLogits(ranks.runner, prompt), exact), 2e-12);
        assertLess(nmse(stepLogits(ranks.runner, prompt, [3, 5, 11]), exact), 2e-12);
      }
    });
  });
}

Deno.test("parts of rows of granite are added behind the layers that its file says, not scaled", async () => {
  const metadata = [["granite.deepstack_mapping", list(Int32Array.of(-1, 2, -1, 1, 2))]] as const;
  const shape = { architecture: "granite", seed: 3, blockCount: 5, metadata } as const;
  await withTinyFile(shape, async (path) => {
    for (const rankCount of [1, 2]) {
      using ranks = await openRanks(path, { rankCount }, { poisons: false });
      const { config } = ranks.runner.setup;
      const width = givenWidth(config);
      assertEquals([width, config.partsBehind], [3 * 64, [2, 0, 1, 2, 0]]);
      const prompt = withImages(width, false);
      const given = referenceOf(prompt, width);
      const exact = new ReferenceModel(openGguf(path)).forward(prompt.ids, 0, given);
      assertLess(nmse(stepLogits(ranks.runner, prompt), exact), 2e-12);
      assertLess(nmse(stepLogits(ranks.runner, prompt, [3, 5, 11]), exact), 2e-12);
    }
  });
});

Deno.test("rows of one part are scaled by granite as embeddings are", async () => {
  await withTinyFile({ architecture: "granite", seed: 3 }, async (path) => {
    using ranks = await openRanks(path, { rankCount: 2 }, { poisons: false });
    const { config } = ranks.runner.setup;
    assertEquals([config.scalesGiven, config.embeddingScale], [true, 6]);
    const prompt = withImages(64, false);
    const given = referenceOf(prompt, 64);
    const exact = new ReferenceModel(openGguf(path)).forward(prompt.ids, 0, given);
    assertLess(nmse(stepLogits(ranks.runner, prompt), exact), 2e-12);
    const description = describeModel(openGguf(path));
    const { scalesGiven: _, ...other } = description.config;
    const unscaled = new ReferenceModel(openGguf(path), {
      description: { ...description, config: other },
    }).forward(prompt.ids, 0, given);
    assertGreater(nmse(unscaled, exact), 1e-3);
  });
});

/** An image whose rows see each other, longer than windows are, and a short one at the end. */
function withWholes(width: number): GivenPrompt {
  const image = (firstId: number, count: number) => ({
    ...{ firstId, seesAll: true, grid: null, values: someRows(-firstId, { count, width }) },
  });
  const given = [image(-1, 11), image(-100, 3)];
  const [first, second] = given.map((rows) => idsOf(rows, width));
  return { ids: [3, 8, ...first, 44, 200, 6, 7, 9, ...second], given };
}

Deno.test("rows of an image see each other, within windows and beside text in a step", async () => {
  await withTinyFile({ architecture: "gemma3", seed: 3 }, async (path) => {
    using ranks = await openRanks(path, {}, { poisons: false });
    const { embeddingLength: width } = ranks.runner.setup.config;
    const prompt = withWholes(width);
    const given = referenceOf(prompt, width);
    const exact = new ReferenceModel(openGguf(path)).forward(prompt.ids, 0, given);
    const apart = stepLogits(ranks.runner, prompt, [2, 13, 18]);
    assertLess(nmse(apart, exact), 2e-12);
    assertEquals(stepLogits(ranks.runner, prompt, [14]), apart);
    const causal = { ...given, bothWays: [] };
    const other = new ReferenceModel(openGguf(path)).forward(prompt.ids, 0, causal);
    assertGreater(nmse(apart, other), 1e-3);
  });
});
