/**
 * Whole models that guess ahead by a model of one layer with their rows (EAGLE-3): the same ids as
 * without, whether guesses are right, wrong, or right for a while; alone and several at once, with
 * beginnings that are used again, and texts that part from one another.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "@std/assert";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { type GenerateRequest, loadModel, type LoadOptions } from "../../src/llm/mod.ts";
import { assertSomeMayLeave, guessedAnswer, guessedAnswers } from "../support/guessed_answers.ts";
import { withFile, withModel, withTinyFile } from "../support/loaded_model.ts";
import { Rng } from "../support/rng.ts";
import { makeGuessable, tinyEagle, type TinyEagleOptions } from "../support/tiny_eagle.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

const GRAMMAR = { kind: "gbnf", text: 'root ::= ("ab" | "ba" | "[" [a-d] "]")*' } as const;

function someRequests(): GenerateRequest[] {
  const rng = new Rng(23);
  const ids = (count: number) => Array.from({ length: count }, () => 3 + rng.int(500));
  const sampled = { temperature: 1, topK: 0, topP: 1, minP: 0 };
  const long = ids(70);
  return [
    { ids: long, sampling: { temperature: 0 } },
    { ids: ids(5), sampling: { temperature: 0, presencePenalty: 0.3 } },
    { ids: ids(33), sampling: { ...sampled, temperature: 0.3, seed: 3 }, logprobs: 2 },
    { ids: ids(1), sampling: { temperature: 0 } },
    // They part from the first one, in a block and at the end of one.
    { ids: [...long.slice(0, 45), 9, 10], sampling: { ...sampled, temperature: 0.5, seed: 4 } },
    { ids: [...long.slice(0, 64), 11], sampling: { temperature: 0 } },
    { ids: ids(12), grammar: GRAMMAR, sampling: { ...sampled, seed: 5 } },
  ].map((request, i) => ({ maxTokens: 30 + 3 * i, ignoreEnd: i !== 6, ...request }));
}

interface Case {
  /** How much blocks of the model count; null: it is left as it is. */
  readonly share: number | null;
  readonly model?: TinyModelOptions;
  readonly draft?: TinyEagleOptions;
  readonly options: LoadOptions;
  /** Between which two the part of guesses is that is right. */
  readonly right: readonly [number, number];
}

/** Most tokens, in no order. */
const TOKENS = Array.from({ length: 500 }, (_, i) => (i * 37 + 5) % 512);
const CASES: Readonly<Record<string, Case>> = {
  "right for a while": { share: 0.15, options: { threads: 2 }, right: [0.15, 0.6] },
  "right for a while, of listed tokens, 15 at a time": {
    ...{ share: 0.02, draft: { tokens: TOKENS } },
    ...{ options: { threads: 1, speculate: 15 }, right: [0.1, 0.5] },
  },
  "right, in short steps": {
    ...{ share: 0, draft: { layers: [0, 1, 2] }, options: { threads: 3, chunkTokens: 9 } },
    right: [0.4, 0.9],
  },
  "wrong, of a quantised qwen3": {
    ...{ share: null, model: { architecture: "qwen3", type: "Q8_0" }, options: { threads: 2 } },
    ...{ draft: { type: "Q8_0", embeddingLength: 96, hasEmbedding: true, hasOutput: true } },
    right: [-1, 0.2],
  },
  "where they pay": { share: 0.05, options: { threads: 1, speculate: "auto" }, right: [-1, 1] },
};

async function withBoth(
  { share, model = {}, draft = {} }: Pick<Case, "share" | "model" | "draft">,
  use: (path: string, draftModelPath: string) => Promise<void>,
): Promise<void> {
  await withTinyFile({ contextLength: 300, ...model }, async (path) => {
    const output = share === null ? undefined : await makeGuessable(path, share);
    await withFile(tinyEagle({ output, ...draft }), (draftPath) => use(path, draftPath));
  });
}

for (const [name, of] of Object.entries(CASES)) {
  Deno.test(`generate() answers as without guesses with those of its own rows: ${name}`, () =>
    withBoth(of, async (path, draftModelPath) => {
      const { options, right } = of;
      const { threads, chunkTokens } = options;
      let expected: unknown[] = [];
      await withModel(path, { threads, chunkTokens, speculate: "off" }, async (model) => {
        expected = (await guessedAnswers(model, someRequests(), false)).answers;
      });
      const guessing = { speculate: 3, parallel: 4, ...options, draftModelPath } as const;
      await withModel(path, guessing, async (model) => {
        const alone = await guessedAnswers(model, someRequests(), false);
        assertEquals(alone.answers, expected, "alone");
        const batch = await guessedAnswers(model, someRequests(), true);
        assertEquals(batch.answers, expected, "together; prompts are in the cache");
        if (options.speculate !== "auto") assertGreater(alone.drafted, 100);
        for (const share of [alone.share, batch.share]) {
          assertGreater(share, right[0]);
          assertLess(share, right[1] + 1e-9);
        }
      });
    }));
}

