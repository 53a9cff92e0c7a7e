/** Models that fit into memory, or do not, where nobody says what is to be streamed. */
import "../support/thread_pool.ts";
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { loadModel } from "../../src/llm/mod.ts";
import { greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { withPacked } from "../support/packed_model.ts";
import { randomIds } from "../support/rng.ts";

const IDS = randomIds(21, { end: 256, seed: 8 });

Deno.test("a packed model that fits is loaded as a whole when nobody says how", () =>
  withPacked({ architecture: "bamboo", type: "Q4_0", blockCount: 2 }, async (path, packed) => {
    const answers: number[][] = [];
    for (const file of [path, packed]) {
      await withModel(file, { threads: 1 }, async (model) => {
        answers.push(await greedyIds(model, IDS, 4));
        assertEquals(model.memory.slotBytes, 0);
      });
    }
    assertEquals(answers[1], answers[0]);
  }));

Deno.test("loadModel() refuses a plain file that needs more than its budget, and says how to go on", () =>
  withTinyFile({ architecture: "bamboo", type: "Q4_0" }, async (path) => {
    const error = await assertRejects(
      () => loadModel(path, { threads: 1, memoryBytes: 100 * 2 ** 20 }),
      UnsupportedModelError,
    );
    assertStringIncludes(error.message, "ganglion pack");
    await withModel(path, { threads: 1, memoryBytes: 400 * 2 ** 20 }, async (model) => {
      assertEquals((await greedyIds(model, IDS, 2)).length, 2);
    });
  }));
