/** What files of PLaMo 2 say, whose states' heads have steps that all channels make. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { TINY_FAMILIES } from "../support/tiny_families.ts";
import { tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";
import { withKeys } from "./changed_file.ts";

/** As real ones are: layers that keep states come first, and no key says how heads are turned. */
function read(changes: Record<string, GgufValue | undefined> = {}, options: TinyModelOptions = {}) {
  const { stateSpace } = TINY_FAMILIES["plamo2"];
  const own = { stateSpace: { ...stateSpace, layers: ["state", "heads", "state", "heads"] } };
  const bytes = tinyModel({ architecture: "plamo2", changes: own as never, ...options });
  const keys = { "rope.dimension_count": undefined, ...changes };
  return describeModel(withKeys(parseGguf(bytes), keys));
}

Deno.test("describeModel() reads PLaMo 2's heads from lists, and turns all of each", () => {
  const { config, tensors } = read();
  assertEquals([config.headCount, config.headCountKv, config.headDim], [4, 2, 24]);
  assertEquals(config.layers.map(({ hasStates }) => hasStates === true), [
    true,
    false,
    true,
    false,
  ]);
  assertEquals(config.ropes.map(({ kind, dimensionCount }) => [kind, dimensionCount]), [
    ["neox", 24],
  ]);
  const [states, heads] = tensors.layers;
  assertEquals(states.queryNorm, null);
  assertEquals(heads.queryNorm?.weight?.tensor, "blk.1.attn_q_norm.weight");
  assertEquals(heads.keyNorm?.weight?.length, 2 * 24);
  assertEquals(states.stateSpace?.shared?.norms?.step.tensor, "blk.0.ssm_dt_norm");
  assertEquals(states.attentionPostNorm?.weight?.tensor, "blk.0.post_attention_norm");
  assertEquals(states.stateSpace?.shared?.rows, { input: 0, output: 16, step: 32 });
});

Deno.test("describeModel() takes norms of PLaMo 2's states with a suffix, too", () => {
  const file = parseGguf(tinyModel({ architecture: "plamo2" }));
  const tensors = new Map([...file.tensors].map(([name, tensor]) => {
    const own = /ssm_(dt|b|c)_norm$/.test(name) ? `${name}.weight` : name;
    return [own, { ...tensor, name: own }];
  }));
  const { tensors: { layers } } = describeModel({ ...file, tensors });
  assertEquals(layers[1].stateSpace?.shared?.norms?.input.tensor, "blk.1.ssm_b_norm.weight");
});

Deno.test("describeModel() knows what PLaMo 2's steps are made of by the model's width", () => {
  assertEquals(read().config.stateSpace?.stepRank, 64);
  const wide = { embeddingLength: 1280, blockCount: 2, feedForwardLength: 32 };
  assertEquals(read({}, wide).config.stateSpace?.stepRank, 80);
});

Deno.test("describeModel() refuses lists of PLaMo 2 that contradict each other, and odd states", () => {
  const refuses = (key: string, value: GgufValue, message: string) =>
    assertThrows(() => read({ [key]: value }), ModelFormatError, message);
  const heads = "attention.head_count";
  refuses(heads, Int32Array.of(0, 4, 0), "one for each of 4 blocks");
  refuses(heads, Int32Array.of(0, 4, 0, 8), "one for each of 4 blocks");
  refuses(heads, Int32Array.of(0, 0, 0, 0), "one for each of 4 blocks");
  refuses(heads, Int32Array.of(4, 0, 4, 0), '0 in the same blocks as "attention.head_count_kv"');
  refuses(`${heads}_kv`, 2, "head_count_kv");
  refuses("ssm.time_step_rank", 5, "a divisor of the channels, 96");
  refuses("ssm.time_step_rank", 0, "ssm.time_step_rank");
  refuses("ssm.conv_kernel", 33, "ssm.conv_kernel");
  assertThrows(() => read({ "ssm.time_step_rank": 48 }), UnsupportedModelError, "a length of 2");
});
