/** What files of MiniMax 01 say of layers that keep states, and of sums. */
import { assertAlmostEquals, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { TINY_FAMILIES } from "../support/tiny_families.ts";
import { tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";
import { withKeys } from "./changed_file.ts";

function fileOf(changes: Record<string, GgufValue | undefined>, options: TinyModelOptions = {}) {
  const bytes = tinyModel({ architecture: "minimax-01", ...options });
  return withKeys(parseGguf(bytes), changes);
}

function read(changes: Record<string, GgufValue | undefined>) {
  return describeModel(fileOf(changes));
}

/** What it says of a tensor that a layer would have to have. */
function missing(changes: Record<string, GgufValue | undefined>): string {
  return assertThrows(() => read(changes), ModelFormatError).message;
}

Deno.test("describeModel() knows which layers of MiniMax 01 keep states by a list, too", () => {
  const interval = "full_attention_interval";
  const list = [true, true, false, true];
  const { config } = read({ [interval]: undefined, "attention.recurrent_layers": list });
  assertEquals(config.layers.map(({ hasStates }) => hasStates === true), list);
  assertEquals(config.layers.map(({ rope }) => rope), [null, null, 0, null]);
  assertMatch(missing({ [interval]: 2 }), /blk\.1\.attn_qkv\.weight.*\[192, 64\]/);
});

Deno.test("describeModel() lets every eighth layer of MiniMax 01 attend where a file says nothing", () => {
  const { stateSpace } = TINY_FAMILIES["minimax-01"];
  const layers = Array.from({ length: 9 }, (_, index) => index === 7 ? "heads" : "state");
  const own = { blockCount: 9, stateSpace: { ...stateSpace, layers } };
  const file = fileOf({ "full_attention_interval": undefined }, { changes: own as never });
  const { config } = describeModel(file);
  assertEquals(config.layers.map(({ hasStates }) => hasStates ? "state" : "heads"), layers);
});

Deno.test("describeModel() takes MiniMax 01's norms for those of sums, in their order", () => {
  const { config, tensors } = read({});
  const names = tensors.layers.flatMap(({ attentionPostNorm, feedForwardPostNorm }) => [
    attentionPostNorm?.weight?.tensor,
    feedForwardPostNorm?.weight?.tensor,
  ]);
  assertEquals(
    [tensors.embeddingNorm?.weight?.tensor, ...names, tensors.outputNorm!.weight!.tensor],
    [
      ...["blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "blk.1.attn_norm.weight"],
      ...["blk.1.ffn_norm.weight", "blk.2.attn_norm.weight", "blk.2.ffn_norm.weight"],
      ...["blk.3.attn_norm.weight", "blk.3.ffn_norm.weight", undefined, "output_norm.weight"],
    ],
  );
  assertEquals(tensors.layers.map((layer) => [layer.attentionNorm, layer.feedForwardNorm]), [
    ...[[null, null], [null, null], [null, null], [null, null]],
  ]);
  const { norm: { epsilon, postEpsilon }, residualScale } = config;
  assertAlmostEquals(postEpsilon! * 2.5 ** 2, epsilon, 1e-15);
  assertEquals(residualScale, 1 / 2.5);
});

Deno.test("describeModel() refuses weights of sums that leave nothing of a part", () => {
  const key = "residual_scale";
  for (const value of [undefined, 0, -1, 0.0009, 1001, NaN, Infinity]) {
    assertThrows(() => read({ [key]: value }), ModelFormatError, `minimax-01.${key}`);
  }
  assertEquals(read({ [key]: 1000 }).config.residualScale, 1e-3);
});

Deno.test("describeModel() refuses lightning attention that has no rates, or odd heads", () => {
  assertThrows(() => read({ "block_count": 1 }), ModelFormatError, "from 2 to");
  assertThrows(() => read({ "full_attention_interval": 0 }), ModelFormatError, "interval");
  assertThrows(
    () => read({ "attention.recurrent_layers": [true, false] }),
    ModelFormatError,
    "for each of 4 blocks",
  );
  const odd = { "attention.key_length": 26, "attention.value_length": 26 };
  assertThrows(() => read(odd), UnsupportedModelError, "a length of 26");
  const wide = { "attention.key_length": 5000, "attention.value_length": 5000 };
  assertThrows(() => read(wide), ModelFormatError, "attention.key_length");
});

Deno.test("describeModel() refuses tensors of lightning attention of other shapes, and misses none", () => {
  const names = ["attn_norm_2", "attn_qkv", "attn_gate", "attn_output"];
  for (const name of names.map((each) => `blk.1.${each}.weight`)) {
    const file = fileOf({});
    const tensors = new Map(file.tensors);
    const own = tensors.get(name)!;
    tensors.delete(name);
    assertThrows(() => describeModel({ ...file, tensors }), ModelFormatError, name);
    const dims = own.dims.map((length) => length + 32);
    tensors.set(name, { ...own, dims });
    assertThrows(() => describeModel({ ...file, tensors }), ModelFormatError, name);
  }
});
