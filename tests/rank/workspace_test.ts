/**
 * What intermediates share: that answers stay the same bit for bit whatever lies where, that what
 * lives together lies apart, and what it saves on models of real shapes.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess } from "@std/assert";
import { openGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import type { ModelConfig } from "../../src/model/types.ts";
import { type PlanOptions, planRanks } from "../../src/rank/plan/plan.ts";
import type { RankPlan } from "../../src/rank/plan/plan_types.ts";
import { Liveness } from "../../src/shapes/mod.ts";
import { instantiateKernels, loadKernelModule } from "../../wasm/mod.ts";
import { shapeInput } from "../planner/shape_input.ts";
import { answerNow } from "../support/answer_now.ts";
import { deepTest } from "../support/deep.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { graphOf, openRanks, type TestedRanks } from "../support/poisoned_rank.ts";
import { TINY_FAMILIES, type TinyFamilyName } from "../support/tiny_families.ts";
import { TINY_PROMPT, type TinyModelOptions } from "../support/tiny_model.ts";

const IDS = TINY_PROMPT.slice(0, 41);
/** Tokens of a step, and of the text: longer than the windows where steps are long. */
const STEPS = [[1, 9], [3, 20], [16, 41]] as const;
/** Steps of one token are among those: these are chosen, too. */
const ANSWER_TOKENS = 6;
/** Quantised, so that tiles are used, or floats, whose products read padding. */
const TYPES = ["Q8_0", "F16"] as const;
/** In both: experts with a shared one, routes before attention, norms behind blocks. */
const IN_BOTH: readonly string[] = [
  ...["qwen2moe", "smallthinker", "gemma2", "bamboo", "deepseek2-old", "deepseek2-grouped"],
];
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

/**
 * Families whose steps have the operations of others that are in the gate, and the same tensors
 * between them: in what order bytes are shared is the same for them, too.
 */
const ALIKE: readonly TinyFamilyName[] = [
  ...["qwen2", "gemma", "minicpm", "granite", "granite-unrotated", "olmo2-windowed"] as const,
  ...["smollm3", "stablelm", "chatglm", "mistral3", "glm4-sections", "ernie4_5"] as const,
  ...["hunyuan-dense", "exaone", "exaone4", "exaone4-windowed", "seed_oss", "internlm2"] as const,
  ...["gptneox-serial", "baichuan", "qwen", "orion", "xverse", "starcoder"] as const,
  ...["pangu-embedded", "qwen2vl", "qwen3vl", "lfm2-windowed", "maincoder", "codeshell"] as const,
  ...["paddleocr", "hunyuan_vl", "plamo3", "mpt", "refact", "jais", "olmo", "openelm"] as const,
  ...["chameleon-behind", "nanbeige", "nanbeige-plain", "granitemoe", "hunyuan-moe"] as const,
  ...["deepseek", "dots1", "glm4moe", "ernie4_5-moe", "bailingmoe", "exaone-moe"] as const,
  ...["hy_v3", "bailingmoe2", "deepseek2-ocr", "granite_swa", "llama4-chunked"] as const,
  ...["llama-moe-old", "qwen3moe", "qwen3vlmoe", "olmoe", "minimax-m2", "mellum"] as const,
  ...["phimoe", "dbrx", "maple", "mimo2-fused", "arwkv7-ungated", "mamba-falcon"] as const,
  ...["granitehybrid", "rwkv6-old", "command-r", "command-r-normed", "cohere2", "phi2"] as const,
  ...["falcon", "gptneox", "plamo", "jais2", "deepseek2", "deepseek32", "mistral4"] as const,
  ...["laguna-unwindowed", "step35", "smallthinker-softmax"] as const,
];
const ALIKE_REASON = "a family whose steps share the same intermediates is in the gate";

/** What ranks exchange beside partial sums, and norms of sums: these are run by two ranks. */
const TOGETHER: readonly string[] = [
  ...["olmo2", "gemma2", "qwen2moe", "smallthinker", "bamboo", "deepseek2-grouped"],
  "gemma3n",
];

