/** What a model that answers a source keeps: numbers only. */
import { assertEquals } from "@std/assert";
import { parseGguf } from "../../src/gguf/mod.ts";
import { BIAS_SPAN } from "../../src/memory/bias_layout.ts";
import { describeModel } from "../../src/model/mod.ts";
import { planRanks } from "../../src/rank/plan/plan.ts";
import { slopesBytes } from "../../src/rank/plan/plan_slopes.ts";
import { tinyModel } from "../support/tiny_model.ts";

const SIZES = {
  q8_bytes: (n: number, k: number) => n * k * 2,
  ...{ neurons_scratch_bytes: () => 1024, matmul_long_scratch_bytes: () => 1024 },
  ...{ attention_scratch_bytes: () => 1024, choose_scratch_bytes: () => 1024 },
};
const T5 = parseGguf(tinyModel({ architecture: "t5" }));

Deno.test("planRanks() has one cache for all layers that read a source, and one for each other", () => {
  const model = describeModel(T5);
  const options = { contextLength: 64, chunkTokens: 64, kvType: "auto", sizes: SIZES } as const;
  for (const { layers } of planRanks(model, T5.tensors, { rankCount: 2, ...options })) {
    const [first, ...others] = layers.map(({ keysOffsetBytes }) => keysOffsetBytes);
    assertEquals(others.slice(0, 2), [first, first]);
    assertEquals(new Set(others.slice(1)).size, 1 + 4);
  }
});

Deno.test("slopesBytes() has room for both directions' biases, one's, slopes, or nothing", () => {
  const bytes = (architecture: "t5" | "t5encoder" | "bloom" | "llama") =>
    slopesBytes(describeModel(parseGguf(tinyModel({ architecture }))).config).slopes;
  const one = 4 * 4 * BIAS_SPAN;
  assertEquals([bytes("t5"), bytes("t5encoder"), bytes("bloom"), bytes("llama")], [
    ...[2 * one, one, 4 * 4, undefined],
  ]);
});
