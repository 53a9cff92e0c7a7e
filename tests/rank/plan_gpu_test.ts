/** What a GPU beside a thread has of models whose layers differ. */
import { assert, assertEquals } from "@std/assert";
import { parseGguf, u32 } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { planRanks } from "../../src/rank/plan/plan.ts";
import type { RankPlan } from "../../src/rank/plan/plan_types.ts";
import { lengthOf } from "../../src/rank/plan/shard.ts";
import { tinyModel } from "../support/tiny_model.ts";

/** Of the thread, and of a GPU with the most frequent neurons of the last layers. */
function planOf(
  architecture: "openelm" | "llama" | "minicpm3",
  share: { neurons: number; layers: number },
) {
  const file = parseGguf(tinyModel({ architecture, blockCount: 3 }));
  const rates = Array.from({ length: 3 }, () => Array.from({ length: 160 }, (_, i) => i));
  const [thread, own] = planRanks(describeModel(file), file.tensors, {
    ...{ rankCount: 2, contextLength: 100, chunkTokens: 4, kvType: "auto" },
    gpu: { ...share, heads: 1, neurons: [share.neurons], hasOutput: true, rates },
    sizes: {
      q8_bytes: () => 1024,
      neurons_scratch_bytes: () => 1024,
      matmul_long_scratch_bytes: () => 1024,
      attention_scratch_bytes: () => 1024,
      choose_scratch_bytes: () => 1024,
    },
  });
  return { thread, own };
}

Deno.test("planRanks() gives a GPU the last layers of models whose layers differ", () => {
  const countsOf = ({ layers }: RankPlan) =>
    layers.map(({ heads, feedForward }) => {
      assert(feedForward?.kind === "dense");
      return [lengthOf(heads), lengthOf(feedForward.up.rows)];
    });
  const { thread, own } = planOf("openelm", { neurons: 1, layers: 1 });
  assertEquals(countsOf(thread), [[2, 64], [3, 96], [0, 0]]);
  assertEquals(countsOf(own), [[0, 0], [0, 0], [6, 160]]);
});

Deno.test("planRanks() leaves neurons in the file's order where layers differ in how many", () => {
  const areInOrder = ({ layers }: RankPlan) =>
    layers.every(({ feedForward }) =>
      feedForward?.kind === "dense" && feedForward.up.picked === null
    );
  assert(areInOrder(planOf("openelm", { neurons: 0.5, layers: 3 }).own));
  assert(!areInOrder(planOf("llama", { neurons: 0.5, layers: 3 }).own));
});

Deno.test("planRanks() counts weights of layers that are used several times once", () => {
  const weightsOf = (loops: number) => {
    const metadata = [["nanbeige.num_loops", u32(loops)] as const];
    const file = parseGguf(tinyModel({ architecture: "nanbeige", metadata }));
    const [own] = planRanks(describeModel(file), file.tensors, {
      ...{ rankCount: 1, contextLength: 100, chunkTokens: 4, kvType: "auto" },
      gpu: { layers: 2 * loops, heads: 1, neurons: [1], hasOutput: true },
      sizes: {
        q8_bytes: () => 1024,
        neurons_scratch_bytes: () => 1024,
        matmul_long_scratch_bytes: () => 1024,
        attention_scratch_bytes: () => 1024,
        choose_scratch_bytes: () => 1024,
      },
    });
    return own.gpu!.weightsBytes;
  };
  // But for the norm that ends passes.
  assertEquals(weightsOf(3) - weightsOf(1), 64 * 4);
});

Deno.test("planRanks() counts a latent once, as the key of one head", () => {
  const { own } = planOf("minicpm3", { neurons: 1, layers: 2 });
  assert(own.layers.slice(1).every(({ heads }) => lengthOf(heads) === 4));
  const places = 128; // of 100 positions, by blocks
  const dims = 64 + 8; // the latent, and what is turned
  const bytes = own.kvType === "f32" ? 4 : 2;
  assertEquals(own.gpu!.kvBytes, 2 * places * dims * bytes);
});

Deno.test("planRanks() counts an encoder's keys and values once, for layers share them", () => {
  const file = parseGguf(tinyModel({ architecture: "bert", blockCount: 3 }));
  const [own] = planRanks(describeModel(file), file.tensors, {
    ...{ rankCount: 1, contextLength: 100, chunkTokens: 4, kvType: "f32" },
    gpu: { layers: 3, heads: 1, neurons: [1], hasOutput: true },
    sizes: {
      q8_bytes: () => 1024,
      neurons_scratch_bytes: () => 1024,
      matmul_long_scratch_bytes: () => 1024,
      attention_scratch_bytes: () => 1024,
      choose_scratch_bytes: () => 1024,
    },
  });
  const places = 128; // of 100 positions, by blocks
  assertEquals(own.gpu!.kvBytes, places * 2 * 64 * 4);
});
