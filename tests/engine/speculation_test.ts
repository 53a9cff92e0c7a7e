/**
 * Whole models that guess ahead, by what a text repeats and by a second model: the same ids as
 * without, and fewer steps.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertGreater, assertRejects } from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { type GenerateRequest, loadModel, type LoadOptions } from "../../src/llm/mod.ts";
import { assertSomeMayLeave, guessedAnswer, guessedAnswers } from "../support/guessed_answers.ts";
import { deepTest, IS_DEEP } from "../support/deep.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { Rng } from "../support/rng.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

const FREE = { leads: [] };
/** What begins the answer has no more than nine ids. */
const PRELUDE = {
  grammar: { kind: "parts", parts: { all: [{ until: "~" }, FREE] } },
  ...{ tokensMax: 9, endTokens: 1 },
} as const;

const GRAMMAR = { kind: "gbnf", text: 'root ::= ("ab" | "ba" | "[" [a-d] "]")*' } as const;

/** Requests whose answers repeat their prompts and themselves, in all ways of choosing ids. */
function someRequests(): GenerateRequest[] {
  const rng = new Rng(17);
  const phrase = Array.from({ length: 12 }, () => 3 + rng.int(500));
  const ids = [...phrase, 9, ...phrase, 11, ...phrase, ...phrase.slice(0, 3)];
  const bias = new Map(phrase.map((id, i) => [id, 6 + i % 3]));
  const sampled = { temperature: 1, topK: 0, topP: 1, minP: 0 };
  const own: readonly GenerateRequest[] = [
    { ids, sampling: { temperature: 0 } },
    { ids, sampling: { temperature: 0, logitBias: bias } },
    { ids, sampling: { ...sampled, seed: 1, logitBias: bias }, logprobs: 3 },
    { ids: [5, 6], sampling: { temperature: 0, repeatPenalty: 1.05, presencePenalty: 0.1 } },
    { ids, sampling: { temperature: 0.3, seed: 2, frequencyPenalty: 0.02, logitBias: bias } },
    { ids: ids.slice(4), grammar: GRAMMAR, sampling: { ...sampled, seed: 4 }, logprobs: 0 },
    { ids: ids.slice(0, 20), grammar: GRAMMAR, sampling: { temperature: 0 } },
    { ids, prelude: PRELUDE, sampling: { temperature: 0, logitBias: bias } },
    { ids, sampling: { ...sampled, temperature: 0.5, seed: 5, logitBias: bias }, maxTokens: 3 },
  ];
  return own.map((request, i) => ({ maxTokens: 20 + 3 * i, ignoreEnd: i % 2 === 0, ...request }));
}

/** Everything that an answer is but its times; and how many guesses were right. */
const MODELS: readonly (readonly [string, TinyModelOptions, LoadOptions])[] = [
  ["llama in Q4_0, a thread", { type: "Q4_0" }, { threads: 1 }],
  ["llama in F32, two threads", { type: "F32" }, { threads: 2 }],
  ["gemma2 in Q8_0, three threads", { type: "Q8_0", architecture: "gemma2" }, { threads: 3 }],
  ["deepseek32-chosen in Q8_0", { type: "Q8_0", architecture: "deepseek32-chosen" }, {
    threads: 2,
  }],
  ["lfm2 in Q8_0, two threads", { type: "Q8_0", architecture: "lfm2", seed: 2 }, { threads: 2 }],
  ["qwen2moe in Q4_0, steps of 9", { type: "Q4_0", architecture: "qwen2moe" }, {
    ...{ threads: 2, chunkTokens: 9 },
  }],
];

/** What in the gate guesses as these do. */
const ALIKE: Readonly<Record<string, string>> = {
  "llama in Q4_0, a thread": "llama in F32 and qwen2moe",
  "itself, a thread": "itself where it pays, and a stranger",
};

function deepFor(name: string): string | undefined {
  return name in ALIKE ? `in the gate are ${ALIKE[name]}` : undefined;
}

/** In the gate this one decides by itself when it guesses, too. */
const BY_ITSELF = "llama in F32, two threads";

