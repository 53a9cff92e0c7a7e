/** How layers of lightning attention are shared out, and what they take. */
import { assert, assertEquals } from "@std/assert";
import { parseGguf } from "../../src/gguf/mod.ts";
import { planModel } from "../../src/llm/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { lightningDecays } from "../../src/model/lightning.ts";
import { lengthOf } from "../../src/rank/plan/shard.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { tinyModel } from "../support/tiny_model.ts";

Deno.test("planRanks() gives ranks heads of lightning attention with their decays, and places", async () => {
  const file = parseGguf(tinyModel({ architecture: "minimax-01" }));
  const model = describeModel(file);
  const options = { threads: 2, parallel: 2 };
  const plans = await planModel({ file, model }, await loadKernelModule(), options);
  const found = plans.map(({ layers }) => layers[1].lightning!);
  assertEquals(found.map(({ heads }) => [heads.start, heads.end]), [[0, 2], [2, 4]]);
  const decays = found.flatMap(({ constants: { values } }) => values.slice(0, 2));
  assertEquals(decays, [...lightningDecays(4, 1, 4)]);
  assertEquals(found.map(({ constants: { values } }) => values.slice(2)), [
    ...[[1, 1, 0, 0], [1, 1, 0, 0]],
  ]);
  // Of heads 2 and 3 queries, then keys, then values; each head has its three parts of 24 rows.
  assertEquals(found[1].input.picked?.ranges, [
    ...[{ start: 144, end: 168 }, { start: 216, end: 240 }],
    ...[{ start: 168, end: 192 }, { start: 240, end: 264 }],
    ...[{ start: 192, end: 216 }, { start: 264, end: 288 }],
  ]);
  for (const { layers, statePlaces } of plans) {
    const kinds = layers.map(({ lightning, query, heads }) => {
      assertEquals(lengthOf(heads) > 0, query !== null);
      return lightning === null ? "heads" : "states";
    });
    assertEquals(kinds, ["states", "states", "heads", "states"]);
    const [first, second] = layers.map(({ lightning }) => lightning!);
    // Nothing but states of 2 heads: 48 channels of 24 numbers.
    assertEquals(first.placeBytes, 4 * 48 * 24);
    const end = first.placesOffsetBytes + statePlaces * first.placeBytes;
    assert(second.placesOffsetBytes >= end);
  }
});
