/** Models that answer a source: what files say, and what is refused. */
import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { unitObstacle } from "../../src/bundle/units.ts";
import { type GgufFile, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel, positionsAhead } from "../../src/model/mod.ts";
import { gpuObstacle } from "../../src/rank/gpu/obstacle.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withMetadata, withoutTensor, withTensor } from "./changed_file.ts";

const T5 = parseGguf(tinyModel({ architecture: "t5" }));
const GATED = parseGguf(tinyModel({ architecture: "t5-gated" }));
const BLOCKS = "t5.decoder_block_count";
const START = "t5.decoder_start_token_id";

function refused(
  file: GgufFile,
  kind: typeof ModelFormatError | typeof UnsupportedModelError,
  message: string,
): void {
  const error = assertThrows(() => describeModel(file), Error, message);
  assertInstanceOf(error, kind as typeof Error);
}

Deno.test("describeModel() walks T5's reading blocks, and each writing one as two layers", () => {
  const { config, tensors } = describeModel(T5);
  const { layers, source, blockCount } = config;
  assertEquals([blockCount, source], [7, { readingLayers: 3, startId: 0 }]);
  assertEquals(layers.map(({ stage }) => stage), [
    ...["reads", "reads", "reads"] as const,
    ...["writes", "asks", "writes", "asks"] as const,
  ]);
  assertEquals(layers.map(({ hasNeurons }) => hasNeurons !== false), [
    ...[true, true, true, false, true, false, true],
  ]);
  const seesAll = layers.map((_, index) => positionsAhead(config, index) > 0);
  assertEquals(seesAll, [true, true, true, false, true, false, true]);
  const ends = tensors.layers.map(({ endNorm }) => endNorm?.weight?.tensor);
  assertEquals(ends, [...Array(2), "enc.output_norm.weight", ...Array(4)]);
  assertEquals(tensors.outputNorm?.weight?.tensor, "dec.output_norm.weight");
});

Deno.test("describeModel() finds T5's tensors by the names that its files have", () => {
  const { tensors: { layers }, config: { scoreBiases } } = describeModel(GATED);
  assertEquals(layers[1].attentionOutput?.tensor, "enc.blk.1.attn_o.weight");
  const { query, key, attentionOutput, attentionNorm, feedForward } = layers[4];
  assertEquals([query, key, attentionOutput].map((each) => each?.tensor), [
    ...["dec.blk.1.attn_q.weight", "dec.blk.1.attn_k.weight", "dec.blk.1.attn_o.weight"],
  ]);
  assertEquals(attentionNorm?.weight?.tensor, "dec.blk.1.attn_norm.weight");
  assertEquals(feedForward, null);
  const asking = layers[5];
  assertEquals(
    [asking.query, asking.value, asking.attentionOutput, asking.feedForward].map((each) =>
      each && ("tensor" in each ? each.tensor : each.kind === "dense" && each.gate?.tensor)
    ),
    [
      ...["dec.blk.1.cross_attn_q.weight", "dec.blk.1.cross_attn_v.weight"],
      ...["dec.blk.1.cross_attn_o.weight", "dec.blk.1.ffn_gate.weight"],
    ],
  );
  assertEquals(asking.attentionNorm?.weight?.tensor, "dec.blk.1.cross_attn_norm.weight");
  assertEquals(asking.feedForwardNorm?.weight?.tensor, "dec.blk.1.ffn_norm.weight");
  assertEquals(scoreBiases?.written?.tensor, "dec.blk.0.attn_rel_b.weight");
});

Deno.test("describeModel() takes what T5's file leaves out: as many blocks, padding to begin", () => {
  const bare = withMetadata(GATED, { [BLOCKS]: undefined, [START]: undefined });
  assertEquals(describeModel(bare).config.layers.length, 2 + 2 * 2);
  const padded = withMetadata(bare, { "tokenizer.ggml.padding_token_id": 7 });
  assertEquals(describeModel(padded).config.source?.startId, 7);
});

Deno.test("describeModel() refuses T5's counts, ids and biases that cannot be", () => {
  refused(withMetadata(T5, { [BLOCKS]: 0 }), ModelFormatError, BLOCKS);
  refused(withMetadata(T5, { [BLOCKS]: 2 ** 31 }), ModelFormatError, BLOCKS);
  refused(withMetadata(T5, { [BLOCKS]: 3 }), ModelFormatError, "dec.blk.2.attn_norm.weight");
  refused(withMetadata(T5, { [BLOCKS]: 1 }), UnsupportedModelError, "dec.blk.1.");
  refused(withMetadata(T5, { [START]: 512 }), ModelFormatError, START);
  const table = "dec.blk.0.attn_rel_b.weight";
  refused(withoutTensor(T5, table), ModelFormatError, table);
  refused(withTensor(T5, table, { dims: [4, 31] }), ModelFormatError, table);
  const second = new Map(T5.tensors).set("dec.blk.1.attn_rel_b.weight", {
    ...{ ...T5.tensors.get(table)!, name: "dec.blk.1.attn_rel_b.weight" },
  });
  refused({ ...T5, tensors: second }, UnsupportedModelError, "dec.blk.1.attn_rel_b.weight");
  // Which no program reads, and newer files do not have.
  describeModel(withoutTensor(T5, "dec.blk.0.cross_attn_rel_b.weight"));
});

Deno.test("no packed file and no GPU has a model that answers a source", () => {
  const model = describeModel(T5);
  assertEquals(unitObstacle(model)?.includes("reads a source at once"), true);
  assertEquals(
    gpuObstacle({ file: T5, model }, {}),
    "biases of scores by distance are the threads'",
  );
});