for (const [name, form, options] of MODELS) {
  const same = `generate() of ${name} answers with guesses as without them, alone or 8 at once`;
  deepTest(
    same,
    deepFor(name),
    () =>
      withTinyFile({ ...form, contextLength: 300 }, async (path) => {
        const requests = someRequests();
        let expected: unknown[] = [];
        await withModel(path, { ...options, speculate: "off" }, async (model) => {
          const plain = await guessedAnswers(model, requests, false);
          expected = plain.answers;
          assertEquals(plain.accepted, 0);
        });
        const most = options.chunkTokens === undefined ? 7 : 15;
        for (const speculate of IS_DEEP || name === BY_ITSELF ? ["auto", most] as const : [most]) {
          await withModel(path, { ...options, speculate, parallel: 8 }, async (model) => {
            const alone = await guessedAnswers(model, requests, false);
            assertEquals(alone.answers, expected, "alone");
            const batch = await guessedAnswers(model, requests, true);
            assertEquals(batch.answers, expected, "together; prompts are in the cache");
            if (speculate === "auto") return;
            assertGreater(alone.accepted, 24);
            assertGreater(batch.accepted, 10);
          });
        }
      }),
  );
}

Deno.test("generate() stops at a stop text as without guesses", () =>
  withTinyFile({ type: "Q4_0", contextLength: 300 }, async (path) => {
    const [, request] = someRequests();
    let text = "";
    await withModel(path, { threads: 1, speculate: "off" }, async (model) => {
      text = (await model.generate({ ...request, maxTokens: 60 }).result).text;
    });
    await withModel(path, { threads: 1, speculate: 7 }, async (model) => {
      for (const at of [5, 12, 20]) {
        const stop = [text.slice(at, at + 3)];
        const { text: stopped, finishReason } = await model.generate({
          ...{ ...request, maxTokens: 60, stop },
        }).result;
        assertEquals([stopped, finishReason], [text.slice(0, text.indexOf(stop[0])), "stop"]);
      }
    });
  }));

Deno.test("generate() fills the context to its last place with guesses", () =>
  withTinyFile({ type: "Q4_0", contextLength: 100 }, async (path) => {
    const [{ ids, sampling }] = someRequests();
    const request = { ids, sampling, ignoreEnd: true };
    let expected: readonly number[] = [];
    await withModel(path, { threads: 1, speculate: "off" }, async (model) => {
      expected = (await model.generate(request).result).ids;
    });
    assertEquals(expected.length, 100 - ids.length);
    await withModel(path, { threads: 1, speculate: 15 }, async (model) => {
      assertEquals((await model.generate(request).result).ids, expected);
    });
  }));

Deno.test("generate() leaves nothing of wrong guesses where a later prompt finds it", () =>
  withTinyFile({ type: "Q4_0", contextLength: 300 }, async (path) => {
    const requests = someRequests().map((request) => ({ ...request, maxTokens: 60 }));
    const goOn = (answer: { ids: readonly number[] }, i: number) => ({
      ids: [...requests[i].ids, ...answer.ids, 77],
      ...{ sampling: { temperature: 0 }, maxTokens: 20, ignoreEnd: true },
    });
    await withModel(path, { threads: 2, speculate: 7, parallel: 8 }, async (model) => {
      const first = await guessedAnswers(model, requests, true);
      const more = first.answers.map(goOn);
      const warm = await Promise.all(more.map((request) => guessedAnswer(model, request)));
      assert(warm.some(({ timings }) => timings.cachedTokens! > 64), "answers are used again");
      await withModel(path, { threads: 2, speculate: "off" }, async (cold) => {
        const expected = await guessedAnswers(cold, more, false);
        assertEquals(warm.map(({ answer }) => answer), expected.answers);
      });
    });
  }));

