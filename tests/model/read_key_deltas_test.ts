/** What files of Ling 3 and Kimi K3 say of states that are corrected key by key. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import { type GgufValue, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { TINY_FAMILIES } from "../support/tiny_families.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { withMetadata } from "./changed_file.ts";

function read(changes: Record<string, GgufValue | undefined>) {
  const named = Object.entries(changes).map(([key, value]) => [`bailingmoe3.${key}`, value]);
  const file = parseGguf(tinyModel({ architecture: "bailingmoe3" }));
  return describeModel(withMetadata(file, Object.fromEntries(named)));
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
