/**
 * Models that answer a source, on one thread and on several, against the reference; several of
 * their requests at once; and what is not asked of them.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess, assertRejects, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import type { GenerateRequest, LoadedModel, LoadOptions } from "../../src/llm/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { hearAlone, hearTogether, someRequests } from "../support/some_requests.ts";
import { nmse } from "../support/compare.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { randomIds } from "../support/rng.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

/** Of log probabilities by F32 weights; measured 2e-12 at most. */
const NMSE_MAX = 1e-11;
const Q8_0_NMSE_MAX = 1e-3;
const GREEDY = { temperature: 0 };
const TOP = 20;
/** Longer than what attends at once, and no multiple of a block of positions. */
const IDS = randomIds(150, { from: 3, end: 503, seed: 7 });
/** One id; fewer than an answer has; many. */
const LENGTHS = [1, 7, IDS.length];
const ANSWER_TOKENS = 12;

interface Answer {
  readonly ids: readonly number[];
  /** Of each id the best few log probabilities, in order. */
  readonly logprobs: Float64Array;
}

async function answerOf(model: LoadedModel, request: GenerateRequest): Promise<Answer> {
  const ids: number[] = [], logprobs: number[] = [];
  const asked = { maxTokens: ANSWER_TOKENS, sampling: GREEDY, ignoreEnd: true, logprobs: TOP };
  for await (const chunk of model.generate({ ...asked, ...request })) {
    ids.push(...chunk.ids);
    for (const { top } of chunk.logprobs ?? []) logprobs.push(...top.map((each) => each.logprob));
  }
  return { ids, logprobs: Float64Array.from(logprobs) };
}

function expectedOf(path: string, source: readonly number[]): Answer {
  const reference = new ReferenceModel(openGguf(path));
  reference.read(source);
  const ids: number[] = [], logprobs: number[] = [];
  for (let position = 0; position < ANSWER_TOKENS; position++) {
    const logits = reference.forward([ids[position - 1] ?? 0], position);
    const order = Array.from(logits, (_, id) => id).sort((a, b) => logits[b] - logits[a]);
    const sum = logits.reduce((all, each) => all + Math.exp(each - logits[order[0]]), 0);
    const last = logits[order[0]] + Math.log(sum);
    ids.push(order[0]);
    logprobs.push(...order.slice(0, TOP).map((id) => logits[id] - last));
  }
  return { ids, logprobs: Float64Array.from(logprobs) };
}

for (const architecture of ["t5", "t5-gated"] as const) {
  Deno.test(`the engine answers sources by ${architecture} as the reference does`, () =>
    withTinyFile({ architecture, seed: 3 }, async (path) => {
      const sources = LENGTHS.map((length) => IDS.slice(0, length));
      const expected = sources.map((ids) => expectedOf(path, ids));
      for (const threads of [1, 2, 3]) {
        // A source is one step, whatever is asked.
        await withModel(path, { threads, chunkTokens: 32, gpu: "off" }, async (model) => {
          for (const [i, ids] of sources.entries()) {
            const answer = await answerOf(model, { ids });
            const of = `${threads} threads, ${ids.length} tokens`;
            assertEquals(answer.ids, expected[i].ids, of);
            assertLess(nmse(answer.logprobs, expected[i].logprobs), NMSE_MAX, of);
          }
        });
      }
    }));
}

Deno.test("the engine answers sources in Q8_0, with integers as keys, nearly so", () =>
  withTinyFile({ architecture: "t5-gated", seed: 3, type: "Q8_0" }, async (path) => {
    const expected = expectedOf(path, IDS);
    await withModel(path, { threads: 2, kvType: "i16", gpu: "off" }, async (model) => {
      // As long as both say the same.
      const answer = await answerOf(model, { ids: IDS });
      const same = expected.ids.findIndex((id, i) => id !== answer.ids[i]);
      const count = TOP * (same < 0 ? ANSWER_TOKENS : same + 1);
      const [own, other] = [answer, expected].map(({ logprobs }) => logprobs.subarray(0, count));
      assertLess(nmse(own, other), Q8_0_NMSE_MAX);
    });
  }));

