/** A packed model whose file is cut, replaced or deleted while tokens are read from it. */
import "../support/thread_pool.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import { setTimeout as delay } from "node:timers/promises";
import { RequestError } from "../../src/base/errors.ts";
import type { LoadedModel } from "../../src/llm/mod.ts";
import { greedyIds, withModel } from "../support/loaded_model.ts";
import { FEW_SLOTS, withPacked } from "../support/packed_model.ts";

const TINY = { architecture: "bamboo", type: "F16", embeddingLength: 320, blockCount: 4 } as const;
const IDS = [5, 6, 7, 8];

/** Loads a packed model that reads most of its neurons for every token. */
function withStreamed(use: (model: LoadedModel, path: string) => Promise<void>): Promise<void> {
  return withPacked(TINY, async (_, path) => {
    const options = { threads: 2, streaming: FEW_SLOTS, ioWorkers: 2 };
    await withModel(path, options, (model) => use(model, path));
  });
}

// fault 23: truncated while loaded.
Deno.test("a packed file that is cut under the model ends requests, not the engine", () =>
  withStreamed(async (model, path) => {
    assertEquals((await greedyIds(model, IDS, 4)).length, 4);
    await Deno.truncate(path, 20_000);
    await delay(1_100); // it is looked at once a second
    const asks = [
      () => model.negativeLogLikelihood([1, 9, 10], 1),
      () => greedyIds(model, [2, 9, 10], 4),
    ];
    for (const ask of asks) {
      const error = await assertRejects<RequestError>(ask, RequestError);
      assertStringIncludes(error.message, "changed while it was in use");
      assertEquals([error.status, error.code], [503, "model_changed"]);
      assert(!error.message.includes(path.slice(0, path.lastIndexOf("/"))), error.message);
      // Who keeps it loads it again.
      assertStrictEquals(model.failure, error);
      assertEquals(error.retryAfterSeconds, 1);
    }
  }));

// fault 23, fault 37: deleted or replaced while it is served.
Deno.test("a packed file that is deleted or replaced under the model goes on answering", () =>
  withStreamed(async (model, path) => {
    const before = await greedyIds(model, IDS, 12);
    await Deno.rename(path, `${path}.old`);
    await Deno.writeFile(path, new Uint8Array(10));
    await delay(1_100);
    assertEquals(await greedyIds(model, [1, 2, 3], 4).then((ids) => ids.length), 4);
    await Deno.remove(`${path}.old`);
    assertEquals(await greedyIds(model, [3, 2, 1], 4).then((ids) => ids.length), 4);
    assertEquals(await greedyIds(model, IDS, 12), before);
  }));