/** Tiles and scratch that are so much larger lie elsewhere, over what else they do not touch. */
const INFLATION = 4;

for (const [index, [form, options]] of FORMS.entries()) {
  const isInflated = Math.floor(index / 2) % 2 === 1;
  const isTogether = form.predictor !== undefined || TOGETHER.includes(form.architecture!);
  const rankCount = isTogether ? 2 : 1;
  const name = [
    ...[form.architecture, "in", form.type, form.magic ?? ""],
    form.predictor === undefined ? "" : "with predictors",
    isTogether ? "on two ranks" : "",
    isInflated ? "with large tiles" : "",
    ...Object.keys(options),
  ].filter((part) => part !== "").join(" ");
  const isAlike = ALIKE.some((family) => family === form.architecture);
  const deep = isAlike && form.seed === 3 && !isTogether ? ALIKE_REASON : undefined;
  deepTest(
    `${name} answers alike where intermediates share bytes and dead ones are NaN`,
    deep,
    () =>
      withTinyFile(form, async (path) => {
        const all = { rankCount, ...options };
        const inflation = isInflated ? INFLATION : 1;
        const own = { ...all, sharesWorkspace: false };
        using apart = await openRanks(path, own, { poisons: false, inflation });
        using shared = await openRanks(path, all, { poisons: true, inflation });
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
      }),
  );
}

/** Logits of steps of one token, of a few and of many, and what is chosen after a prompt. */
function answersOf({ leader, outputIds }: TestedRanks, isPredicted: boolean): unknown[] {
  const answers: unknown[] = isPredicted ? [leader.texts.rehearse(IDS, "on")] : [];
  for (const [stepTokens, count] of STEPS) {
    leader.texts.scoreAll(IDS.slice(0, count), (rows) => {
      const bits = new Uint32Array(rows.buffer);
      assert(rows.every(Number.isFinite));
      answers.push(bits.reduce((hash, word) => Math.imul(hash ^ word, 16777619), bits.length));
    }, stepTokens);
  }
  const sampling = { temperature: 0.7, topK: 20, seed: 5 };
  const request = { ids: IDS.slice(0, 30), maxTokens: ANSWER_TOKENS, sampling, endIds: [] };
  const { timings: { skippedNeurons, skippedBytes } } = answerNow(leader, request);
  return [...answers, ...outputIds.slice(0, ANSWER_TOKENS), skippedNeurons, skippedBytes];
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
        if (ends[i] <= b.offsetBytes || ends[j] <= a.offsetBytes) return;
        const [x, y] = [a, b].map(({ name }) => graph.tensors.find((each) => each.name === name)!);
        assert(!liveness.liveTogether(x, y), `${a.name} and ${b.name}`);
      });
    });
  });
}

Deno.test("planRanks() shares intermediates of models of real shapes as far as can be", async () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  const sizes = instantiateKernels(await loadKernelModule(), memory);
  const options = { contextLength: 4096, chunkTokens: 256, kvType: "auto", sizes } as const;
  for (const name of ["tinyllama-1.1b", "bamboo-7b", "smallthinker-4b", "qwen2-0.5b"] as const) {
    const { model, tensors } = shapeInput(name);
    for (const plan of planRanks(model, tensors, { ...options, rankCount: 2 })) {
      assertApart(model.config, plan);
      const { plannedBytes, apartBytes } = plan.workspaces[0].intermediates;
      assertLess(plannedBytes, 0.85 * apartBytes, name);
      assertLess(plannedBytes, 1.1 * mostAlive(model.config, plan), `${name}: what lives at once`);
    }
  }
});

/** Bytes of what lives during the same operation: less is not possible. */
function mostAlive(config: ModelConfig, plan: RankPlan): number {
  const graph = graphOf(config, plan);
  const liveness = new Liveness(graph);
  const { places } = plan.workspaces[0].intermediates;
  const bytesAt = (op: number) =>
    graph.tensors.filter((tensor) => liveness.isLive(tensor, op))
      .reduce((sum, { id }) => sum + places[id].sizeBytes, 0);
  return Math.max(...graph.ops.map((_, op) => bytesAt(op)));
}