Deno.test("what has read a source reaches the layers that ask it in other arenas", () =>
  withTinyFile({ architecture: "t5", seed: 3 }, async (path) => {
    const expected = expectedOf(path, IDS);
    const options: LoadOptions = { threads: 2, contextLength: 200, gpu: "off" };
    let most = 0;
    await withModel(path, options, ({ memory }) => {
      most = memory.totalBytes;
      return Promise.resolve();
    });
    const arenaBytesMax = Math.ceil(most / 2 * 0.99);
    await withModel(path, { ...options, arenaBytesMax }, async (model) => {
      assertEquals(model.arenaCount, 2);
      const answer = await answerOf(model, { ids: IDS });
      assertEquals(answer.ids, expected.ids);
      assertLess(nmse(answer.logprobs, expected.logprobs), NMSE_MAX);
    });
  }));

/** Rows that are computed together, and rows of which silent neurons are left out. */
const FORMS: readonly (readonly [string, TinyModelOptions, LoadOptions])[] = [
  ["t5-gated in Q8_0", { architecture: "t5-gated", type: "Q8_0" }, { threads: 2 }],
  ["t5, whose neurons are silent, in Q4_0", { architecture: "t5", type: "Q4_0" }, { threads: 3 }],
];

for (const [name, form, options] of FORMS) {
  Deno.test(`generate() of ${name} hears the same alone and in a batch of 8`, () =>
    withTinyFile({ ...form, contextLength: 300, seed: 3 }, async (path) => {
      const requests = someRequests(8, 24);
      let alone: Awaited<ReturnType<typeof hearAlone>> = [];
      await withModel(path, { ...options, parallel: 1, gpu: "off" }, async (model) => {
        alone = await hearAlone(model, requests);
      });
      alone.forEach(({ ids }, i) => assertEquals(ids.length, requests[i].maxTokens));
      for (const parallel of [8, 3]) {
        await withModel(path, { ...options, parallel, gpu: "off" }, async (model) => {
          assertEquals(await hearTogether(model, requests), alone, `${parallel} at once`);
          assertEquals(await hearTogether(model, requests.toReversed()), alone.toReversed());
          assertEquals(model.kv.usedTokens, 0);
        });
      }
    }));
}

Deno.test("a source is read anew, whatever another one began with", () =>
  withTinyFile({ architecture: "t5", seed: 3 }, async (path) => {
    const prompts = [IDS.slice(0, 96), IDS.slice(0, 64), IDS, IDS.slice(0, 64)];
    const fresh: Answer[] = [];
    for (const ids of prompts) {
      await withModel(path, { threads: 1, gpu: "off" }, async (model) => {
        fresh.push(await answerOf(model, { ids }));
      });
    }
    await withModel(path, { threads: 1, parallel: 4, gpu: "off" }, async (model) => {
      for (const [i, ids] of prompts.entries()) {
        assertEquals(await answerOf(model, { ids }), fresh[i]);
      }
      // Of who asks for no seed others take whatever is remembered.
      for (const ids of [IDS.slice(0, 64), IDS]) {
        const { timings } = await model.generate({ ids, maxTokens: 1, sampling: {} }).result;
        assertEquals([timings.promptTokens, timings.cachedTokens], [ids.length + 1, 0]);
      }
      const together = await Promise.all(prompts.map((ids) => answerOf(model, { ids })));
      assertEquals(together, fresh);
    });
  }));

Deno.test("an answer to a source ends at the end token, where it is full, and when it is cut off", () =>
  withTinyFile({ architecture: "t5", seed: 3 }, async (path) => {
    const { ids: expected } = expectedOf(path, IDS.slice(0, 7));
    const options: LoadOptions = { threads: 2, contextLength: 40, gpu: "off" };
    await withModel(path, options, async (model) => {
      const end = new Set(model.tokenizer.endIds);
      assert(end.size > 0);
      const [endId] = end;
      const logitBias = new Map([[endId, 100]]);
      const stopped = model.generate({ ids: IDS.slice(0, 7), sampling: { logitBias } });
      assertEquals((await stopped.result).finishReason, "stop");
      assertEquals((await stopped.result).ids, []);
      const full = model.generate({ ids: IDS.slice(0, 7), sampling: GREEDY, ignoreEnd: true });
      const { ids, finishReason } = await full.result;
      assertEquals([ids.length, finishReason], [40 - 7 - 1, "length"]);
      assertEquals(ids.slice(0, ANSWER_TOKENS), expected);
      const cancel = new AbortController();
      const cut = model.generate({ ids: IDS.slice(0, 30), ignoreEnd: true, signal: cancel.signal });
      cancel.abort();
      assertEquals((await cut.result).finishReason, "cancelled");
      const again = model.generate({ ids: IDS.slice(0, 7), sampling: GREEDY, ignoreEnd: true });
      assertEquals((await again.result).ids, ids);
    });
  }));

