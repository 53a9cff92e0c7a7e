/**
 * Rows that a prompt brings along in place of embeddings, family by family: those that are ids'
 * embeddings give what the ids give, to the bit; where they are no tokens, what the reference gives.
 */
import { assertEquals, assertLess } from "@std/assert";
import { openGguf } from "../../src/gguf/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import { embeddingsOf, idsOf, referenceOf, stepLogits } from "../support/given_rows.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { openRanks } from "../support/poisoned_rank.ts";
import { TINY_FAMILIES, type TinyFamilyName } from "../support/tiny_families.ts";

const FAMILIES = Object.keys(TINY_FAMILIES) as TinyFamilyName[];
/** What tokens give layers is not of their embeddings alone. */
const WITH_INPUTS: readonly TinyFamilyName[] = ["gemma3n", "gemma4", "gemma4-moe"];
const IDS = [17, 300, 5, 41, 96, 511, 7];

for (const architecture of FAMILIES) {
  Deno.test(`given rows of ${architecture} are as embeddings`, async () => {
    await withTinyFile({ architecture, seed: 3 }, async (path) => {
      using ranks = await openRanks(path, {}, { poisons: false });
      const { embeddingLength: width } = ranks.runner.setup.config;
      const values = embeddingsOf(path, IDS.slice(2, 5));
      const rows = { firstId: -7, values, seesAll: false, grid: null };
      const ids = [...IDS.slice(0, 2), ...idsOf(rows, width), ...IDS.slice(5)];
      const prompt = { ids, given: [rows] };
      const logits = stepLogits(ranks.runner, prompt);
      if (!WITH_INPUTS.includes(architecture)) {
        assertEquals(logits, stepLogits(ranks.runner, { ids: IDS, given: [] }));
        return;
      }
      const exact = new ReferenceModel(openGguf(path)).forward(ids, 0, referenceOf(prompt, width));
      assertLess(nmse(logits, exact), 1e-11);
    });
  });
}
