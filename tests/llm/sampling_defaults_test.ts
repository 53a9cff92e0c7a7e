import { assertEquals, assertNotEquals } from "@std/assert";
import { f32, text, u32 } from "../../src/gguf/mod.ts";
import { BreakerIds } from "../../src/llm/breaker_ids.ts";
import { readSampling, stepsNamed, withDefaults } from "../../src/llm/sampling_defaults.ts";
import type { SamplingOptions } from "../../src/llm/types.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import "../support/thread_pool.ts";

Deno.test("readSampling() has what a file says, and not what means nothing", () => {
  const read = (values: Record<string, string | number | boolean>) =>
    readSampling(
      new Map(Object.entries(values).map(([key, value]) => [`general.sampling.${key}`, value])),
    );
  assertEquals(read({}), {});
  assertEquals(
    read({
      ...{ temp: 0.6, top_k: 20, top_p: 0.9, min_p: 0, penalty_last_n: -1, penalty_repeat: 1.05 },
      ...{ xtc_probability: 0.5, xtc_threshold: 0.2, mirostat: 2, mirostat_tau: 3 },
      ...{ mirostat_eta: 0.2, sequence: "top_k;temperature;min_p" },
    }),
    {
      ...{ temperature: 0.6, topK: 20, topP: 0.9, minP: 0, repeatLastN: -1, repeatPenalty: 1.05 },
      ...{ xtcProbability: 0.5, xtcThreshold: 0.2, mirostat: 2, mirostatTau: 3, mirostatEta: 0.2 },
      steps: ["topK", "temperature", "minP"],
    },
  );
  assertEquals(
    read({
      ...{ temp: NaN, top_k: -5, top_p: 1.5, min_p: "0.1", penalty_repeat: 0, mirostat: 1.5 },
      ...{ mirostat_tau: Infinity, xtc_probability: true, sequence: "made_up;top_k" },
    }),
    {},
  );
});

Deno.test("stepsNamed() knows llama.cpp's names and letters, and no others", () => {
  assertEquals(stepsNamed(["penalties", "dry", "top_n_sigma", "typ_p", "xtc", "temperature"]), [
    ...["topNSigma", "typicalP", "xtc", "temperature"] as const,
  ]);
  assertEquals(stepsNamed([..."edskypmxt"]), [
    ...["topNSigma", "topK", "typicalP", "topP", "minP", "xtc", "temperature"] as const,
  ]);
  assertEquals(stepsNamed([]), []);
  assertEquals(stepsNamed(["typ_p", "top_k", "y", "typical"]), ["typicalP", "topK"], "each once");
  for (const name of ["", "top", "constructor", "__proto__", "z"]) {
    assertEquals(stepsNamed(["top_k", name]), null, name);
  }
});

Deno.test("withDefaults() takes what the request says, even where that is 0", () => {
  const file = { temperature: 0.6, topK: 20 };
  assertEquals(withDefaults(file, { temperature: 0, topK: undefined }), {
    ...{ temperature: 0, topK: 20 },
  });
  assertEquals(withDefaults(file), file);
});

Deno.test("a model chooses ids as its file says where a request does not", async () => {
  const ids = [5, 6, 7];
  const answers = async (metadata: [string, ReturnType<typeof f32>][], temperature?: number) => {
    const found: number[][] = [];
    await withTinyFile({ seed: 3, metadata }, async (path) => {
      await withModel(path, { threads: 1, gpu: "off" }, async (model) => {
        for (let seed = 1; seed <= 4; seed++) {
          const sampling = { seed, ...temperature === undefined ? {} : { temperature } };
          const request = { ids, maxTokens: 8, sampling, ignoreEnd: true };
          const heard: number[] = [];
          for await (const chunk of model.generate(request)) heard.push(...chunk.ids);
          found.push(heard);
        }
      });
    });
    return new Set(found.map(String)).size;
  };
  assertEquals(await answers([]), 4);
  const cold: [string, ReturnType<typeof f32>] = ["general.sampling.temp", f32(0)];
  assertEquals(await answers([cold]), 1);
  assertEquals(await answers([cold], 0.8), 4);
  // The best one alone is left.
  assertEquals(await answers([["general.sampling.top_k", u32(1)]]), 1);
  const steps: [string, ReturnType<typeof f32>] = ["general.sampling.sequence", text("xtc")];
  assertEquals(await answers([["general.sampling.top_k", u32(1)], steps]), 4);
});

