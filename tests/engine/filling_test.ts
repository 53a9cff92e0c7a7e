/** Models that fill in a text, on one thread and on several, against the reference. */
import "../support/thread_pool.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import type { GenerateRequest, LoadedModel, LoadOptions } from "../../src/llm/mod.ts";
import { referenceFill } from "../../src/reference/fill.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import { exactLogits } from "../support/known_logits.ts";
import { allLogits, withModel, withTinyFile } from "../support/loaded_model.ts";
import { Rng } from "../support/rng.ts";
import { FILL_FAMILIES, TINY_MASK, type TinyFillName } from "../support/tiny_fill_families.ts";

/** F32 weights. */
const NMSE_MAX = 1e-11;
const Q8_0_NMSE_MAX = 3e-3;
/** Longer than what attends at once, than logits of a step, and no multiple of a block. */
const IDS = Array.from({ length: 150 }, ((rng) => () => 3 + rng.int(500))(new Rng(7)));
/** Some of it masked, as it is in a step. */
const MASKED = IDS.map((id, at) => at >= 100 && at % 3 > 0 ? TINY_MASK : id);
const NAMES = Object.keys(FILL_FAMILIES) as TinyFillName[];

for (const architecture of NAMES) {
  Deno.test(`the engine's logits of masks by ${architecture} are the reference's`, () =>
    withTinyFile({ architecture, seed: 3 }, async (path) => {
      for (const threads of [1, 3]) {
        // A text is one step, whatever is asked.
        await withModel(path, { threads, chunkTokens: 32, gpu: "off" }, async (model) => {
          for (const ids of [MASKED, MASKED.slice(0, 33), [TINY_MASK]]) {
            const error = nmse(await allLogits(model, ids), exactLogits(path, ids));
            assertLess(error, NMSE_MAX, `${threads} threads, ${ids.length} tokens`);
          }
        });
      }
    }));
}

Deno.test("every row of a text that is filled in depends on those behind it", () =>
  withTinyFile({ architecture: "dream", seed: 3 }, async (path) => {
    const other = MASKED.with(-1, 7);
    const first = (logits: Float32Array) => logits.slice(0, 512);
    assertGreater(nmse(first(exactLogits(path, other)), first(exactLogits(path, MASKED))), 1e-7);
    await withModel(path, { threads: 2, gpu: "off" }, async (model) => {
      const logits = await allLogits(model, other);
      assertLess(nmse(first(logits), first(exactLogits(path, other))), NMSE_MAX);
      // However many rows of logits a step gives.
      const few = await allLogits(model, other, 7);
      assertLess(nmse(few, logits), 1e-12);
    });
  }));

Deno.test("rnd1 in Q8_0 gives nearly the reference's logits, with integers as keys", () =>
  withTinyFile({ architecture: "rnd1", seed: 3, type: "Q8_0" }, async (path) => {
    await withModel(path, { threads: 2, kvType: "i16", gpu: "off" }, async (model) => {
      const error = nmse(await allLogits(model, MASKED), exactLogits(path, MASKED));
      assertLess(error, Q8_0_NMSE_MAX);
      assert(model.config.fill);
    });
    assertEquals(new ReferenceModel(openGguf(path)).config.isEncoder, undefined);
  }));

/** Prompts of several lengths. */
const PROMPTS = [IDS.slice(0, 20), IDS.slice(3, 4), IDS.slice(0, 101)];
const GREEDY = { temperature: 0 };
const FORMS = [
  { blockTokens: 32, stepTokens: 1, order: "confidence" },
  { blockTokens: 7, stepTokens: 3, order: "entropy" },
  { blockTokens: 64, stepTokens: 16, order: "margin" },
] as const;

for (const [i, architecture] of NAMES.entries()) {
  Deno.test(`the engine fills in by ${architecture} what the reference does`, () =>
    withTinyFile({ architecture, seed: 3 }, async (path) => {
      const reference = new ReferenceModel(openGguf(path));
      // Every order, by one thread and by several.
      const form = FORMS[i % FORMS.length];
      const count = form.stepTokens === 1 ? 10 : 40;
      const expected = PROMPTS.map((ids) => referenceFill(reference, ids, { ...form, count }));
      for (const threads of [1, 3]) {
        await withModel(path, { threads, gpu: "off", fill: form }, async (model) => {
          for (const [i, ids] of PROMPTS.entries()) {
            const asked = { ids, maxTokens: count, sampling: GREEDY, ignoreEnd: true };
            const { ids: answer, finishReason, timings } = await model.generate(asked).result;
            assertEquals([answer, finishReason], [expected[i], "length"]);
            assertEquals([timings.promptTokens, timings.predictedTokens], [ids.length, count]);
          }
          assertEquals(model.kv.usedTokens, 0);
        });
      }
    }));
}

