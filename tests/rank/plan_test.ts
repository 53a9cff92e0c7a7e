/** Plans of tiny models, with made-up kernel sizes: what lies where, and what is refused. */
import { assert, assertEquals, assertGreater, assertThrows } from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { parseGguf, u32 } from "../../src/gguf/mod.ts";
import { PAGE_BYTES } from "../../src/memory/arena.ts";
import { describeModel } from "../../src/model/mod.ts";
import { type PlanOptions, planRanks } from "../../src/rank/plan/plan.ts";
import type { DensePlan, LayerPlan, MatrixPlan, RankPlan } from "../../src/rank/plan/plan_types.ts";
import type { KernelSizes } from "../../src/rank/plan/plan_workspace.ts";
import { lengthOf } from "../../src/rank/plan/shard.ts";
import { assertCovers } from "../support/covers.ts";
import { tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";

const SIZES: KernelSizes = {
  q8_bytes: (n, k) => n * k * 2,
  neurons_scratch_bytes: (d) => d * 8,
  matmul_long_scratch_bytes: () => 1024,
  ...{ attention_scratch_bytes: () => 1024, choose_scratch_bytes: () => 1024 },
};

const HALVES = /attn_output|ffn_down/;

/** Room for the embedding table (128 KiB, or half of it), staging and a layer; not for two. */
const ONE_LAYER_BYTES = 480_000;

Deno.test("planRanks() gives each layer its own arena where two do not fit, on all ranks", () => {
  for (const tied of [false, true]) {
    const plans = plan({ blockCount: 4, tied }, { rankCount: 2, arenaBytesMax: ONE_LAYER_BYTES });
    const arenaOf = (each: RankPlan) => each.layers.map((layer) => layer.arena);
    assertGreater(plans[0].arenas.length, 1);
    for (const each of plans) {
      assertEquals(arenaOf(each), arenaOf(plans[0]));
      assertEquals(each.arenas.length, plans[0].arenas.length);
      assertEquals(each.workspaces.length, each.arenas.length);
      assertEquals(each.outputArena, tied ? 0 : each.arenas.length - 1);
      assertSoundArenas(each, ONE_LAYER_BYTES);
    }
  }
});

Deno.test("planRanks() lays a tied output and its norm beside the embedding table", () => {
  const [one] = plan({ blockCount: 4, tied: true }, { arenaBytesMax: ONE_LAYER_BYTES });
  assertGreater(one.arenas.length, 1);
  assertEquals(one.output, one.embedding);
  const arenasWith = (name: string) =>
    one.arenas.flatMap((arena, index) => arena.regions.some((r) => r.name === name) ? [index] : []);
  assertEquals(arenasWith("token_embd.weight"), [0]);
  assertEquals(arenasWith("output_norm.weight"), [0]);
  const norm = one.arenas[0].regions.find(({ name }) => name === "output_norm.weight");
  assertEquals(norm?.offsetBytes, one.outputNorm?.weight?.offsetBytes);
});

Deno.test("planRanks() leaves ranks without heads or neurons where there are too few", () => {
  // Q8_0 cuts at 32 columns: two pairs of heads, three blocks of neurons, for five ranks.
  const plans = plan({ type: "Q8_0" }, { rankCount: 5 });
  assert(plans.some(({ shard }) => lengthOf(shard.heads) === 0));
  assert(plans.some(({ shard }) => lengthOf(shard.neurons) === 0));
  for (const each of plans) {
    assertSoundArenas(each, PAGE_BYTES * 65536);
    const [layer] = each.layers;
    const { heads, kvHeads, neurons } = each.shard;
    if (lengthOf(heads) === 0) assertEquals(lengthOf(kvHeads), 0);
    assertEquals(lengthOf(layer.query!.rows), lengthOf(heads) * 16);
    assertEquals(lengthOf(downOf(layer).columns), lengthOf(neurons));
  }
  const layers = plans.map((each) => each.layers[0]);
  assertCovers(layers.map((layer) => layer.query!.rows), 64);
  assertCovers(layers.map((layer) => layer.attentionOutput!.columns), 64);
  assertCovers(layers.map((layer) => downOf(layer).columns), 96);
  assertCovers(plans.map((each) => each.embedding.rows), 512);
});

Deno.test("planRanks() gives layers that convolve rings and ends of blocks, and own channels", () => {
  // Layer 2 attends; 64 channels are cut as 4 heads of 16.
  const options = { rankCount: 2, chunkTokens: 8, contextLength: 100, sequences: 3 };
  const plans = plan({ architecture: "lfm2" }, options);
  for (const { layers, arenas: [{ regions }] } of plans) {
    const [convolving, , attending] = layers;
    const bytesOf = (name: string) => regions.find((each) => each.name === name)?.sizeBytes;
    // Of 3 sequences 8 + 2 rows; of 3 times 4 blocks 2 rows; 32 channels.
    assertEquals(bytesOf("blk.0.keys"), 3 * 10 * 32 * 4);
    assertEquals(bytesOf("blk.0.values"), 12 * 2 * 32 * 4);
    assertEquals(bytesOf("blk.2.keys"), 12 * 32 * 16 * 4);
    assertEquals(convolving.kvHeads, convolving.heads);
    assertEquals([lengthOf(attending.heads), lengthOf(attending.kvHeads)], [2, 1]);
    assertEquals(attending.convolution, null);
  }
  const own = plans.map(({ layers: [{ convolution, query, key, value }] }) => ({
    taps: convolution!.weights.range,
    rows: [key, query, value].map((matrix) => matrix!.rows),
  }));
  assertCovers(own.map(({ taps }) => taps), 64 * 3);
  // One tensor has all three.
  own.forEach(({ rows }, rank) => {
    const start = 32 * rank;
    assertEquals(rows, [0, 64, 128].map((at) => ({ start: at + start, end: at + start + 32 })));
  });
});

Deno.test("planRanks() gives layers that differ heads, keys and neurons of their own", () => {
  // Layers 2 and 5 have wide heads; the last three read keys of layers 1 and 2.
  const options = { rankCount: 2, chunkTokens: 8, contextLength: 64 };
  const plans = plan({ architecture: "gemma4" }, options);
  for (const { layers, arenas: [{ regions }] } of plans) {
    const bytesOf = (name: string) => regions.find((each) => each.name === name)?.sizeBytes;
    assertEquals(bytesOf("blk.1.keys"), 2 * 32 * 16 * 4);
    assertEquals(bytesOf("blk.2.keys"), 2 * 32 * 32 * 4);
    assertEquals([bytesOf("blk.4.keys") ?? 0, bytesOf("blk.5.values") ?? 0], [0, 0]);
    assertEquals(layers.map(({ keysOf }) => keysOf), [null, null, null, 1, 1, 2]);
    assertEquals(layers[4].key, null);
    assertEquals(layers.map(({ query }) => lengthOf(query!.rows)), [32, 32, 64, 32, 32, 64]);
  }
  for (const [layer, neurons] of [[0, 96], [5, 192]]) {
    const own = plans.map(({ layers }) => layers[layer].feedForward as DensePlan);
    assertCovers(own.map(({ up }) => up.rows), neurons);
  }
});

Deno.test("planRanks() lays down by columns where gates are cut off, and shares out ends", () => {
  const plans = plan({ architecture: "gemma3n", type: "Q8_0" }, { rankCount: 2 });
  for (const { layers } of plans) {
    const downs = layers.map((layer) => downOf(layer).layout);
    assertEquals(downs, ["columns", "columns", "rows", "columns", "rows", "rows"]);
  }
  const [dense] = plan({ architecture: "gemma3n", type: "Q8_0" }, { isSparse: false });
  assertEquals(dense.layers.map((layer) => downOf(layer).layout), Array(6).fill("rows"));
  for (const part of ["starts", "ends"] as const) {
    const own = plans.map(({ altUp }) => altUp![part]);
    own[0].forEach((_, stream) => {
      const rows = own.map((each) => each[stream].rows);
      assertEquals(
        rows,
        [0, 32].map((at) => (
          { start: 64 * stream + at, end: 64 * stream + at + 32 }
        )),
      );
    });
  }
});

Deno.test("planRanks() leaves the table of what tokens give layers in the file, cut by layers", () => {
  // Rows of 6 · 32 weights are 6 blocks of Q8_0, of 34 bytes.
  const plans = plan({ architecture: "gemma4", type: "Q8_0" }, { rankCount: 3 });
  for (const { arenas } of plans) {
    const names = arenas.flatMap(({ regions }) => regions.map(({ name }) => name));
    assertEquals(names.includes("per_layer_token_embd.weight"), false);
    assertEquals(names.includes("per_layer_model_proj.weight"), true);
  }
  const inputs = plans.map(({ tokenInputs }) => tokenInputs!);
  assertCovers(inputs.map(({ layers }) => layers), 6);
  assertEquals(inputs.map(({ table }) => table.rowBytes), [204, 204, 204]);
  assertEquals(inputs.map(({ table }) => table.startBytes), [0, 68, 136]);
  // A layer's input is one block: one rank has all of what is multiplied with it.
  assertEquals(inputs.map(({ numbers }) => lengthOf(numbers)).toSorted(), [0, 0, 32]);
});

Deno.test("planRanks() cuts columns at the coarsest blocks of all layers", () => {
  for (const halfLayer of [0, 1]) {
    const typeOf = (name: string) =>
      name.startsWith(`blk.${halfLayer}.`) && HALVES.test(name) ? "F16" : undefined;
    for (const each of plan({ type: "Q8_0", typeOf }, { rankCount: 3 })) {
      for (const layer of each.layers) {
        for (const { start, end } of [layer.attentionOutput!.columns, downOf(layer).columns]) {
          assertEquals([start % 32, end % 32], [0, 0]);
        }
      }
    }
  }
});

Deno.test("planRanks() caches f32 only where every layer's keys come from F32 matrices", () => {
  const kvTypeOf = (options: TinyModelOptions, kvType: PlanOptions["kvType"] = "auto") =>
    plan(options, { kvType })[0].kvType;
  const half = (layer: number) => ({
    typeOf: (name: string) => name === `blk.${layer}.attn_k.weight` ? "F16" as const : undefined,
  });
  assertEquals(kvTypeOf({}), "f32");
  assertEquals(kvTypeOf({ type: "Q8_0" }), "i16");
  assertEquals([kvTypeOf(half(0)), kvTypeOf(half(1))], ["i16", "i16"]);
  assertEquals([kvTypeOf({}, "i16"), kvTypeOf({ type: "Q8_0" }, "f32")], ["i16", "f32"]);
});

Deno.test("planRanks() says what does not fit into an arena", () => {
  const refuse = (what: string, options: Partial<PlanOptions>, model: TinyModelOptions = {}) =>
    assertThrows(() => plan(model, options), UnsupportedModelError, `Cannot place ${what}:`);
  for (const rankCount of [1, 2]) {
    for (const tied of [false, true]) {
      refuse("the embedding table", { rankCount, arenaBytesMax: 200_000 }, { tied });
    }
    refuse("layer 0", { rankCount, contextLength: 2 ** 31 - 1 });
  }
  // An output of 1 MiB beside 512 KiB of staging, after an embedding table that is small.
  const output = (name: string) => name === "output.weight" ? "F32" as const : undefined;
  const model: TinyModelOptions = { type: "Q4_0", vocabSize: 4096, typeOf: output };
  refuse("the output projection", { arenaBytesMax: 1_500_000 }, model);
  assertEquals(plan(model, { arenaBytesMax: 1_900_000 })[0].arenas.length, 2);
});

Deno.test("planRanks() refuses heads whose size attention has no kernel for", () => {
  const heads = (size: number) =>
    plan({
      embeddingLength: 4 * size,
      metadata: [["llama.attention.key_length", u32(size)]],
    }, {});
  assertThrows(() => heads(6), UnsupportedModelError, "heads have 6 dimensions");
  assertThrows(() => heads(2), UnsupportedModelError, "a multiple of 4");
  assertEquals(heads(12).length, 1);
});

Deno.test("planRanks() takes rows of fused tensors where the part begins", () => {
  // Queries [64], keys [32], values [32] in one tensor; gates [96], then ups [96] in another.
  const layers = plan({ architecture: "chatglm" }, { rankCount: 2 }).map(({ layers }) => layers[0]);
  const rowsOf = (of: (layer: LayerPlan) => MatrixPlan) => layers.map((layer) => of(layer).rows);
  assertEquals(rowsOf(({ query }) => query!), [{ start: 0, end: 32 }, { start: 32, end: 64 }]);
  assertEquals(rowsOf(({ key }) => key!), [{ start: 64, end: 80 }, { start: 80, end: 96 }]);
  assertEquals(rowsOf(({ value }) => value!), [{ start: 96, end: 112 }, { start: 112, end: 128 }]);
  const up = rowsOf(({ feedForward }) => (assert(feedForward?.kind === "dense"), feedForward.up));
  assertEquals(up, [{ start: 96, end: 144 }, { start: 144, end: 192 }]);
  assertEquals(layers[1].key!.bias?.range, { start: 80, end: 96 });
});

Deno.test("planRanks() lets the first rank alone add what is added to a sum over ranks", () => {
  for (const { rankIndex, layers } of plan({ architecture: "starcoder2" }, { rankCount: 3 })) {
    for (const matrix of [layers[0].attentionOutput!, downOf(layers[0])]) {
      assertEquals(matrix.bias !== null, rankIndex === 0);
    }
    assert(layers[0].query!.bias !== null);
  }
});

Deno.test("planRanks() gives every rank some neurons of the experts, in turns, and all routers", () => {
  // Experts of 32 neurons in Q8_0 are one block each: for one rank of three, another one each time.
  const model: TinyModelOptions = { architecture: "qwen3moe", type: "Q8_0" };
  const plans = plan(model, { rankCount: 3 });
  const owners = plans.map(({ layers: [{ feedForward }] }) => {
    assert(feedForward?.kind === "experts");
    assertEquals(feedForward.router.rows, { start: 0, end: 8 });
    assertEquals(feedForward.router.type, "F32");
    return feedForward.experts.map((expert) => {
      assert(expert.kind === "dense");
      const { up, down } = expert;
      assertEquals(lengthOf(up.rows), lengthOf(down.columns));
      return lengthOf(up.rows);
    });
  });
  for (let expert = 0; expert < 8; expert++) {
    assertEquals(owners.map((of) => of[expert]).sort(), [0, 0, 32], `expert ${expert}`);
  }
  assert(owners.every((of) => of.includes(32)), "every rank has one");
});

Deno.test("planRanks() keeps down by columns where neurons can be silent and its type allows", () => {
  const downs = (model: TinyModelOptions, options: Partial<PlanOptions> = {}) =>
    plan(model, { rankCount: 2, ...options }).flatMap(({ layers }) => layers.map(downOf));
  const bamboo = { architecture: "bamboo", type: "Q4_0" } as const;
  for (const down of downs(bamboo)) {
    assertEquals(down.layout, "columns");
    assertEquals(down.rowStrideBytes, lengthOf(down.columns) / 32 * 18, "the bytes of the file");
  }
  const byRows = [
    downs(bamboo, { isSparse: false }),
    downs({ ...bamboo, architecture: "llama" }),
    downs({ ...bamboo, embeddingLength: 96 }), // no multiple of 64 rows
  ];
  assertEquals(byRows.flat().filter((down) => down.layout !== "rows"), []);
});

Deno.test("planRanks() keeps what a predictor reads behind ReLU by columns, where it can be", () => {
  const layoutsOf = (fc2: "Q4_0" | "F16", feedForwardLength: number) =>
    plan({
      ...{ architecture: "bamboo", type: "Q8_0", predictor: { rank: 32 }, feedForwardLength },
      typeOf: (name) => /fc2/.test(name) ? fc2 : undefined,
    }, { rankCount: 2 }).flatMap(({ layers }) =>
      layers.map(({ feedForward }) => {
        assert(feedForward?.kind === "dense" && feedForward.predictor !== null);
        return [feedForward.predictor.first.layout, feedForward.predictor.second.layout];
      })
    );
  assertEquals([...new Set(layoutsOf("Q4_0", 256).flat())], ["rows", "columns"]);
  const byRows = [layoutsOf("F16", 256), layoutsOf("Q4_0", 192)]; // 96 neurons a rank
  assertEquals([...new Set(byRows.flat(2))], ["rows"]);
});

Deno.test("planRanks() keeps down of floats neuron by neuron where neurons can be silent", () => {
  const bamboo = { architecture: "bamboo", type: "F16" } as const;
  for (const isSparse of [true, false]) {
    for (const { layers, workspaces } of plan(bamboo, { rankCount: 2, isSparse })) {
      for (const down of layers.map(downOf)) {
        assertEquals([down.layout, down.isTransposed], ["neurons", false]);
        assertEquals(down.rowStrideBytes, 64 * 2, "a neuron's 64 weights");
        assertEquals(down.scratchOffsetBytes, workspaces[0].neuronScratch);
      }
    }
  }
  const [silu] = plan({ architecture: "llama", type: "F16" }, {});
  assertEquals(silu.layers.map((layer) => downOf(layer).layout), ["rows", "rows"]);
});

Deno.test("planRanks() gives each rank rows of a down that is stored neuron by neuron", () => {
  const file = parseGguf(tinyModel({ architecture: "bamboo", type: "Q4_0", embeddingLength: 96 }));
  const model = describeModel(file);
  const layers = model.tensors.layers.map((layer) => {
    assert(layer.feedForward?.kind === "dense");
    const { down } = layer.feedForward;
    const stored = { ...down, rows: down.columns, columns: down.rows };
    return {
      ...layer,
      feedForward: { ...layer.feedForward, down: stored, isDownTransposed: true },
    };
  });
  const options = {
    rankCount: 5,
    contextLength: 100,
    chunkTokens: 4,
    kvType: "auto",
    sizes: SIZES,
  };
  const plans = planRanks(
    { ...model, tensors: { ...model.tensors, layers } },
    file.tensors,
    options as PlanOptions,
  );
  assertCovers(plans.map(({ shard }) => shard.neurons), 96);
  for (const { layers, shard } of plans) {
    const down = downOf(layers[0]);
    assertEquals([down.layout, down.isTransposed], ["neurons", true]);
    assertEquals(down.columns, shard.neurons);
    assertEquals(down.rows, { start: 0, end: 96 });
    assertEquals(down.rowStrideBytes, 144, "a superblock of 256 weights");
    assert(lengthOf(shard.neurons) >= 19, "neurons are shared out one by one");
  }
});

Deno.test("planRanks() stages at least the rows that are packed by columns at a time", () => {
  const model = { architecture: "bamboo", type: "Q8_0", feedForwardLength: 16384 } as const;
  for (const { stagingBytes } of plan({ ...model, blockCount: 1 }, { rankCount: 2 })) {
    assertEquals(stagingBytes, 64 * 16384 / 32 * 34);
  }
});

Deno.test("planRanks() shares learned positions out up to the context", () => {
  const plans = plan({ architecture: "gpt2", contextLength: 128 }, {
    contextLength: 100,
    rankCount: 3,
  });
  assertCovers(plans.map(({ positions }) => positions!.rows), 100);
});

Deno.test("planRanks() gives the rank that leads room for whole rows of logits and as many ids", () => {
  const plans = plan({ vocabSize: 512 }, { rankCount: 3, chunkTokens: 4 });
  const floatsOf = ({ workspaces, outputArena }: RankPlan, name: string) =>
    workspaces[outputArena].intermediates.places.find((place) => place.name === name)!
      .sizeBytes / 4;
  const own = plans.map(({ shard }) => lengthOf(shard.vocab));
  assertEquals(plans.map(({ strides }) => strides.logits), [512, own[1], own[2]]);
  assertEquals(plans.map((each) => floatsOf(each, "logits")), [4 * 512, 4 * own[1], 4 * own[2]]);
  assertEquals(plans.map((each) => floatsOf(each, "candidates")), [512, 0, 0]);
});

function plan(model: TinyModelOptions, options: Partial<PlanOptions>): RankPlan[] {
  const file = parseGguf(tinyModel(model));
  return planRanks(describeModel(file), file.tensors, {
    rankCount: 1,
    contextLength: 100,
    chunkTokens: 4,
    kvType: "auto",
    sizes: SIZES,
    ...options,
  });
}

/** The down projection of a dense layer. */
function downOf(layer: LayerPlan): MatrixPlan {
  assert(layer.feedForward?.kind === "dense");
  return layer.feedForward.down;
}

/** Regions are aligned, do not overlap, and end within the arena. */
function assertSoundArenas(of: RankPlan, arenaBytesMax: number): void {
  for (const { regions, pageCount } of of.arenas) {
    let endBytes = 1;
    for (const { name, offsetBytes, sizeBytes } of regions) {
      assert(offsetBytes >= endBytes, `${name} begins behind the region before it`);
      assertEquals(offsetBytes % 64, 0, name);
      endBytes = offsetBytes + sizeBytes;
    }
    assert(endBytes <= arenaBytesMax, `${endBytes} bytes of ${arenaBytesMax}`);
    assert(endBytes <= pageCount * PAGE_BYTES);
  }
}
