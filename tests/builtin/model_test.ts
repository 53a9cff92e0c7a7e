/**
 * The built-in model as the promise of its card: it answers, most of its neurons are silent, and
 * leaving them out changes nothing.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { evaluate, heldOutQuestions } from "../../builtin/evaluation/evaluate.ts";
import { BUILT_IN_MODEL_PATH } from "../../src/llm/built_in_model.ts";
import type { LoadedModel } from "../../src/llm/mod.ts";
import { kl } from "../support/compare.ts";
import { allLogits, withModel } from "../support/loaded_model.ts";

const BYTES_MAX = 12e6;
/** The aim of its card. */
const RIGHT_SHARE_MIN = 0.9;
const SKIPPED_SHARE_MIN = 0.85;
const KL_MEAN_MAX = 1e-4;
const GREEDY_TOKENS = 500;

const STORY = [{ role: "user", content: "Tell me a story about a fox." }];

Deno.test(`the built-in model has at most ${BYTES_MAX} bytes`, async () => {
  assertLessOrEqual((await Deno.stat(BUILT_IN_MODEL_PATH)).size, BYTES_MAX);
});

Deno.test("the built-in model answers most held-out questions, with few of its neurons", () =>
  withModel(BUILT_IN_MODEL_PATH, { threads: 1 }, async (model) => {
    const { graded, skippedShare } = await evaluate(model, heldOutQuestions());
    assertEquals(graded.length, 100);
    const wrong = graded.filter(({ isRight }) => !isRight);
    const right = graded.length - wrong.length;
    const told = wrong.map(({ question, answer }) => `${question.text}\n  ${answer}`).join("\n");
    assertGreaterOrEqual(right, RIGHT_SHARE_MIN * graded.length, told);
    assertGreaterOrEqual(skippedShare, SKIPPED_SHARE_MIN);
  }));

Deno.test("the built-in model gives the same 500 greedy ids with and without --dense", async () => {
  const [sparse, dense] = await both((model) => longAnswer(model));
  assertEquals(sparse.length, GREEDY_TOKENS);
  assertEquals(sparse, dense);
});

Deno.test("the built-in model predicts alike with and without --dense, token by token", async () => {
  const [sparse, dense] = await both(async (model) => {
    const ids = await longAnswer(model, 200);
    return { logits: await allLogits(model, ids), vocabSize: model.config.vocabSize };
  });
  assertLessOrEqual(kl(sparse.logits, dense.logits, sparse.vocabSize).mean, KL_MEAN_MAX);
});

/** What nobody taught it. */
const BEYOND_IT = [
  ...["What is the capital of Portugal?", "Integrate x squared for me.", "What is 17 times 23?"],
  ...["Translate good morning into Japanese.", "How many legs does a spider have?"],
  ...["Give me a recipe for pancakes.", "Who is the president of France?"],
  ...["What's the weather in Oslo?", "How tall is Mount Everest?", "Explain photosynthesis."],
];

Deno.test("the built-in model says what it is when asked what it cannot know", () =>
  withModel(BUILT_IN_MODEL_PATH, {}, async (model) => {
    const others: string[] = [];
    for (const content of BEYOND_IT) {
      const ids = model.encodeChat([{ role: "user", content }]);
      const request = { ids, maxTokens: 80, sampling: { temperature: 0 } };
      const { text } = await model.generate(request).result;
      if (!text.includes("I am a small model that knows about Ganglion")) others.push(text);
    }
    assert(others.length <= 1, others.join("\n"));
  }));

/** What `ask` gets from the model as it is, and with every neuron computed. */
async function both<T>(ask: (model: LoadedModel) => Promise<T>): Promise<[T, T]> {
  const answers: T[] = [];
  for (const sparse of [true, false]) {
    // One token at a time: chunks are dense either way.
    await withModel(BUILT_IN_MODEL_PATH, { threads: 2, sparse, chunkTokens: 1 }, async (model) => {
      answers.push(await ask(model));
    });
  }
  return [answers[0], answers[1]];
}

/** Greedy ids of a story and of whatever follows it. */
async function longAnswer(model: LoadedModel, count = GREEDY_TOKENS): Promise<readonly number[]> {
  const { ids } = await model.generate({
    ids: model.encodeChat(STORY),
    maxTokens: count,
    sampling: { temperature: 0 },
    ignoreEnd: true,
  }).result;
  return ids;
}