Deno.test("penalties are for what was answered, not for what a source says", () =>
  withTinyFile(
    { architecture: "t5", seed: 3 },
    (path) =>
      withModel(path, { threads: 1, gpu: "off" }, async (model) => {
        const first = async (ids: readonly number[], sampling: GenerateRequest["sampling"]) =>
          (await model.generate({ ids, maxTokens: 1, sampling, ignoreEnd: true }).result).ids[0];
        const id = await first(IDS.slice(0, 30), GREEDY);
        // Sources that say what is answered to them.
        const saying = IDS.slice(0, 30).map((_, at) => IDS.slice(0, 30).with(at, id));
        const answers: number[] = [];
        for (const ids of saying) answers.push(await first(ids, GREEDY));
        const ids = saying.find((_, i) => answers[i] === id);
        assert(ids !== undefined);
        assertEquals(await first(ids, { ...GREEDY, repeatPenalty: 5, presencePenalty: 2 }), id);
      }),
  ));

Deno.test("a source leaves room for what its answer begins with, and for an id of it", () =>
  withTinyFile(
    { architecture: "t5" },
    (path) =>
      withModel(path, { threads: 1, contextLength: 40, gpu: "off" }, async (model) => {
        const fits = model.generate({ ids: IDS.slice(0, 38), ignoreEnd: true });
        assertEquals((await fits.result).ids.length, 1);
        const error = assertThrows(
          () => model.generate({ ids: IDS.slice(0, 39) }),
          RequestError,
          "The prompt has 40 tokens, the context holds 40",
        );
        assertEquals(error.code, "context_length_exceeded");
      }),
  ));

Deno.test("a model that answers sources is twice as long as it was trained, and follows no text", () =>
  withTinyFile(
    { architecture: "t5-gated" },
    (path) =>
      withModel(path, { threads: 1, gpu: "off" }, async (model) => {
        assertEquals([model.contextLength, model.answersSources], [512, true]);
        // Two layers of heads and 96 neurons, and of the embedding all but a row.
        const reading = 2 * (4 * 64 * 64 + 3 * 96 * 64) * 4 + (512 - 1) * 64 * 4;
        assertEquals(model.memory.weightsBytes - model.bytesPerToken, reading);
        const refused = (asked: Promise<unknown>, what: string) =>
          assertRejects(
            () => asked,
            RequestError,
            `Cannot ${what} with this model: t5 reads a source`,
          );
        await refused(model.embed([IDS]), "make vectors of texts");
        await refused(model.logits(IDS, () => {}), "predict every token of a text");
        await refused(model.negativeLogLikelihood(IDS, 1), "measure how surprising a text is");
        await refused(model.promptLogprobs(IDS, 0), "say how likely a prompt is");
        await refused(model.observe(IDS).next(), "observe neurons");
      }),
  ));

Deno.test("no model guesses for one that answers sources, nor does such a one guess", () =>
  withTinyFile({ architecture: "t5-gated" }, (source) =>
    withTinyFile({}, async (text) => {
      const options: LoadOptions = { threads: 1, gpu: "off", speculate: 3 };
      await assertRejects(
        () => withModel(source, { ...options, draftModelPath: text }, () => Promise.resolve()),
        Error,
        "answers a source, which a draft model knows nothing of",
      );
      await assertRejects(
        () => withModel(text, { ...options, draftModelPath: source }, () => Promise.resolve()),
        Error,
        "it answers a source",
      );
    })));
