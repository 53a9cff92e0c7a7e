/** Biases of scores by distance: buckets, what files of T5's encoder say, and what is refused. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { BIAS_MAX, BIAS_REACH, BIAS_SPAN } from "../../src/memory/bias_layout.ts";
import { bucketOf, describeModel } from "../../src/model/mod.ts";
import { gpuObstacle } from "../../src/rank/gpu/obstacle.ts";
import { biasRows } from "../../src/rank/step/bias_rows.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withMetadata, withoutTensor, withTensor } from "./changed_file.ts";

const T5 = parseGguf(tinyModel({ architecture: "t5encoder" }));
const BUCKETS = "t5encoder.attention.relative_buckets_count";

Deno.test("bucketOf() has near distances apart and far ones together, by direction", () => {
  const before = [0, 1, 7, 8, 11, 12, 15, 16, 22, 23, 31, 32, 63, 64, 90, 91, 127, 128, 9999];
  assertEquals(before.map((distance) => bucketOf(-distance, 32)), [
    ...[0, 1, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12],
    ...[13, 14, 14, 15, 15, 15, 15],
  ]);
  for (const distance of before.slice(1)) {
    assertEquals(bucketOf(distance, 32), bucketOf(-distance, 32) + 16);
  }
  assertEquals([-1, -2, -5, -127, 1].map((distance) => bucketOf(distance, 4)), [1, 1, 1, 1, 3]);
  assertEquals([-63, -64, -127, -128].map((distance) => bucketOf(distance, 256)), [
    63,
    64,
    127,
    127,
  ]);
});

Deno.test("bucketOf() has all buckets before a token that sees nothing behind", () => {
  const before = [0, 1, 15, 16, 19, 20, 31, 32, 63, 64, 107, 108, 127, 128, 9999];
  assertEquals(before.map((distance) => bucketOf(-distance, 32, true)), [
    ...[0, 1, 15, 16, 17, 17, 21, 21, 26, 26, 30, 30, 31, 31, 31],
  ]);
  assertEquals([1, 64].map((distance) => bucketOf(distance, 32, true)), [0, 0]);
});

Deno.test("biasRows() lays a head's biases from the farthest before to the farthest behind", () => {
  const table = Float32Array.from({ length: 2 * 32 }, (_, i) => i);
  const rows = biasRows(table, 32);
  assertEquals(biasRows(table, 32, true)[BIAS_MAX - 40], 2 * bucketOf(-40, 32, true));
  assertEquals(rows.length, 2 * BIAS_SPAN);
  for (const head of [0, 1]) {
    for (const distance of [-BIAS_MAX, -BIAS_REACH, -20, -1, 0, 1, 64, BIAS_MAX]) {
      const at = head * BIAS_SPAN + BIAS_MAX + distance;
      assertEquals(rows[at], 2 * bucketOf(distance, 32) + head, `${head} ${distance}`);
    }
  }
});

Deno.test("describeModel() reads T5's encoder by the names that its files have", () => {
  const { config, tensors } = describeModel(T5);
  assertEquals([config.isEncoder, config.attentionScale, config.ropes.length], [true, 1, 0]);
  assertEquals(config.layers.map(({ rope }) => rope), [null, null]);
  assertEquals(config.scoreBiases?.table, {
    ...{ tensor: "enc.blk.0.attn_rel_b.weight", start: 0, length: 4 * 32 },
  });
  assertEquals(tensors.layers[1].attentionOutput?.tensor, "enc.blk.1.attn_o.weight");
  assertEquals(tensors.layers[1].query?.tensor, "enc.blk.1.attn_q.weight");
  assertEquals(tensors.layers[0].attentionNorm?.weight?.tensor, "enc.blk.0.attn_norm.weight");
  assertEquals(tensors.outputNorm?.weight?.tensor, "enc.output_norm.weight");
});

Deno.test("describeModel() takes T5's neurons for ReLU without gates, and for GELU with some", () => {
  const kind = (architecture: "t5encoder" | "t5encoder-gated") => {
    const { activation, isGated } = describeModel(parseGguf(tinyModel({ architecture }))).config
      .feedForward;
    return [activation, isGated];
  };
  assertEquals(kind("t5encoder"), ["relu", false]);
  assertEquals(kind("t5encoder-gated"), ["gelu", true]);
});

Deno.test("describeModel() refuses T5's encoder without its biases, or with more than are used", () => {
  const refuses = (value: GgufValue | undefined, message: string) =>
    assertThrows(
      () => describeModel(withMetadata(T5, { [BUCKETS]: value })),
      ModelFormatError,
      message,
    );
  for (const value of [undefined, 3, 257, 4.5]) refuses(value, BUCKETS);
  refuses(16, "[16, 4]");
  const table = "enc.blk.0.attn_rel_b.weight";
  assertThrows(() => describeModel(withoutTensor(T5, table)), ModelFormatError, table);
  const { dims } = T5.tensors.get(table)!;
  const two = withTensor(T5, table.replace("0", "1"), { dims, type: "F32" });
  assertThrows(() => describeModel(two), UnsupportedModelError, "enc.blk.1.attn_rel_b.weight");
  const missing = "enc.blk.1.attn_o.weight";
  assertThrows(() => describeModel(withoutTensor(T5, missing)), ModelFormatError, missing);
});

Deno.test("gpuObstacle() leaves biases of scores by distance to the threads", () => {
  const model = describeModel(T5);
  assertEquals(
    gpuObstacle({ file: T5, model }, {}),
    "biases of scores by distance are the threads'",
  );
});
