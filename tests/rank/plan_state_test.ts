/** Who has which heads of states, and which groups they read. */
import { assert, assertEquals } from "@std/assert";
import { parseGguf } from "../../src/gguf/mod.ts";
import { planModel } from "../../src/llm/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { groupsOf } from "../../src/rank/plan/plan_state.ts";
import { lengthOf } from "../../src/rank/plan/shard.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import type { TinyFamilyName } from "../support/tiny_families.ts";
import { tinyModel } from "../support/tiny_model.ts";

async function plans(architecture: TinyFamilyName, threads: number, type: "F32" | "Q8_0" = "F32") {
  const file = parseGguf(tinyModel({ architecture, type }));
  const model = describeModel(file);
  return planModel({ file, model }, await loadKernelModule(), { threads, parallel: 2 });
}

async function headsOf(architecture: TinyFamilyName, threads: number, type?: "F32" | "Q8_0") {
  const all = await plans(architecture, threads, type);
  return all.map(({ layers }) => {
    const { start, end } = layers[0].stateSpace!.heads;
    return `${start}-${end}`;
  });
}

Deno.test("planRanks() cuts states between heads, as finely as blocks and kernels allow", async () => {
  // 8 heads of 16 channels in 2 groups; 6 in 2, of which Q8_0's blocks hold two each.
  assertEquals(await headsOf("mamba2", 2), ["0-4", "4-8"]);
  assertEquals(await headsOf("mamba2", 3), ["0-3", "3-5", "5-8"]);
  assertEquals(await headsOf("falcon-h1", 3, "Q8_0"), ["0-2", "2-4", "4-6"]);
  assertEquals(await headsOf("falcon-h1", 5, "Q8_0"), ["0-2", "2-2", "2-4", "4-4", "4-6"]);
  // Channels by 16, or a block of 32; and heads that take turns by whole groups.
  assertEquals(await headsOf("mamba", 3), ["0-48", "48-80", "80-128"]);
  assertEquals(await headsOf("mamba", 3, "Q8_0"), ["0-32", "32-96", "96-128"]);
  assertEquals(await headsOf("qwen35", 3), ["0-3", "3-3", "3-6"]);
});

Deno.test("groupsOf() gives neighbours the group that a cut goes through", () => {
  const { config } = describeModel(parseGguf(tinyModel({ architecture: "mamba2" })));
  const groups = (start: number, end: number) => groupsOf({ start, end }, config.stateSpace!);
  assertEquals(groups(0, 3), { start: 0, end: 1 });
  assertEquals(groups(3, 5), { start: 0, end: 2 });
  assertEquals(groups(4, 8), { start: 1, end: 2 });
  assertEquals(lengthOf(groups(5, 5)), 0);
});

Deno.test("planRanks() has places of states in layers that keep some, and heads in the others", async () => {
  for (const { layers, statePlaces } of await plans("granitehybrid", 2)) {
    assertEquals(statePlaces, 10, "four of each sequence, and two");
    const kinds = layers.map(({ stateSpace, query, heads }) => {
      assertEquals(stateSpace === null, query !== null);
      assertEquals(lengthOf(heads) > 0, query !== null);
      return stateSpace === null ? "heads" : "states";
    });
    assertEquals(kinds, ["states", "heads", "states", "states"]);
    const own = layers[0].stateSpace!;
    // 2 heads of 32 channels, one group of 32: rows of the convolution, then states.
    assertEquals(own.placeBytes, 4 * (3 * (64 + 2 * 32) + 64 * 32));
    assert(layers[2].stateSpace!.placesOffsetBytes >= own.placesOffsetBytes + 10 * own.placeBytes);
  }
});