Deno.test("a model's repetitions are broken by the texts that a request names", async () => {
  await withTinyFile(
    { seed: 3 },
    (path) =>
      withModel(path, { threads: 1, gpu: "off" }, async (model) => {
        const [before, breaker, next] = [70, 80, 90];
        const answerBy = async (sampling: SamplingOptions) => {
          const logitBias = new Map([[next, 100]]);
          const answer = model.generate({
            ids: [before, breaker, next, before, breaker],
            ...{
              maxTokens: 1,
              ignoreEnd: true,
              sampling: { temperature: 0, logitBias, ...sampling },
            },
          });
          const heard: number[] = [];
          for await (const chunk of answer) heard.push(...chunk.ids);
          return heard[0];
        };
        const text = new TextDecoder().decode(model.tokenBytes(breaker));
        assertEquals(await answerBy({}), next);
        assertNotEquals(await answerBy({ dryMultiplier: 1000, dryBreakers: [] }), next);
        assertEquals(await answerBy({ dryMultiplier: 1000, dryBreakers: [text] }), next);
      }),
  );
});

Deno.test("BreakerIds.of() finds the tokens that have a text in them", () => {
  const tokenizer = tokenizerOf(["a", "\n", "b:c", "é", "", ":é", "xyz"]);
  const breakers = new BreakerIds(tokenizer, 6);
  assertEquals(breakers.of(), [1, 2, 5]);
  assertEquals(breakers.of(["é", "z"]), [3, 5], "ids without logits are none");
  assertEquals(breakers.of([""]), []);
  assertEquals(breakers.of([]), []);
  assertEquals(breakers.of(), breakers.of());
  assertEquals(breakers.of(["a\n", "cé", "yx"]), [], "of two tokens none has it");
});

Deno.test("BreakerIds.of() agrees with a look at each token", () => {
  const pieces = Array.from({ length: 3000 }, (_, i) => (i * 7919 % 50_021).toString(4));
  // Bytes that are no text by themselves.
  const bytes = [...pieces.map((text) => new TextEncoder().encode(text)), Uint8Array.of(0xff)];
  const tokenizer = { ...tokenizerOf([]), vocabSize: 3001, bytesOf: (id: number) => bytes[id] };
  const breakers = new BreakerIds(tokenizer, 3001);
  for (const texts of [["0"], ["3", "00", "312"], ["0123", "1"], ["ÿ"], ["33333333333"]]) {
    const expected = pieces.flatMap((piece, id) =>
      texts.some((t) => piece.includes(t)) ? [id] : []
    );
    assertEquals(breakers.of(texts), expected, texts.join());
  }
});

Deno.test("BreakerIds.of() asks the tokenizer once, however many lists of texts are sent", () => {
  let asked = 0;
  const tokenizer = tokenizerOf(["a", "b", "ab"]);
  const counting = { ...tokenizer, bytesOf: (id: number) => (asked++, tokenizer.bytesOf(id)) };
  const breakers = new BreakerIds(counting, 3);
  for (let i = 0; i < 100; i++) assertEquals(breakers.of(["b", `${i}`]), [1, 2]);
  assertEquals(asked, 3);
});

function tokenizerOf(pieces: readonly string[]) {
  return {
    vocabSize: pieces.length,
    bytesOf: (id: number) => new TextEncoder().encode(pieces[id]),
  } as unknown as ConstructorParameters<typeof BreakerIds>[0];
}
