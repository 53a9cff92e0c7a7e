/** The built-in model held to schemas: whatever it is asked and however hot, JSON that fits. */
import "../support/thread_pool.ts";
import Ajv2020 from "ajv/dist/2020.js";
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { BUILT_IN_MODEL_PATH } from "../../src/llm/built_in_model.ts";
import type { LoadedModel } from "../../src/llm/mod.ts";
import type { GenerateRequest, TokenLogprobs } from "../../src/llm/types.ts";
import { IS_DEEP } from "../support/deep.ts";
import { withModel } from "../support/loaded_model.ts";

const SEEDS = IS_DEEP ? 30 : 10;

const SCHEMA = {
  type: "object",
  properties: {
    name: { type: "string", minLength: 1, maxLength: 12 },
    age: { type: "integer", minimum: 0, maximum: 120 },
    kind: { enum: ["fox", "dog", 'a "quoted" cat'] },
    tags: { type: "array", items: { type: "string", pattern: "^[a-z]{1,8}$" }, maxItems: 3 },
    home: {
      anyOf: [{ type: "null" }, {
        type: "object",
        properties: {
          town: { type: "string", maxLength: 10 },
          since: { type: "string", format: "date" },
        },
        required: ["town"],
        additionalProperties: false,
      }],
    },
  },
  required: ["name", "kind", "home"],
  additionalProperties: false,
};

function ask(model: LoadedModel, request: Omit<GenerateRequest, "ids">) {
  const ids = model.encodeChat([{ role: "user", content: "Tell me about a fox, as JSON." }]);
  return model.generate({ ids, ...request });
}

Deno.test(`the built-in model's JSON fits a schema, for ${SEEDS} seeds, hot or not`, () =>
  // Eight at once take half the time of one by one.
  withModel(BUILT_IN_MODEL_PATH, { threads: 1, parallel: 8 }, async (model) => {
    // deno-lint-ignore no-explicit-any -- the package's types do not describe its default export
    const validate = new (Ajv2020 as any)({ strict: false, formats: { date: true } }).compile(
      SCHEMA,
    );
    const grammar = { kind: "jsonSchema", schema: SCHEMA } as const;
    const texts = new Set<string>();
    const askOnce = async (temperature: number, seed: number) => {
      const sampling = { temperature, seed, topK: 0, topP: 1, minP: 0 };
      const { text, finishReason } = await ask(model, { grammar, sampling, maxTokens: 400 }).result;
      assertEquals(finishReason, "stop", text);
      assert(validate(JSON.parse(text)), text);
      texts.add(text);
    };
    await askOnce(0, 0);
    const seeds = Array.from({ length: SEEDS }, (_, seed) => seed);
    const cases = [1, 2.5].flatMap((hot) => seeds.map((seed) => [hot, seed] as const));
    const askAll = async () => {
      for (let next = cases.pop(); next !== undefined; next = cases.pop()) await askOnce(...next);
    };
    await Promise.all(Array.from({ length: 8 }, askAll));
    assert(texts.size > SEEDS, "seeds give different answers");
  }));

Deno.test("the built-in model follows a GBNF, and the same seed gives the same ids again", () =>
  withModel(BUILT_IN_MODEL_PATH, { threads: 1 }, async (model) => {
    const grammar = { kind: "gbnf", text: 'root ::= ("yes" | "no" | "may" "be"?) "."' } as const;
    const answers = [];
    for (const seed of [1, 2, 3, 1]) {
      const sampling = { seed, temperature: 3, topK: 0, topP: 1, minP: 0 };
      answers.push((await ask(model, { grammar, sampling }).result).text);
    }
    for (const answer of answers) assert(/^(yes|no|may(be)?)\.$/.test(answer), answer);
    assertEquals(answers[3], answers[0]);
    const none = { kind: "gbnf", text: 'root ::= ""' } as const;
    const { text, finishReason } = await ask(model, { grammar: none }).result;
    assertEquals([text, finishReason], ["", "stop"]);
  }));

Deno.test("a grammar that is refused fails its request alone, at once or when it is followed", () =>
  withModel(BUILT_IN_MODEL_PATH, { threads: 1 }, async (model) => {
    const wrong = { kind: "jsonSchema", schema: { not: {} } } as const;
    await assertRejects(
      async () => await ask(model, { grammar: wrong }).result,
      RequestError,
      "$.not",
    );
    const ambiguous = { kind: "gbnf", text: 'root ::= (.{1,1000}){1,1000} "\\x00"' } as const;
    const error = await assertRejects(
      async () => await ask(model, { grammar: ambiguous, maxTokens: 500 }).result,
      RequestError,
      "Cannot go on by the grammar",
    );
    assertEquals(error.status, 400);
    const { text } = await ask(model, { maxTokens: 5, sampling: { temperature: 0 } }).result;
    assert(text.length > 0);
  }));

Deno.test("log probabilities come with their ids, and are those of the logits", () =>
  withModel(BUILT_IN_MODEL_PATH, { threads: 2 }, async (model) => {
    const prompt = model.encodeChat([{ role: "user", content: "Tell me about a fox." }]);
    const sampling = { temperature: 0, logitBias: new Map([[300, 5]]) };
    const found: TokenLogprobs[] = [];
    const ids: number[] = [];
    const generation = model.generate({ ids: prompt, maxTokens: 12, sampling, logprobs: 3 });
    for await (const chunk of generation) {
      assertEquals(chunk.logprobs?.length, chunk.ids.length);
      found.push(...chunk.logprobs!);
      ids.push(...chunk.ids);
    }
    assertEquals(found.map(({ id }) => id), ids);
    const { vocabSize } = model.config;
    const rows: Float32Array[] = [];
    await model.logits([...prompt, ...ids], (some) => {
      for (let at = 0; at < some.length; at += vocabSize) rows.push(some.slice(at, at + vocabSize));
    });
    const differences: number[] = [];
    found.forEach(({ id, logprob, top }, i) => {
      const row = rows[prompt.length - 1 + i];
      const most = Math.max(...row);
      const sum = Math.log(row.reduce((sum, each) => sum + Math.exp(each - most), 0)) + most;
      differences.push(Math.abs(logprob - (row[id] - sum)));
      assertEquals(top.length, 3);
      for (const each of top) differences.push(Math.abs(each.logprob - (row[each.id] - sum)));
      assert(top[0].logprob >= top[1].logprob && top[1].logprob >= top[2].logprob);
    });
    // One token at a time adds up what fires, in another order: now and then that makes another
    // integer of an activation, 0.07 at most in nine answers.
    differences.sort((a, b) => a - b);
    assertLess(differences[differences.length >> 1], 0.02);
    assertLess(differences[differences.length - 1], 0.2);
  }));

Deno.test("an answer that its grammar ends stops there, also with its last allowed token", () =>
  withModel(BUILT_IN_MODEL_PATH, { threads: 1 }, async (model) => {
    const grammar = { kind: "gbnf", text: 'root ::= "a red fox"' } as const;
    const sampling = { temperature: 0 };
    const whole = await ask(model, { grammar, sampling }).result;
    assertEquals([whole.text, whole.finishReason], ["a red fox", "stop"]);
    const maxTokens = whole.ids.length;
    const exact = await ask(model, { grammar, sampling, maxTokens }).result;
    assertEquals([exact.text, exact.finishReason], ["a red fox", "stop"]);
    // There are words as long, but no token of nine letters.
    const short = await ask(model, { grammar, sampling, maxTokens: 1 }).result;
    assertEquals(short.finishReason, "length");
  }));