/** Answers with a seed, at a temperature. */
async function seeded(model: LoadedModel, seed: number, more: Partial<GenerateRequest> = {}) {
  const sampling = { temperature: 1, topK: 0, topP: 1, minP: 0, seed };
  const asked = { ids: PROMPTS[0], maxTokens: 24, sampling, ignoreEnd: true, ...more };
  return (await model.generate(asked).result).ids;
}

for (const order of ["confidence", "random"] as const) {
  Deno.test(`an answer with a seed is the same each time, alone and beside others (${order})`, () =>
    withTinyFile({ architecture: "dream", seed: 3, type: "Q8_0" }, async (path) => {
      const fill = { order, blockTokens: 8, stepTokens: 3 };
      const alone: (readonly number[])[] = [];
      const options: LoadOptions = { threads: 2, gpu: "off", fill };
      await withModel(path, options, async (model) => {
        for (const seed of [1, 2, 1]) alone.push(await seeded(model, seed));
        assertEquals(alone[2], alone[0]);
        assertNotEquals(alone[1], alone[0]);
      });
      await withModel(path, { ...options, parallel: 3 }, async (model) => {
        const together = await Promise.all([1, 2, 1].map((seed) => seeded(model, seed)));
        assertEquals(together, alone);
        assertEquals(model.kv.usedTokens, 0);
      });
    }));
}

Deno.test("an answer is handed out as soon as all before is there, and ends at the end token", () =>
  withTinyFile(
    { architecture: "llada", seed: 3 },
    (path) =>
      withModel(path, { threads: 1, gpu: "off", fill: { blockTokens: 8 } }, async (model) => {
        const asked = { ids: PROMPTS[0], maxTokens: 20, sampling: GREEDY };
        const chunks: number[][] = [];
        for await (const { ids } of model.generate({ ...asked, ignoreEnd: true })) {
          chunks.push([...ids]);
        }
        const whole = (await model.generate({ ...asked, ignoreEnd: true }).result).ids;
        assertEquals(chunks.flat(), whole);
        assertEquals(whole.length, 20);
        const [endId] = model.tokenizer.endIds;
        const logitBias = new Map([[endId, 100]]);
        const ended = await model.generate({ ...asked, sampling: { ...GREEDY, logitBias } }).result;
        assertEquals([ended.ids, ended.finishReason], [[], "stop"]);
        // The end token is in the middle of a block: what is behind it is cut off.
        const bias = new Map([[endId, await biasFor(model, endId)]]);
        const some = await model.generate({ ...asked, sampling: { ...GREEDY, logitBias: bias } });
        const { ids, finishReason } = await some.result;
        const all = model.generate({
          ...{ ...asked, sampling: { ...GREEDY, logitBias: bias }, ignoreEnd: true },
        });
        const full = (await all.result).ids;
        assertEquals(finishReason, "stop");
        assertEquals(full.slice(0, ids.length + 1), [...ids, endId]);
        assertEquals(full.length, 20);
      }),
  ));

/** As much as makes the end token come in some place, not in the first one. */
async function biasFor(model: LoadedModel, endId: number): Promise<number> {
  for (let bias = 0; bias < 30; bias += 0.25) {
    const sampling = { ...GREEDY, logitBias: new Map([[endId, bias]]) };
    const asked = { ids: PROMPTS[0], maxTokens: 20, sampling, ignoreEnd: true };
    const { ids } = await model.generate(asked).result;
    if (ids.includes(endId) && ids[0] !== endId) return bias;
  }
  throw new Error("a bias that puts the end token behind the first place");
}

Deno.test("a mask is never an answer, nor is what a bias forbids; penalties count what is there", () =>
  withTinyFile(
    { architecture: "llada", seed: 3 },
    (path) =>
      withModel(path, { threads: 1, gpu: "off" }, async (model) => {
        const asked = { ids: PROMPTS[0], maxTokens: 12, ignoreEnd: true };
        const answer = async (sampling: GenerateRequest["sampling"]) =>
          (await model.generate({ ...asked, sampling: { ...GREEDY, ...sampling } }).result).ids;
        const plain = await answer({});
        const forbidden = new Map([[TINY_MASK, 1000], [plain[0], -Infinity]]);
        const other = await answer({ logitBias: forbidden });
        assert(!other.includes(TINY_MASK) && !other.includes(plain[0]));
        const varied = await answer({ presencePenalty: 50, repeatLastN: -1 });
        assertEquals(new Set(varied).size, 12);
        // What the prompt has said counts, too.
        const liked = new Map([[PROMPTS[0][3], 30]]);
        assertEquals(new Set(await answer({ logitBias: liked })), new Set(liked.keys()));
        const penalised = { logitBias: liked, presencePenalty: 50, repeatLastN: -1 };
        assertEquals((await answer(penalised)).includes(PROMPTS[0][3]), false);
        assertLess(new Set(plain).size, 12);
      }),
  ));

