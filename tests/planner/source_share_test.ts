/** What of a model that answers a source tokens of prompts and of answers are computed by. */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { usageOf } from "../../src/planner/firing_rates.ts";
import { fixedModel, fixedWeightCount, sumUnits } from "../../src/planner/model_bytes.ts";
import { DEFAULT_PROFILE, modelUnits, type PlanInput, planMemory } from "../../src/planner/mod.ts";
import { answeringLayers, unusedTensors } from "../../src/planner/source_share.ts";
import { tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";

function described(options: TinyModelOptions) {
  const file = parseGguf(tinyModel(options));
  return { model: describeModel(file), matrices: [...file.tensors.keys()] };
}

Deno.test("a token of an answer is not computed by what reads its source, nor that by what writes", () => {
  const { model, matrices } = described({ architecture: "t5-gated" });
  const { config } = model;
  assertEquals(answeringLayers(config), 4);
  const ofAnswer = unusedTensors(model, "ofAnswer"), ofPrompt = unusedTensors(model, "ofPrompt");
  const begins = (names: ReadonlySet<string>, with_: string) =>
    matrices.filter((name) => name.startsWith(with_)).every((name) =>
      names.has(name) || name.includes("attn_rel_b")
    );
  assertEquals([begins(ofAnswer, "enc."), begins(ofPrompt, "dec.blk.")], [true, true]);
  const isMixed = [...ofAnswer].some((name) => !name.startsWith("enc.")) ||
    [...ofPrompt].some((name) => name.startsWith("enc."));
  assertEquals([isMixed, ofPrompt.has("output.weight")], [false, true]);
  const usages = [0, 1, 3, 5].map((layer) => [
    usageOf({ expert: null, layer }, config),
    usageOf({ expert: null, layer }, config, "ofPrompt"),
  ]);
  assertEquals(usages, [[0, 1], [0, 1], [1, 0], [1, 0]]);
});

Deno.test("all of a model that goes on with a text is used by both", () => {
  const { model } = described({});
  assertEquals([unusedTensors(model, "ofAnswer").size, unusedTensors(model, "ofPrompt").size], [
    0,
    0,
  ]);
  assertEquals(answeringLayers(model.config), 2);
  assertEquals(usageOf({ expert: null, layer: 1 }, model.config, "ofPrompt"), 1);
});

/** As the planner sees it. */
function inputOf(): PlanInput {
  const { tensors, ...file } = parseGguf(tinyModel({ architecture: "t5" }));
  const model = describeModel({ ...file, tensors });
  return {
    ...{ model, tensors, units: modelUnits(model, tensors, 512).units },
    ...{ budgetBytes: 2 ** 30, threads: 1, contextLength: 192 },
    ...{ profile: DEFAULT_PROFILE, stats: null },
    sizes: {
      q8_bytes: (n, k) => n * k * 2,
      ...{ neurons_scratch_bytes: () => 1024, matmul_long_scratch_bytes: () => 1024 },
      ...{ attention_scratch_bytes: () => 1024, choose_scratch_bytes: () => 1024 },
    },
  };
}

Deno.test("the planner counts a prompt by what reads, an answer by what writes", () => {
  const input = inputOf();
  // Three layers that read: matrices of heads, 96 · 64 each, and 96 neurons of two rows of 64.
  const heads = 3 * 4 * 96 * 64, neurons = 3 * 96 * 2 * 64;
  assertEquals(sumUnits(input).usedWeights, neurons);
  assertAlmostEquals(fixedWeightCount(input), heads, 500);
  const { ranks, readPerToken } = fixedModel(input, { hasPredictors: false, chunkTokens: 192 });
  assertAlmostEquals(ranks[0].weights - readPerToken, 4 * heads, 4000);
  const plan = planMemory(input);
  assert(plan.kind === "plan");
  assertEquals(plan.chunkTokens, 192, "a source is one step");
  // An answer goes through four of seven layers.
  const all = { ...input.model.config, source: undefined };
  const other = planMemory({ ...input, model: { ...input.model, config: all } });
  assert(other.kind === "plan");
  assertAlmostEquals(plan.expected.parts.joins / other.expected.parts.joins, 9 / 15, 1e-9);
});
