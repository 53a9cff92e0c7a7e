/** A quick slice of `deno task bench:schemas`, which has a thousand. */
import { assert, assertEquals } from "@std/assert";
import { BUILT_IN_MODEL_PATH } from "../../src/llm/mod.ts";
import { answerSchemas } from "../bench/random_schemas.ts";
import { withModel } from "../support/loaded_model.ts";
import "../support/thread_pool.ts";

Deno.test("answers by random schemas are accepted by ajv and end within their tokens", async () => {
  await withModel(BUILT_IN_MODEL_PATH, { threads: 2, parallel: 4 }, async (model) => {
    const run = { count: 30, seed: 11, atOnce: 4, maxTokens: 40 };
    const report = await answerSchemas(model, run);
    assertEquals(report.failures, []);
    assertEquals(report.valid, 30);
    assert(report.full > 3, `only ${report.full} answers needed all of their tokens`);
  });
});