Deno.test("an answer is as long as there is room for, 256 where nobody says, and may be cancelled", () =>
  withTinyFile({ architecture: "llada", seed: 3 }, async (path) => {
    const fill = { blockTokens: 64, stepTokens: 64 };
    const options: LoadOptions = { threads: 2, gpu: "off", contextLength: 40, fill };
    await withModel(path, options, async (model) => {
      const asked = { ids: PROMPTS[0], sampling: GREEDY, ignoreEnd: true };
      assertEquals((await model.generate(asked).result).ids.length, 20);
      const none = await model.generate({ ...asked, maxTokens: 0 }).result;
      assertEquals([none.ids, none.finishReason], [[], "length"]);
    });
    const changes = { contextLength: 4096 };
    await withTinyFile({ architecture: "llada", seed: 3, changes }, async (long) => {
      await withModel(long, { threads: 2, gpu: "off" }, async (model) => {
        // All of it is one step, however long.
        assertEquals(model.contextLength, 2048);
        assertEquals(model.details.uses, ["writing"]);
        const asked = { ids: PROMPTS[0], sampling: GREEDY, ignoreEnd: true };
        const cancel = new AbortController();
        const cut = model.generate({ ...asked, maxTokens: 1500, signal: cancel.signal });
        const waiting = model.generate({ ...asked, maxTokens: 2 });
        for await (const { ids } of cut) if (ids.length > 0) cancel.abort();
        const { finishReason, ids } = await cut.result;
        assertEquals(finishReason, "cancelled");
        assertLess(ids.length, 1500);
        assertEquals((await waiting.result).ids.length, 2);
        assertEquals(model.kv.usedTokens, 0);
      });
      await withModel(long, { ...options, contextLength: 2048 }, async (model) => {
        for (const maxTokens of [undefined, Infinity]) {
          const asked = { ids: PROMPTS[0], maxTokens, sampling: GREEDY, ignoreEnd: true };
          assertEquals((await model.generate(asked).result).ids.length, 256);
        }
      });
    });
  }));

Deno.test("what has no meaning where words come in any order is refused, by name", () =>
  withTinyFile(
    { architecture: "rnd1" },
    (path) =>
      withTinyFile({}, (text) =>
        withModel(path, { threads: 1, gpu: "off" }, async (model) => {
          const ask = (more: Partial<GenerateRequest>) =>
            model.generate({ ids: PROMPTS[0], maxTokens: 2, ...more });
          const grammar = { kind: "gbnf", text: 'root ::= "a"' } as const;
          const cases = [
            [{ grammar }, "follow a grammar, a schema or a function's form"],
            [{ logprobs: 0 }, "give log probabilities"],
            [{ sampling: { dryMultiplier: 1 } }, "penalise repetitions (dry)"],
            [{ sampling: { mirostat: 2 } }, "sample by mirostat"],
            [{ sampling: { adaptiveTarget: 0 } }, "sample by adaptive-p"],
          ] as const;
          for (const [more, what] of cases) {
            const sentence = `Cannot ${what} with this model: rnd1 fills in a text`;
            const error = assertThrows(() => ask(more), RequestError, sentence);
            assertEquals(error.status, 400);
          }
          const refused = (asked: Promise<unknown>, what: string) =>
            assertRejects(
              () => asked,
              RequestError,
              `Cannot ${what} with this model: rnd1 fills in`,
            );
          await refused(model.embed([IDS]), "make vectors of texts");
          await refused(model.rank([IDS]), "say how well texts answer a question");
          await refused(model.negativeLogLikelihood(IDS, 1), "measure how surprising a text is");
          await refused(model.promptLogprobs(IDS, 0), "say how likely a prompt is");
          await refused(model.observe(IDS).next(), "observe neurons");
          const options: LoadOptions = { threads: 1, gpu: "off", speculate: 3 };
          const load = (path: string, draftModelPath: string) =>
            withModel(path, { ...options, draftModelPath }, () => Promise.resolve());
          await assertRejects(() => load(path, text), Error, "fills in a text, which nothing");
          await assertRejects(() => load(text, path), Error, "it fills in a text");
          await assertRejects(
            () => withModel(path, { fill: { blockTokens: 65 } }, () => Promise.resolve()),
            RangeError,
            "Cannot load a model with fill.blockTokens 65: a whole number from 1 to 64",
          );
        })),
  ));
