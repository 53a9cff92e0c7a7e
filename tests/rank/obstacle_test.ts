/** What a GPU leaves of mixtures to threads. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parseGguf } from "../../src/gguf/mod.ts";
import { describeModel, type ModelDescription } from "../../src/model/mod.ts";
import type { ExpertsConfig, StateSpaceConfig } from "../../src/model/types.ts";
import {
  besideObstacle,
  expertsObstacle,
  gpuObstacle,
  sharedExpertsObstacle,
} from "../../src/rank/gpu/obstacle.ts";
import { tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";

function describe(of: TinyModelOptions) {
  const file = parseGguf(tinyModel(of));
  return { file, model: describeModel(file) };
}

Deno.test("expertsObstacle() names what no shader has of experts", () => {
  const refused: [TinyModelOptions, string][] = [
    [{
      architecture: "llama-moe-old",
      typeOf: (name) => name === "blk.1.ffn_up.2.weight" ? "F16" : undefined,
    }, "several types in a layer"],
    [{ architecture: "grovemoe" }, "what goes along with experts"],
  ];
  for (const [of, reason] of refused) {
    assertStringIncludes(expertsObstacle(describe(of)) ?? "", reason);
  }
  for (const architecture of ["llama", "llama-moe", "llama-moe-old", "qwen2moe"] as const) {
    assertEquals(expertsObstacle(describe({ architecture })), null);
  }
  // Where a GPU has some neurons of each expert, companions are the threads'.
  assertEquals(sharedExpertsObstacle(describe({ architecture: "grovemoe" })), null);
});

Deno.test("gpuObstacle() leaves what products read to the threads, where it is summed up", () => {
  assertStringIncludes(gpuObstacle(describe({}), { measureInputs: true }) ?? "", "summed up");
  assertEquals(gpuObstacle(describe({}), { measureInputs: false }), null);
});

Deno.test("expertsObstacle() knows how many experts there may be, and how wide, and how they lie", () => {
  const { file, model } = describe({ architecture: "qwen2moe" });
  const obstacleOf = (changed: Partial<ModelDescription>) =>
    expertsObstacle({ file, model: { ...model, ...changed } });
  const withExperts = (changed: Partial<ExpertsConfig>) => {
    const { config } = model;
    return obstacleOf({ config: { ...config, experts: { ...config.experts!, ...changed } } });
  };
  assertEquals(withExperts({ count: 512, usedCount: 63 }), null);
  assertEquals(withExperts({ count: 513 }), "3 of 513 experts are too many to choose from there");
  assertEquals(withExperts({ usedCount: 64 }), "64 of 8 experts are too many to choose from there");
  assertEquals(withExperts({ weighsInputs: true }), null);
  assertEquals(withExperts({ feedForwardLength: 36, sharedFeedForwardLength: 4 }), null);
  const odd = "experts' widths are no multiples of 4";
  assertEquals(withExperts({ feedForwardLength: 38 }), odd);
  assertEquals(withExperts({ sharedFeedForwardLength: 38 }), odd);
  const layers = model.tensors.layers.map((layer) => {
    const { feedForward } = layer;
    assert(feedForward?.kind === "experts");
    const shared = { ...feedForward.shared!, isDownTransposed: true };
    return { ...layer, feedForward: { ...feedForward, shared } };
  });
  const turned = obstacleOf({ tensors: { ...model.tensors, layers } });
  assertStringIncludes(turned ?? "", "neuron by neuron");
  const biased = describe({ architecture: "gpt-oss" });
  const experts = { ...biased.model.config.experts!, weighsInputs: true as const };
  const weighed = { ...biased.model, config: { ...biased.model.config, experts } };
  assertStringIncludes(expertsObstacle({ ...biased, model: weighed }) ?? "", "have biases");
});

Deno.test("besideObstacle() names experts that read latents, and layers that use other numbers of them", () => {
  for (const architecture of ["nemotron_h_moe-latent", "nemotron_h_moe-puzzle"] as const) {
    const of = describe({ architecture });
    assertStringIncludes(besideObstacle(of.model) ?? "", "experts that read latents");
    assertEquals([gpuObstacle(of, {}), expertsObstacle(of)], [null, null], "all of it is possible");
  }
  const { config, tensors } = describe({ architecture: "nemotron_h_moe-puzzle" }).model;
  const experts = { ...config.experts!, latentLength: undefined };
  const uneven = { tensors, config: { ...config, experts } };
  assertStringIncludes(besideObstacle(uneven) ?? "", "other numbers of experts");
  assertEquals(besideObstacle(describe({ architecture: "nemotron_h_moe" }).model), null);
});

Deno.test("expertsObstacle() looks at each layer's experts, and at what makes their latents", () => {
  const { file, model } = describe({ architecture: "nemotron_h_moe-puzzle" });
  const layers = model.config.layers.map((layer, index) => {
    const experts = { ...layer.shape!.experts!, feedForwardLength: 50 };
    return index === 4 ? { ...layer, shape: { ...layer.shape!, experts } } : layer;
  });
  const odd = { ...model, config: { ...model.config, layers } };
  assertEquals(
    expertsObstacle({ file, model: odd }),
    "experts' widths are no multiples of 4",
  );
  for (const name of ["blk.6.ffn_latent_down.weight", "blk.1.ffn_latent_up.weight"]) {
    const tensors = new Map(file.tensors).set(name, { ...file.tensors.get(name)!, type: "F64" });
    assertStringIncludes(expertsObstacle({ file: { tensors }, model }) ?? "", "F64");
  }
  const normalized = describe({ architecture: "kimi-k3" });
  assertStringIncludes(expertsObstacle(normalized) ?? "", "sums of experts are normalised");
});

Deno.test("gpuObstacle() names states that are too long, and steps made of odd numbers", () => {
  const { file, model } = describe({ architecture: "jamba" });
  const obstacleOf = (changed: Partial<StateSpaceConfig>) => {
    const { config, tensors } = model;
    const stateSpace = { ...config.stateSpace!, ...changed };
    return gpuObstacle({ file, model: { tensors, config: { ...config, stateSpace } } }, {});
  };
  assertEquals(obstacleOf({ stateLength: 256 }), null);
  assertStringIncludes(obstacleOf({ stateLength: 260 }) ?? "", "more than 256 numbers");
  assertStringIncludes(obstacleOf({ stepRank: 6 }) ?? "", "a width of 6");
  const name = "blk.0.ssm_out.weight";
  const tensors = new Map([...file.tensors, [name, { ...file.tensors.get(name)!, type: "F64" }]]);
  assertStringIncludes(
    gpuObstacle({ file: { tensors }, model }, {}) ?? "",
    `"${name}" has type F64`,
  );
});
