/**
 * Predictors of neurons that fire: a good one changes no answer, a wrong one is noticed. On small
 * models whose predictors are right by construction (tests/support/tiny_predictor.ts).
 */
import "../support/thread_pool.ts";
import { assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import { f32, openGguf, text } from "../../src/gguf/mod.ts";
import type { LoadedModel, LoadOptions, Notice } from "../../src/llm/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import { deepTest } from "../support/deep.ts";
import { allLogits, greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { TINY_PROMPT, type TinyModelOptions } from "../support/tiny_model.ts";

const IDS = TINY_PROMPT.slice(0, 21);
const SHAPE = { blockCount: 4, embeddingLength: 128, feedForwardLength: 256, seed: 3 };
const RIGHT = { ...SHAPE, predictor: { rank: 8 } } as const;
const FORMS: readonly TinyModelOptions[] = [
  { architecture: "relu-llama", type: "F32" },
  { architecture: "bamboo", type: "F32" },
  { architecture: "bamboo", type: "F16", typeOf: (name) => /\.fc/.test(name) ? "F16" : undefined },
  { architecture: "bamboo", type: "F32", predictor: { rank: 8, layers: [0, 2] } },
  {
    ...{ architecture: "minicpm", type: "F32" },
    metadata: [
      ["minicpm.hidden_activation", text("fatrelu")],
      ["minicpm.hidden_activation_param", f32(0.25)],
    ],
  },
  { architecture: "drelu-moe", type: "F32", predictor: { rank: 4 } },
  { architecture: "smallthinker", type: "F32", predictor: { rank: 4 }, blockCount: 5 },
  { architecture: "llama", type: "F32", magic: "PWRI" },
  { architecture: "bamboo", type: "F32", magic: "PWRI" },
];
/** What taking gates of nearly 0 for silent may change. */
const SAME_NMSE = 1e-7;
const QUANT_NMSE = 3e-3;

/** What a model says when it is loaded, and how it answers. */
interface Answers {
  readonly notices: readonly Notice[];
  /** Of every position, token by token. */
  readonly single: Float32Array;
  readonly greedy: readonly number[];
  readonly skippedBytes: number;
  readonly arenaCount: number;
  /** Layer by layer: what was wrong with its predictor, and whether it is used. */
  readonly flaws: readonly (string | null)[];
  readonly used: readonly boolean[];
}

for (const [index, form] of FORMS.entries()) {
  const { architecture, type, predictor, magic } = form;
  const name = `${architecture} in ${type}${predictor?.layers ? " with some predictors" : ""}` +
    (magic ? " and PowerInfer's form" : "");
  const isAlike = magic !== undefined && architecture === "llama";
  const deep = isAlike ? "relu-llama, and bamboo in PowerInfer's form, are in the gate" : undefined;
  deepTest(
    `${name} answers with predictors as without, and skips more`,
    deep,
    () =>
      withTinyFile({ ...RIGHT, ...form }, async (path) => {
        const [full, formula] = [reference(path, false), reference(path, true)];
        for (const threads of [1, 2 + index % 2]) {
          const exact = await ask(path, { threads, predictor: "off" });
          const predicted = await ask(path, { threads });
          assertEquals([...new Set(predicted.used)], [true]);
          assertLess(nmse(exact.single, full), 2e-6, "the formula");
          assertLess(nmse(predicted.single, exact.single), SAME_NMSE);
          assertEquals(predicted.greedy, exact.greedy);
          assertGreater(predicted.skippedBytes, exact.skippedBytes);
          assertLess(nmse(predicted.single, formula), 2e-6, "the formula with predictors");
        }
      }),
  );
}

Deno.test("predictors of quantised models and of quantised matrices answer alike", () =>
  withTinyFile({
    ...{ ...SHAPE, architecture: "bamboo", type: "Q8_0", predictor: { rank: 32 } },
    feedForwardLength: 64,
    typeOf: (name) => /fc1/.test(name) ? "Q5_0" : /fc2/.test(name) ? "Q4_0" : undefined,
  }, async (path) => {
    const formula = reference(path, true);
    // Of three threads one has no neurons.
    for (const threads of [1, 3]) {
      const exact = await ask(path, { threads, predictor: "off" });
      const predicted = await ask(path, { threads, predictor: "on" });
      assertLess(nmse(predicted.single, exact.single), QUANT_NMSE);
      assertLess(nmse(predicted.single, formula), QUANT_NMSE);
      assertGreater(predicted.skippedBytes, 0);
    }
  }));

Deno.test("predictors of quantised experts answer alike, also where threads have no neurons", () =>
  withTinyFile({
    ...{ ...SHAPE, architecture: "drelu-moe", type: "Q8_0", predictor: { rank: 32 } },
    typeOf: (name) => /fc1/.test(name) ? "Q5_0" : /fc2/.test(name) ? "Q4_0" : undefined,
  }, async (path) => {
    const formula = reference(path, true);
    // Of three threads one has no neurons.
    for (const threads of [2, 3]) {
      const exact = await ask(path, { threads, predictor: "off" });
      const predicted = await ask(path, { threads, predictor: "on" });
      assertLess(nmse(predicted.single, exact.single), QUANT_NMSE);
      assertLess(nmse(predicted.single, formula), QUANT_NMSE);
      assertGreater(predicted.skippedBytes, 0);
    }
  }));

Deno.test("predictors work in every arena of a model that takes several", () =>
  withTinyFile({ ...RIGHT, architecture: "bamboo" }, async (path) => {
    const one = await ask(path, { threads: 2 });
    const several = await ask(path, { threads: 2, arenaBytesMax: 1_800_000 });
    assertEquals([one.arenaCount, several.arenaCount > 1], [1, true]);
    assertEquals(several.used, [true, true, true, true]);
    assertEquals(several.single, one.single);
    assertEquals(several.greedy, one.greedy);
  }));

Deno.test("a predictor that is wrong changes what the model says, as its formula does", () =>
  withTinyFile(
    { ...SHAPE, architecture: "bamboo", predictor: { rank: 8, brokenLayers: [0, 1, 2, 3] } },
    async (path) => {
      const [right, wrong] = [reference(path, false), reference(path, true)];
      assertGreater(nmse(wrong, right), 1e-2);
      const forced = await ask(path, { threads: 2, predictor: "on" });
      assertLess(nmse(forced.single, wrong), 2e-6);
      assertEquals(forced.used, [true, true, true, true]);
      assertMatch(warnings(forced)[0], /do not fit this model.*used all the same/);

      const careful = await ask(path, { threads: 2 });
      assertEquals(careful.used, [false, false, false, false]);
      assertEquals(careful.flaws, ["model", "model", "model", "model"]);
      assertMatch(
        warnings(careful)[0],
        /do not fit this model: they find \d\d\.\d %.*none is used/,
      );
      assertLess(nmse(careful.single, right), 2e-6);
    },
  ));

Deno.test("predictors of experts that are wrong are not used", () =>
  withTinyFile(
    { ...SHAPE, architecture: "drelu-moe", predictor: { rank: 4, brokenLayers: [0, 1, 2, 3] } },
    async (path) => {
      const [right, wrong] = [reference(path, false), reference(path, true)];
      assertGreater(nmse(wrong, right), 1e-2);
      const forced = await ask(path, { threads: 2, predictor: "on" });
      assertLess(nmse(forced.single, wrong), 2e-6);
      const careful = await ask(path, { threads: 2 });
      assertEquals(careful.flaws, ["model", "model", "model", "model"]);
      assertEquals(careful.used, [false, false, false, false]);
      assertLess(nmse(careful.single, right), 2e-6);
    },
  ));

Deno.test("a rehearsal counts the neurons of chosen experts, and no others", () =>
  withTinyFile(
    { ...SHAPE, architecture: "drelu-moe", predictor: { rank: 4 } },
    (path) =>
      withModel(path, { threads: 3 }, (model) => {
        for (const { fired, found, possible } of model.predictors!.choices) {
          assertEquals(possible, 16 * 2 * 64); // tokens, experts of each, neurons of these
          assertGreater(fired, 50);
          assertGreater(found / fired, 0.99);
        }
        return Promise.resolve();
      }),
  ));

Deno.test("one predictor that is wrong is left out, and named", () =>
  withTinyFile(
    { ...SHAPE, architecture: "bamboo", predictor: { rank: 8, brokenLayers: [2] } },
    async (path) => {
      const answers = await ask(path, { threads: 2 });
      assertEquals(answers.used, [true, true, false, true]);
      assertEquals(answers.flaws, [null, null, "recall", null]);
      assertMatch(warnings(answers)[0], /predictors of layer 2 find too few .*layer 2 \d\d\.\d %/);
      assertLess(nmse(answers.single, reference(path, false)), 2e-6);
    },
  ));

Deno.test("layers without a predictor are named", () =>
  withTinyFile(
    { ...SHAPE, architecture: "bamboo", predictor: { rank: 8, layers: [0, 3] } },
    async (path) => {
      const answers = await ask(path, { threads: 1 });
      assertEquals(answers.used, [true, true]);
      assertMatch(warnings(answers)[0], /missing in layers 1, 2 of the model/);
    },
  ));

Deno.test("a predictor of more bytes than the gates it spares is not used unless asked for", () =>
  withTinyFile(
    { ...SHAPE, architecture: "bamboo", predictor: { rank: 128 } },
    async (path) => {
      const careful = await ask(path, { threads: 2 });
      assertEquals(careful.flaws, ["cost", "cost", "cost", "cost"]);
      assertEquals(careful.used, [false, false, false, false]);
      assertEquals(warnings(careful), []);
      assertMatch(
        careful.notices[0].text,
        /in layers 0, 1, 2, 3 reading all gates takes less time/,
      );
      const forced = await ask(path, { threads: 2, predictor: "on" });
      assertEquals(forced.used, [true, true, true, true]);
    },
  ));

Deno.test("the threshold decides which neurons are predicted", () =>
  withTinyFile({ ...RIGHT, architecture: "bamboo" }, async (path) => {
    const exact = await ask(path, { threads: 2, predictor: "off" });
    const all = await ask(path, { threads: 2, predictor: "on", predictorThreshold: -1e30 });
    assertEquals(all.single, exact.single, "who predicts all computes the same bits");
    const none = await ask(path, { threads: 2, predictorThreshold: 1e30 });
    assertEquals(none.flaws, ["model", "model", "model", "model"]);
    assertMatch(warnings(none)[0], /find 0\.0 %/);
  }));

// fault 26: predictors that are missing or cannot be used.
Deno.test("loadModel() says when predictors cannot be used, or are not there", async () => {
  const cases: [TinyModelOptions, LoadOptions, RegExp][] = [
    [{ ...RIGHT, architecture: "llama" }, {}, /not used: neurons of silu are never silent/],
    [{ ...SHAPE, architecture: "bamboo" }, { predictor: "on" }, /this model has none/],
  ];
  for (const [options, load, message] of cases) {
    await withTinyFile(options, async (path) => {
      const answers = await ask(path, { ...load, threads: 1 });
      assertMatch(warnings(answers)[0], message);
      assertEquals(answers.used, []);
    });
  }
  await withTinyFile({ ...RIGHT, architecture: "bamboo" }, async (path) => {
    for (const load of [{ predictor: "off" }, { sparse: false }] as const) {
      assertEquals((await ask(path, { ...load, threads: 1 })).notices, []);
    }
  });
});

async function ask(path: string, options: LoadOptions): Promise<Answers> {
  const notices: Notice[] = [];
  const onNotice = (notice: Notice) => notices.push(notice);
  return await withModel(path, { ...options, onNotice }, async (model) => {
    const choices = model.predictors?.choices ?? [];
    return {
      notices,
      single: await allLogits(model, IDS, 1),
      greedy: await greedyIds(model, IDS, 16),
      arenaCount: model.arenaCount,
      skippedBytes: await skippedBytes(model),
      flaws: choices.map(({ flaw }) => flaw),
      used: choices.map(({ isUsed }) => isUsed),
    };
  });
}

async function skippedBytes(model: LoadedModel): Promise<number> {
  const request = { ids: IDS, maxTokens: 8, sampling: { temperature: 0 }, ignoreEnd: true };
  return (await model.generate(request).result).timings.skippedBytes ?? 0;
}

function warnings({ notices }: Answers): string[] {
  return notices.filter(({ kind }) => kind === "warning").map(({ text }) => text);
}

/** Logits of every position by formula. */
function reference(path: string, usesPredictors: boolean): Float32Array {
  const file = openGguf(path);
  return new ReferenceModel(file, { usesPredictors, description: describeModel(file) })
    .forward(IDS);
}
