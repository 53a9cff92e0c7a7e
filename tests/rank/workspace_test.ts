/**
 * What intermediates share: that answers stay the same bit for bit whatever lies where, that what
 * lives together lies apart, and what it saves on models of real shapes.
 */
import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { openGguf, parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { type PlanOptions, planRanks } from "../../src/rank/plan.ts";
import type { RankPlan } from "../../src/rank/plan_types.ts";
import { Liveness } from "../../src/shapes/mod.ts";
import { instantiateKernels, loadKernelModule } from "../../wasm/mod.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { type AloneRank, graphOf, openAlone } from "../support/poisoned_rank.ts";
import { TINY_FAMILIES, type TinyFamilyName } from "../support/tiny_families.ts";
import { TINY_PROMPT, tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";

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

for (const [form, options] of FORMS) {
  const name = [
    ...[form.architecture, "in", form.type, form.magic ?? ""],
    form.predictor === undefined ? "" : "with predictors",
    ...Object.keys(options),
  ].filter((part) => part !== "").join(" ");
  Deno.test(`${name} answers alike where its intermediates share bytes, the dead ones NaN`, () =>
    withTinyFile(form, async (path) => {
      const apart = await openAlone(path, { ...options, sharesWorkspace: false }, false);
      const shared = await openAlone(path, options, true);
      const isPredicted = form.predictor !== undefined;
      assertEquals(answersOf(shared, isPredicted), answersOf(apart, isPredicted));
      assertApart(path, shared.plan);
      const { plannedBytes, apartBytes } = shared.plan.workspaces[0].intermediates;
      assertLess(plannedBytes, 0.7 * apartBytes);
      assertEquals(apart.plan.workspaces[0].intermediates.plannedBytes, apartBytes);
    }));
}

/** Logits of steps of one token, of a few and of many, and what is chosen after a prompt. */
function answersOf({ leader, outputIds }: AloneRank, isPredicted: boolean): unknown[] {
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
function assertApart(path: string, plan: RankPlan): void {
  const graph = graphOf(describeModel(openGguf(path)).config, plan);
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