for (const architecture of ["llama", "lfm2"] as const) {
  Deno.test(`generate() of ${architecture} with guesses lets requests leave at any moment`, () =>
    withTinyFile({ architecture, type: "Q8_0", contextLength: 300 }, async (path) => {
      const requests = someRequests();
      await withModel(path, { threads: 2, speculate: 7, parallel: 4 }, async (model) => {
        await assertSomeMayLeave(model, requests);
        // The engine says so a moment after it has answered.
        for (let ms = 0; ms < 100 && model.kv.usedTokens > 0; ms++) {
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        assertEquals(model.kv.usedTokens, 0);
      });
    }));
}

/** A second model: a friend guesses as the first one chooses, a stranger never. */
const DRAFT_MODELS: readonly (readonly [string, TinyModelOptions, LoadOptions])[] = [
  ["itself, a thread", { type: "Q4_0" }, { threads: 1, speculate: 5 }],
  ["itself, where it pays", { type: "Q4_0" }, { threads: 2 }],
  ["a stranger, two threads", { seed: 9, blockCount: 1 }, { threads: 2, speculate: 7 }],
  ["a family of its own, three threads", { architecture: "gemma2", type: "Q8_0" }, {
    ...{ threads: 3, speculate: 3, chunkTokens: 20 },
  }],
  ["one that convolves, steps of 8", { architecture: "lfm2", type: "Q8_0" }, {
    ...{ threads: 2, speculate: 4, chunkTokens: 8 },
  }],
  ["one of a short context", { type: "Q4_0", contextLength: 60 }, { threads: 2, speculate: 4 }],
];

for (const [name, form, options] of DRAFT_MODELS) {
  deepTest(
    `generate() guessing by a draft model (${name}) answers as without`,
    deepFor(name),
    () =>
      withTinyFile({ type: "Q4_0", contextLength: 300 }, async (path) => {
        const requests = someRequests();
        let expected: unknown[] = [];
        const { threads, chunkTokens } = options;
        await withModel(path, { threads, chunkTokens, speculate: "off" }, async (model) => {
          expected = (await guessedAnswers(model, requests, false)).answers;
        });
        await withTinyFile({ contextLength: 300, ...form }, async (draftModelPath) => {
          await withModel(path, { ...options, draftModelPath, parallel: 8 }, async (model) => {
            const { answers: together, drafted } = await guessedAnswers(model, requests, true);
            assertEquals(together, expected, "together");
            if (options.speculate !== undefined) assertGreater(drafted, 0);
            const some = requests.slice(0, 3);
            assertEquals(
              (await guessedAnswers(model, some, false)).answers,
              expected.slice(0, 3),
              "alone",
            );
          });
        });
      }),
  );
}

// What lfm2 keeps for convolutions is gone where the third text goes on.
for (const architecture of ["llama", "lfm2"] as const) {
  Deno.test(`generate() takes nearly all greedy guesses of ${architecture} for itself`, () =>
    withTinyFile({ architecture, type: "Q4_0", contextLength: 300 }, async (path) => {
      const options = { threads: 2, speculate: 4, draftModelPath: path, chunkTokens: 32 };
      await withModel(path, options, async (model) => {
        const ids = Array.from({ length: 150 }, (_, i) => 3 + (i * i) % 500);
        // Of texts that have not repeated themselves yet, several pieces long; of the second one
        // the slot has nothing that it could use but the beginning. Of the third one it has 30 ids,
        // and the keys and values of the first 32 are there.
        const other = [...ids.slice(0, 30), ...ids.slice(0, 90).toReversed()];
        for (const prompt of [ids, other, ids.slice(0, 34)]) {
          const sampling = { temperature: 0 };
          const request = { ids: prompt, maxTokens: 20, sampling, ignoreEnd: true };
          const { timings } = await guessedAnswer(model, request);
          // While it runs, too: what is told never shrinks, and comes to what is told at the end.
          const told: number[] = [];
          for await (const { draftedTokens = 0 } of model.generate(request)) {
            told.push(draftedTokens);
          }
          assertEquals(told, told.toSorted((a, b) => a - b));
          assertGreater(told[told.length >> 1], 0);
          assertGreater(timings.draftedTokens!, 12);
          assertGreater(timings.acceptedTokens!, 0.9 * timings.draftedTokens!);
        }
      });
    }));
}

Deno.test("loadModel() refuses a draft model of other ids, and one that cannot be followed", () =>
  withTinyFile(
    { type: "Q4_0" },
    (path) =>
      withTinyFile(
        { vocabSize: 480 },
        (other) =>
          withTinyFile({ architecture: "bamboo", type: "Q4_0" }, async (silent) => {
            const refused = (path: string, draftModelPath: string) =>
              assertRejects(
                () => loadModel(path, { threads: 1, draftModelPath }),
                UnsupportedModelError,
              );
            const { message } = await refused(path, other);
            assert(message.includes("its vocabulary has 480 tokens, the model's 512"), message);
            assert((await refused(silent, path)).message.includes("leave out --draft-model"));
            // Room for the model, but not for two of them.
            const within = async (memoryBytes: number) => {
              const options = { threads: 1, draftModelPath: path, memoryBytes };
              return (await assertRejects(() => loadModel(path, options), Error)).message;
            };
            const mib = Number((await within(2 ** 20)).match(/takes ([\d.]+) MiB/)![1]);
            assert((await within((mib + 0.1) * 2 ** 20)).includes("both models take"));
          }),
      ),
  ));
