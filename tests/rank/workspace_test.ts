/**
 * What intermediates share: that answers stay the same bit for bit whatever lies where, that what
 * lives together lies apart, and what it saves on models of real shapes.
 */
import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { openGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import type { ModelConfig } from "../../src/model/types.ts";
import { type PlanOptions, planRanks } from "../../src/rank/plan.ts";
import type { RankPlan } from "../../src/rank/plan_types.ts";
import { Liveness } from "../../src/shapes/mod.ts";
import { shapeInput } from "../planner/shape_input.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { graphOf, openRanks, type TestedRanks } from "../support/poisoned_rank.ts";
import { TINY_FAMILIES, type TinyFamilyName } from "../support/tiny_families.ts";
import { TINY_PROMPT, type TinyModelOptions } from "../support/tiny_model.ts";

const IDS = TINY_PROMPT.slice(0, 41);
/** Quantised, so that tiles are used, or floats, whose products read padding. */
const TYPES = ["Q8_0", "F16"] as const;
/** In both: experts with a shared one, routes before attention, norms behind blocks. */
const IN_BOTH: readonly string[] = ["qwen2moe", "smallthinker", "gemma2", "bamboo"];
const PREDICTED = { embeddingLength: 128, feedForwardLength: 256, seed: 3 } as const;
/** What a form of a model is, and how it is run. */
const FORMS: readonly (readonly [TinyModelOptions, Partial<PlanOptions>])[] = [
  ...(Object.keys(TINY_FAMILIES) as TinyFamilyName[]).flatMap((architecture, i) =>
    TYPES.filter((_, j) => i % 2 === j || IN_BOTH.includes(architecture))
      .map((type) => [{ architecture, type, seed: 3 }, {}] as const)
  ),
  ...(["bamboo", "drelu-moe", "smallthinker"] as const).flatMap((architecture) =>
    TYPES.map((type) => [{ ...PREDICTED, architecture, type, predictor: { rank: 8 } }, {}] as const)
  ),
  [{ architecture: "llama", type: "Q4_0", seed: 4 }, { thresholds: [0.05, 0.15] }],
  [{ architecture: "llama-biased", type: "F32", seed: 4 }, { thresholds: [0.05, 0.15] }],
  [{ architecture: "bamboo", type: "Q4_0", seed: 4 }, { isSparse: false }],
  [{ architecture: "bamboo", type: "Q4_0", seed: 4, magic: "PWRI" }, {}],
];

/** What ranks exchange beside partial sums, and norms of sums: these are run by two ranks. */
const TOGETHER: readonly string[] = ["olmo2", "gemma2", "qwen2moe", "smallthinker", "bamboo"];

for (const [form, options] of FORMS) {
  const isTogether = form.predictor !== undefined || TOGETHER.includes(form.architecture!);
  const rankCount = isTogether ? 2 : 1;
  const name = [
    ...[form.architecture, "in", form.type, form.magic ?? ""],
    form.predictor === undefined ? "" : "with predictors",
    isTogether ? "on two ranks" : "",
    ...Object.keys(options),
  ].filter((part) => part !== "").join(" ");
  Deno.test(`${name} answers alike where intermediates share bytes and dead ones are NaN`, () =>
    withTinyFile(form, async (path) => {
      const all = { rankCount, ...options };
      using apart = await openRanks(path, { ...all, sharesWorkspace: false }, false);
      using shared = await openRanks(path, all, true);
      const { config } = describeModel(openGguf(path));
      const isPredicted = form.predictor !== undefined;
      assertEquals(answersOf(shared, isPredicted), answersOf(apart, isPredicted));
      for (const [rank, plan] of shared.plans.entries()) {
        assertApart(config, plan);
        const { plannedBytes, apartBytes } = plan.workspaces[0].intermediates;
        assertLess(plannedBytes, 0.8 * apartBytes);
        const [{ intermediates }] = apart.plans[rank].workspaces;
        assertEquals([intermediates.plannedBytes, intermediates.apartBytes], [
          apartBytes,
          apartBytes,
        ]);
      }
    }));
}

/** Logits of steps of one token, of a few and of many, and what is chosen after a prompt. */
function answersOf({ leader, outputIds }: TestedRanks, isPredicted: boolean): unknown[] {
  const answers: unknown[] = isPredicted ? [leader.rehearse(IDS, "on")] : [];
  for (const stepTokens of [1, 3, 16]) {
    leader.scoreAll(IDS, (rows) => {
      const bits = new Uint32Array(rows.buffer);
      assert(rows.every(Number.isFinite));
      answers.push(bits.reduce((hash, word) => Math.imul(hash ^ word, 16777619), bits.length));
    }, stepTokens);
  }
  const sampling = { temperature: 0.7, topK: 20, seed: 5 };
  const request = { ids: IDS.slice(0, 30), maxTokens: 20, sampling, endIds: [] };
  const { timings: { skippedNeurons, skippedBytes } } = leader.generate(request);
  return [...answers, ...outputIds.slice(0, 20), skippedNeurons, skippedBytes];
}

/** Intermediates that live at the same time lie apart, within regions of the arena. */
function assertApart(config: ModelConfig, plan: RankPlan): void {
  const graph = graphOf(config, plan);
  const liveness = new Liveness(graph);
  plan.workspaces.forEach(({ intermediates: { places } }, arena) => {
    const ends = places.map(({ offsetBytes, sizeBytes }) => offsetBytes + sizeBytes);
    places.forEach((a, i) => {
      const isWithin = plan.arenas[arena].regions.some((region) =>
        region.kind === "activations" && region.offsetBytes <= a.offsetBytes &&
        ends[i] <= region.offsetBytes + region.sizeBytes
      );
      assert(isWithin, `${a.name} lies in a region`);
      places.slice(0, i).forEach((b, j) => {
        const [x, y] = [a, b].map(({ name }) => graph.tensors.find((each) => each.name === name)!);
        if (!liveness.together(x, y)) return;
        assert(ends[i] <= b.offsetBytes || ends[j] <= a.offsetBytes, `${a.name} and ${b.name}`);
      });
    });
  });
}

Deno.test("planRanks() shares what is most of a step's memory in models of real shapes", () => {
  const shares = (["tinyllama-1.1b", "mistral-7b", "bamboo-7b", "turbosparse-mixtral-47b"] as const)
    .flatMap((name) => {
      const { model, tensors, sizes } = shapeInput(name);
      const options = { contextLength: 4096, chunkTokens: 256, kvType: "auto", sizes } as const;
      return planRanks(model, tensors, { ...options, rankCount: 2 }).map((plan) => {
        assertApart(model.config, plan);
        const { plannedBytes, apartBytes } = plan.workspaces[0].intermediates;
        return { name, share: plannedBytes / apartBytes };
      });
    });
  for (const { name, share } of shares) assertLess(share, 0.75, name);
  assertGreater(shares.length, 7, "two ranks of each");
});
