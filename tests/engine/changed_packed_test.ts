/** Packed files that become others while they are in use. */
import "../support/thread_pool.ts";
import { assertEquals, assertRejects, assertStrictEquals, assertStringIncludes } from "@std/assert";
import { setTimeout as delay } from "node:timers/promises";
import { greedyIds, withModel } from "../support/loaded_model.ts";
import { FEW_SLOTS, READERS, withPacked } from "../support/packed_model.ts";

// fault 23
for (
  const [how, tiny, way] of [
    ["", {}, {}],
    [" whose gates are read first", { predictor: { rank: 8 } }, {
      hasResidentGates: false,
      readsGatesFirst: true,
      slotCount: 160,
    }],
    [" of experts that stay", { architecture: "gpt-oss", type: "Q8_0", embeddingLength: 64 }, {
      hasResidentGates: false,
      slotCount: 0,
      stagePlaces: 4,
    }],
  ] as const
) {
  Deno.test(`a packed file${how} that changes under the model ends requests, not the engine`, () =>
    withPacked(
      { architecture: "bamboo", type: "F16", embeddingLength: 320, blockCount: 4, ...tiny },
      async (_, packed) => {
        const options = { threads: 2, streaming: { ...FEW_SLOTS, ...way }, ...READERS };
        await withModel(packed, { ...options, predictor: "on" }, async (model) => {
          assertEquals((await greedyIds(model, [1, 2, 3, 4, 5], 4)).length, 4);
          const bytes = await Deno.readFile(packed);
          await Deno.writeFile(packed, bytes);
          await Deno.utime(packed, new Date(), new Date(2000, 1, 1));
          await delay(1_100); // it is looked at once a second
          for (let attempt = 0; attempt < 2; attempt++) {
            const ids = [7, 8, 9 + attempt];
            const error = await assertRejects(() => greedyIds(model, ids, 4), Error);
            assertStringIncludes(error.message, "changed while it was in use");
            assertStrictEquals(model.failure, error);
          }
        });
      },
    ));
}
