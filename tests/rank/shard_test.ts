import { assert, assertEquals } from "@std/assert";
import type { ModelConfig } from "../../src/model/types.ts";
import { lengthOf, planShards } from "../../src/rank/plan/shard.ts";
import { assertCovers } from "../support/covers.ts";

const TINYLLAMA = {
  headCount: 32,
  headCountKv: 4,
  headDim: 64,
  valueDim: 64,
  ...{ latent: null, stateSpace: null, experts: null },
  feedForwardLength: 5632,
  vocabSize: 32000,
} as ModelConfig;
const BABYLLAMA = {
  headCount: 8,
  headCountKv: 4,
  headDim: 16,
  valueDim: 16,
  ...{ latent: null, stateSpace: null, experts: null },
  feedForwardLength: 352,
  vocabSize: 105,
} as ModelConfig;

Deno.test("planShards() covers every head, neuron and vocabulary row exactly once", () => {
  for (const config of [TINYLLAMA, BABYLLAMA]) {
    for (let rankCount = 1; rankCount <= 9; rankCount++) {
      const blocks = { attentionOutput: 32, down: 32 };
      const shards = planShards(config, { rankCount, contextLength: 256, blocks });
      assertEquals(shards.length, rankCount);
      for (
        const [part, total] of [
          ["heads", config.headCount],
          ["neurons", config.feedForwardLength],
          ["vocab", config.vocabSize],
        ] as const
      ) {
        let next = 0;
        for (const shard of shards) {
          assertEquals(shard[part].start, next, `${part} of ${rankCount}`);
          next = shard[part].end;
        }
        assertEquals(next, total);
      }
    }
  }
});

Deno.test("planShards() gives each rank the key/value heads that its query heads read", () => {
  const blocks = { attentionOutput: 1, down: 1 };
  for (const shard of planShards(TINYLLAMA, { rankCount: 3, contextLength: 256, blocks })) {
    for (let head = shard.heads.start; head < shard.heads.end; head++) {
      const kv = Math.floor(head / 8);
      assert(kv >= shard.kvHeads.start && kv < shard.kvHeads.end, `head ${head}`);
    }
  }
});

Deno.test("planShards() never cuts a quantisation block of a column-sharded matrix", () => {
  for (const rankCount of [2, 3, 5]) {
    const blocks = { attentionOutput: 32, down: 32 };
    for (const shard of planShards(BABYLLAMA, { rankCount, contextLength: 256, blocks })) {
      assertEquals((shard.heads.start * 16) % 32, 0);
      assertEquals(shard.neurons.start % 32, 0);
    }
  }
});

Deno.test("planShards() shares neurons out evenly in whole superblocks where it can", () => {
  const blocks = { attentionOutput: 32, down: 32 };
  const [a, b] = planShards(TINYLLAMA, { rankCount: 2, contextLength: 256, blocks });
  assertEquals([lengthOf(a.neurons), lengthOf(b.neurons)], [2816, 2816]);
});

for (const [heads, neurons] of [[0, 0], [0.3, 0.3], [1, 0.5], [0.5, 1], [1, 1]]) {
  Deno.test(`planShards() gives a GPU ${heads} of the heads and ${neurons} of the neurons`, () => {
    const blocks = { attentionOutput: 32, down: 32 };
    for (const config of [TINYLLAMA, BABYLLAMA]) {
      for (const rankCount of [2, 3, 5]) {
        const gpu = { heads, neurons: [neurons], hasOutput: heads === 1 };
        const shards = planShards(config, { rankCount, contextLength: 256, blocks, gpu });
        const own = shards[rankCount - 1];
        const near = (range: typeof own.heads, total: number, share: number, unit: number) =>
          assert(Math.abs(lengthOf(range) - total * share) <= unit / 2, `${lengthOf(range)}`);
        near(own.heads, config.headCount, heads, 2);
        near(own.neurons, config.feedForwardLength, neurons, neurons === 1 ? 0 : 32);
        assertEquals(own.neurons.start, 0, "the first ones are the hot ones");
        assertEquals(lengthOf(own.vocab), gpu.hasOutput ? config.vocabSize : 0);
        assertEquals([lengthOf(own.embedding), lengthOf(own.positions)], [0, 0]);
        const order = [own, ...shards.slice(0, -1)];
        assertCovers(order.map((shard) => shard.neurons), config.feedForwardLength);
        assertCovers(shards.map((shard) => shard.heads), config.headCount);
        assertCovers(shards.map((shard) => shard.vocab), config.vocabSize);
        assertCovers(shards.slice(0, -1).map((shard) => shard.embedding), config.vocabSize);
        for (const shard of shards) {
          assertEquals(shard.neurons.start % 32, 0);
          assertEquals((shard.heads.start * config.headDim) % 32, 0);
        }
      }
    }
  });
}

Deno.test("planShards() gives a GPU all experts or none, as it has all neurons or not", () => {
  const blocks = { attentionOutput: 32, down: 32 };
  const experts = { feedForwardLength: 64, sharedFeedForwardLength: 96 };
  const config = { ...BABYLLAMA, experts } as ModelConfig;
  const options = { contextLength: 256, blocks };
  const without = planShards(config, { ...options, rankCount: 2 });
  for (const neurons of [0, 0.5, 1]) {
    const gpu = { heads: 1, neurons: [neurons], hasOutput: true };
    const [own, ...others] = planShards(config, { ...options, rankCount: 3, gpu }).toReversed();
    const partOf = ({ expertNeurons, sharedNeurons, addsExpertBiases }: typeof own) => ({
      experts: expertNeurons.map(lengthOf),
      shared: lengthOf(sharedNeurons),
      addsExpertBiases,
    });
    const nothing = { experts: [0], shared: 0, addsExpertBiases: false };
    const all = { experts: [64], shared: 96, addsExpertBiases: true };
    assertEquals(partOf(own), neurons === 1 ? all : nothing);
    const expected = neurons === 1 ? [nothing, nothing] : without.map(partOf);
    assertEquals(others.toReversed().map(partOf), expected);
  }
});

Deno.test("planShards() gives a GPU without others everything", () => {
  const blocks = { attentionOutput: 32, down: 32 };
  const options = { rankCount: 1, contextLength: 256, blocks };
  const gpu = { heads: 0, neurons: [0], hasOutput: false };
  assertEquals(planShards(TINYLLAMA, { ...options, gpu }), planShards(TINYLLAMA, options));
});

Deno.test("planShards() has every neuron once in steps of any size, on a GPU or a thread", () => {
  const blocks = { attentionOutput: 32, down: 32 };
  const gpu = { heads: 1, neurons: [0.3, 0.5, 0.5, 1], hasOutput: true };
  for (const rankCount of [2, 4]) {
    const shards = planShards(TINYLLAMA, { rankCount, contextLength: 256, blocks, gpu });
    for (
      const [n, share] of [[1, 0.3], [2, 0.5], [7, 0.5], [8, 0.5], [31, 0.5], [32, 1], [99, 1]]
    ) {
      const owned = shards.map(({ neurons, steppedNeurons }) => [
        ...lengthOf(neurons) > 0 ? [neurons] : [],
        ...steppedNeurons.filter(({ tokens }) => n >= tokens.start && n < tokens.end)
          .map((each) => each.neurons),
      ]);
      const count = owned[rankCount - 1].reduce((sum, range) => sum + lengthOf(range), 0);
      assert(Math.abs(count - share * 5632) <= 16, `${count} of a step of ${n} on the GPU`);
      assertCovers(owned.flat().toSorted((a, b) => a.start - b.start), 5632);
    }
  }
});
