/**
 * Predictors of experts, from a text to an answer: what `train` writes is used by the engine, in
 * memory and from a packed file, and judged by `verify`. Gates of these tiny mixtures read a few
 * directions of the residual stream, which is what there is to learn.
 */
import { assert, assertEquals, assertGreater, assertLess, assertStringIncludes } from "@std/assert";
import { openGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { packFile } from "../../src/pack/mod.ts";
import { REHEARSAL_TEXT } from "../../src/llm/predictor_report.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import { allLogits, greedyIds, withModel } from "../support/loaded_model.ts";
import { FEW_SLOTS, READERS } from "../support/packed_model.ts";
import { Rng } from "../support/rng.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";
import { runCli, withTinyModel } from "./run_cli.ts";
import "../support/thread_pool.ts";

const WORDS = REHEARSAL_TEXT.split(" ");

/** Words of the text that predictors are tried on, in any order; the same ones for a seed. */
function madeUpText(words: number, seed: number): string {
  const rng = new Rng(seed);
  return Array.from({ length: words }, () => WORDS[rng.int(WORDS.length)]).join(" ");
}

const TEXT = madeUpText(1000, 1);
/** Not trained on. */
const FRESH = madeUpText(55, 2);
const MIXTURE: TinyModelOptions = {
  ...{ architecture: "drelu-moe", type: "F16", seed: 3, blockCount: 2, embeddingLength: 128 },
  changes: { experts: { count: 4, used: 2, length: 256 } },
  feedForwardLength: 256,
  // The predictors that come with it are left out of what is written.
  predictor: { rank: 8 },
};

interface ExpertReport {
  readonly samples: number;
  readonly is_trained: boolean;
  readonly recall: number;
  readonly predicted_share: number;
  readonly fired_share: number;
}

async function train(path: string, out: string, ...more: string[]) {
  const args = ["train", path, "--file", "-", "-o", out, "--rank", "32", "--json", ...more];
  const { code, stdout, stderr } = await runCli(args, { stdin: TEXT });
  assertEquals(code, 0, stderr);
  return JSON.parse(stdout);
}

Deno.test("train writes predictors of experts that are used in memory and from disk, and judged by verify", () =>
  withTinyModel(async (path, folder) => {
    const out = `${folder}/out.gguf`;
    const report = await train(path, out, "--tokens", "2400", "--epochs", "6", "--recall", "0.99");
    assertEquals([report.samples, report.layers.length], [2400, 2]);
    for (const { experts, recall, predicted_share, fired_share } of report.layers) {
      assertEquals(experts.length, 4);
      const samples = experts.map((each: ExpertReport) => each.samples);
      assertEquals(samples.reduce((sum: number, each: number) => sum + each), 2 * 2400);
      assertGreater(new Set(samples).size, 1);
      assertGreater(recall, 0.9899);
      assertLess(predicted_share, 0.3);
      assertLess(fired_share, 0.1);
    }
    assertWritten(path, out);
    const ids = await assertAnswers(path, out);
    await assertFromDisk(out, folder, ids);
    const judged = await runCli(["verify", out, "--file", "-", "--predictor", "on", "--json"], {
      stdin: FRESH,
    });
    assertEquals(judged.code, 0, judged.stderr);
    const { recall, kl_mean } = JSON.parse(judged.stdout);
    assertGreater(recall, 0.9);
    assertLess(kl_mean, 0.05);
  }, MIXTURE));

/** Everything as it was, and two matrices of each expert a layer. */
function assertWritten(path: string, out: string): void {
  const [before, after] = [path, out].map((each) => openGguf(each).tensors);
  assertEquals(new Set(after.keys()), new Set(before.keys()));
  for (let layer = 0; layer < 2; layer++) {
    assertEquals(after.get(`blk.${layer}.ffn_fc1_exps.weight`)?.dims, [128, 32, 4]);
    assertEquals(after.get(`blk.${layer}.ffn_fc2_exps.weight`)?.dims, [32, 256, 4]);
  }
}

/** The engine uses what was written, computes what its formula says, and misses little. */
async function assertAnswers(path: string, out: string): Promise<readonly number[]> {
  const file = openGguf(out);
  const description = describeModel(file);
  let ids: number[] = [];
  let predicted: Float32Array = new Float32Array();
  await withModel(out, { threads: 2 }, async (model) => {
    ids = model.encodePrompt(FRESH);
    for (const each of (await model.rehearsePredictors(ids))!) {
      assert(each.isUsed, "it pays");
      assertGreater(each.found / each.fired, 0.92);
      assertLess(each.predicted / each.possible, 0.3);
    }
    ids = ids.slice(0, 40);
    predicted = await allLogits(model, ids, 1);
  });
  const [formula, exact] = [true, false].map((usesPredictors) =>
    new ReferenceModel(file, { usesPredictors, description }).forward(ids)
  );
  assertLess(nmse(predicted, formula), 1e-5, "the formula");
  assertLess(nmse(formula, exact), 0.02, "what is missed");
  // Who predicts all computes the same bits as who predicts nothing.
  const all = { threads: 2, predictor: "on", predictorThreshold: -1e30 } as const;
  const none = { threads: 2, predictor: "off" } as const;
  const answers: Float32Array[] = [];
  for (const [file, options] of [[out, all], [path, none]] as const) {
    await withModel(file, options, async (model) => {
      answers.push(await allLogits(model, ids, 1));
    });
  }
  assertEquals(answers[0], answers[1]);
  return ids;
}

/** The same ids where experts lie on a disk, as bundles that predictors name. */
async function assertFromDisk(out: string, folder: string, ids: readonly number[]): Promise<void> {
  const packed = `${folder}/out.ganglion`;
  await packFile({ input: out, out: packed, stats: null, alignBytes: 64 });
  const streaming = { ...FEW_SLOTS, hasResidentGates: false, slotCount: 640 };
  const answers: number[][] = [];
  for (const [file, options] of [[out, {}], [packed, { streaming, ...READERS }]] as const) {
    await withModel(file, { threads: 2, predictor: "on", ...options }, async (model) => {
      answers.push(await greedyIds(model, ids, 16));
    });
  }
  assertEquals(answers[1], answers[0]);
}

Deno.test("train lets experts that too few tokens chose name all neurons, and refuses a short text", () =>
  withTinyModel(async (path, folder) => {
    const out = `${folder}/out.gguf`;
    // On average an expert gets as many tokens as are needed: some get fewer.
    const report = await train(path, out, "--tokens", "520", "--epochs", "1");
    const experts: ExpertReport[] = report.layers.flatMap(
      (layer: { experts: ExpertReport[] }) => layer.experts,
    );
    const untrained = experts.filter(({ is_trained }) => !is_trained);
    assertGreater(untrained.length, 0);
    assertGreater(experts.length, untrained.length);
    for (const { samples, recall, predicted_share } of untrained) {
      assertLess(samples, 256);
      assertEquals([recall, predicted_share], [1, 1]);
    }
    const few = ["train", path, "--file", "-", "-o", out, "--tokens", "511"];
    const refused = await runCli(few, { stdin: TEXT });
    assertEquals(refused.code, 2);
    assertStringIncludes(refused.stderr, "Cannot train on 511 tokens: at least 512 are needed");
    assertStringIncludes(refused.stderr, "each is seen by few experts");
  }, { ...MIXTURE, type: "Q4_0" }));