Deno.test("generate() takes nearly all greedy guesses of a model that knows what comes", () =>
  withBoth({ share: 0 }, async (path, draftModelPath) => {
    const options = { threads: 2, speculate: 4, draftModelPath, chunkTokens: 32 };
    await withModel(path, options, async (model) => {
      const ids = Array.from({ length: 100 }, (_, i) => 3 + (i * 37) % 500);
      for (const prompt of [ids, [...ids.slice(0, 50), 9, 4]]) {
        const request = { ids: prompt, maxTokens: 20, sampling: { temperature: 0 } };
        const { drafted, accepted } = await guessedAnswer(model, { ...request, ignoreEnd: true });
        assertGreater(drafted, 10);
        assertGreater(accepted, 0.8 * drafted);
      }
    });
  }));

Deno.test("generate() fills the context to its last place with guesses of its own rows", () =>
  withBoth({ share: 0, model: { contextLength: 100 } }, async (path, draftModelPath) => {
    const request = { ids: [5, 6, 7], sampling: { temperature: 0 }, ignoreEnd: true };
    let expected: readonly number[] = [];
    await withModel(path, { threads: 1, speculate: "off" }, async (model) => {
      expected = (await model.generate(request).result).ids;
    });
    assertEquals(expected.length, 97);
    await withModel(path, { threads: 1, speculate: 15, draftModelPath }, async (model) => {
      assertEquals((await model.generate(request).result).ids, expected);
    });
  }));

Deno.test("generate() with guesses of its own rows lets requests leave at any moment", () =>
  withBoth({ share: 0.1 }, async (path, draftModelPath) => {
    const options = { threads: 2, speculate: 5, parallel: 4, draftModelPath } as const;
    await withModel(path, options, (model) => assertSomeMayLeave(model, someRequests()));
  }));

Deno.test("loadModel() refuses a model that guesses with the rows of another one", async () => {
  const refusals: readonly (readonly [TinyEagleOptions, string, TinyModelOptions?])[] = [
    [{ rowLength: 96 }, "it reads rows of 96 numbers, those of the model have 64"],
    [{ layers: [0, 1, 3] }, "it reads what goes into layer 3, the model has 2 layers"],
    [{ tokenCount: 480 }, "its vocabulary has 480 tokens, the model's 512"],
    [{ tokens: TOKENS }, "leave out --draft-model", { architecture: "bamboo", type: "Q4_0" }],
    [{ tokens: TOKENS }, "keep states of the text", { architecture: "qwen35" }],
    [{ tokens: TOKENS }, "several residual streams", { architecture: "hrm_text" }],
  ];
  for (const [draft, why, model = {}] of refusals) {
    await withTinyFile(model, (path) =>
      withFile(tinyEagle(draft), async (draftModelPath) => {
        const load = () => loadModel(path, { threads: 1, gpu: "off", draftModelPath });
        const { message } = await assertRejects(load, UnsupportedModelError);
        assert(message.includes(why), message);
      }));
  }
});

Deno.test("loadModel() refuses lists of guessed tokens that name none, or one twice", async () => {
  for (
    const [token, why] of [[512, "is 512, tokens are 0 to 511"], [-1, "is -1"], [
      8,
      "is 8, as an earlier one is",
    ]] as const
  ) {
    await withTinyFile(
      {},
      (path) =>
        withFile(tinyEagle({ tokens: [8, 9, token] }), async (draftModelPath) => {
          const load = () => loadModel(path, { threads: 2, gpu: "off", draftModelPath });
          const { message } = await assertRejects(load, ModelFormatError);
          assert(message.includes(`its number 2 ${why}`), message);
          assert(message.includes(draftModelPath), message);
        }),
    );
  }
});

Deno.test("loadModel() says of a model that guesses with another one's rows what it is for", () =>
  withFile(tinyEagle(), async (path) => {
    const { message } = await assertRejects(() => loadModel(path, { threads: 1 }), Error);
    assert(message.includes("give that model's file, and this one with --draft-model"), message);
  }));

Deno.test("loadModel() says what a model needs with one that guesses, and that is enough", () =>
  withTinyFile({}, (path) =>
    withFile(tinyEagle(), async (draftModelPath) => {
      const options = { threads: 1, gpu: "off", draftModelPath } as const;
      const refused = (memoryBytes: number) =>
        assertRejects(() => loadModel(path, { ...options, memoryBytes }), UnsupportedModelError);
      const [, alone] = /takes .* \((\d+) bytes\)/.exec((await refused(2 ** 20)).message)!;
      const { message } = await refused(Number(alone));
      const [, both] = /both models take \S+ MiB \((\d+) bytes\), more than/.exec(message)!;
      await withModel(path, { ...options, memoryBytes: Number(both) }, async (model) => {
        const asked = { ids: [5, 6], maxTokens: 2, ignoreEnd: true };
        assertEquals((await model.generate(asked).result).ids.length, 2);
      });
      await refused(Number(both) - 1);
    })));
