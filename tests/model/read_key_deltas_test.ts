/** What files of Ling 3 and Kimi K3 say of states that are corrected key by key. */
import { assertEquals, assertThrows } from "@std/assert";
import { unitObstacle } from "../../src/bundle/units.ts";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { TINY_FAMILIES } from "../support/tiny_families.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withKeys, withMetadata } from "./changed_file.ts";

function read(
  changes: Record<string, GgufValue | undefined>,
  architecture: "bailingmoe3" | "kimi-k3" = "bailingmoe3",
) {
  return describeModel(withKeys(parseGguf(tinyModel({ architecture })), changes));
}

Deno.test("describeModel() refuses a Ling 3 whose decays have no floor", () => {
  const key = "kda.gate_lower_bound";
  for (const floor of [undefined, 0, 5, NaN, -Infinity, "low"]) {
    assertThrows(() => read({ [key]: floor }), ModelFormatError, key);
  }
  assertEquals(read({ [key]: -0.5 }).config.stateSpace?.decayFloor, -0.5);
  assertThrows(() => read({ "kda.safe_gate": false }), ModelFormatError, "kda.safe_gate");
  assertEquals(read({ "kda.safe_gate": true }).config.stateSpace?.decayFloor, -5);
});

Deno.test("describeModel() reads what limits SwiGLU of layers that keep states", () => {
  const { layers } = read({}).config;
  assertEquals(layers.map(({ hasStates }) => hasStates === true), [true, true, false, true]);
  const limits = layers.map(({ limits }) => [limits?.experts?.up ?? 0, limits?.others?.up ?? 0]);
  assertEquals(limits, [[0, 0.5], [0.5, 0], [0.7, 0.4], [0, 0.6]].map((of) => of.map(Math.fround)));
});

Deno.test("describeModel() takes one matrix of a Ling 3 where Kimi Linear has two", () => {
  const { keyDeltas } = read({}).tensors.layers[1];
  const shown = [keyDeltas!.steps, keyDeltas!.gate]
    .map(({ first, second }) => [first, second.tensor, second.rows, second.columns]);
  assertEquals(shown, [
    [null, "blk.1.ssm_f_a.weight", 96, 64],
    [null, "blk.1.ssm_g_a.weight", 96, 64],
  ]);
});

Deno.test("describeModel() finds the last norm of Ling 3's guesses by either name", () => {
  const own = TINY_FAMILIES["bailingmoe3"];
  const { "swiglu_clamp_exp": _e, "swiglu_clamp_shexp": _s, ...keys } = own.keys;
  const bytes = tinyModel({ architecture: "bailingmoe3", changes: { guesses: true, keys } });
  const file = withMetadata(parseGguf(bytes), {
    "bailingmoe3.attention.head_count_kv": Int32Array.of(0, 0, 1, 0, 1),
  });
  for (const name of ["nextn.shared_head_norm", "layer_output_norm"]) {
    const tensors = new Map([...file.tensors].map(([old, tensor]) => {
      const now = old.replace("nextn.shared_head_norm", name);
      return [now, { ...tensor, name: now }];
    }));
    const { guess, layers } = describeModel({ ...file, tensors }, { guesses: true }).tensors;
    assertEquals(guess?.outputNorm?.weight?.tensor, `blk.4.${name}.weight`);
    assertEquals(layers[4].attentionGate?.gate.count, 1);
  }
});

Deno.test("describeModel() reads how often Kimi K3's layers keep what they read, or refuses", () => {
  const key = "attn_res.block_size";
  for (const period of [undefined, -1, 1.5, "2"]) {
    assertThrows(() => read({ [key]: period }, "kimi-k3"), ModelFormatError, key);
  }
  assertEquals(read({ [key]: 3 }, "kimi-k3").config.hyper?.streamCount, 3);
  assertEquals(read({ [key]: 9 }, "kimi-k3").config.hyper?.streamCount, 2);
  const form = { architecture: "kimi-k3", blockCount: 66 } as const;
  const stateSpace = {
    ...TINY_FAMILIES[form.architecture].stateSpace,
    layers: Array(66).fill("heads"),
  };
  const many = parseGguf(tinyModel({ ...form, changes: { stateSpace } }));
  const kvHeads = { "kimi-k3.attention.head_count_kv": Int32Array.from({ length: 66 }, () => 1) };
  const of = (period: number) =>
    describeModel(withMetadata(many, { ...kvHeads, [`kimi-k3.${key}`]: period }));
  assertThrows(() => of(1), UnsupportedModelError, "its layers read 67 states of the stream");
});

Deno.test("describeModel() refuses caps of Kimi K3's neurons that are none", () => {
  const [gate, up] = ["activation.situ_beta", "activation.situ_linear_beta"];
  for (const cap of [undefined, 0, -1, NaN]) {
    assertThrows(() => read({ [gate]: cap }, "kimi-k3"), ModelFormatError, gate);
  }
  for (const cap of [undefined, NaN, Infinity]) {
    assertThrows(() => read({ [up]: cap }, "kimi-k3"), ModelFormatError, up);
  }
  const capOf = (cap: number) => read({ [up]: cap }, "kimi-k3").config.feedForward.softCaps?.up;
  assertEquals([2, 0, -1].map(capOf), [2, 0, 0], "none is below 0");
});

Deno.test("describeModel() refuses latents of Kimi K3's experts that have no kernels", () => {
  const key = "expert_latent_length";
  assertThrows(() => read({ [key]: 24 }, "kimi-k3"), UnsupportedModelError, "24 numbers");
  assertThrows(() => read({ [key]: 128 }, "kimi-k3"), ModelFormatError, key);
  const model = read({}, "kimi-k3");
  assertEquals(unitObstacle(model)?.includes("are capped"), true);
});

Deno.test("describeModel() takes decays of one dimension or two, of as many heads", () => {
  const file = parseGguf(tinyModel({ architecture: "kimi-k3" }));
  const as = (dims: number[]) => {
    const tensors = new Map(file.tensors);
    tensors.set("blk.1.ssm_a", { ...tensors.get("blk.1.ssm_a")!, dims });
    return describeModel({ ...file, tensors }).tensors.layers[1].keyDeltas?.decay.length;
  };
  assertEquals([as([4]), as([1, 4])], [4, 4]);
  for (const dims of [[3], [4, 2], [2, 2], [1, 3]]) {
    assertThrows(() => as(dims), ModelFormatError, "blk.1.ssm_a");
  }
});
