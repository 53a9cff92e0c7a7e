/** What families of a kind of their own ask of the engine beyond logits. */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess } from "@std/assert";
import { openGguf } from "../../src/gguf/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import { greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { CHAMELEON_VOCABULARY } from "../support/tiny_singular_families.ts";
import { TINY_PROMPT } from "../support/tiny_model.ts";

const IDS = TINY_PROMPT.slice(0, 9);

Deno.test("the engine never says tokens of Chameleon's images, and computes the others", async () => {
  const of = { architecture: "chameleon", vocabSize: CHAMELEON_VOCABULARY, seed: 3 } as const;
  await withTinyFile(of, async (path) => {
    const expected = new ReferenceModel(openGguf(path)).forward(IDS);
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
