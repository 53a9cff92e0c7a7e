/** Texts to vectors and scores by encoders with vocabularies of their own. */
import "../support/thread_pool.ts";
import { assertEquals } from "@std/assert";
import { type GgufValue, list, type StoredValue, text, u32 } from "../../src/gguf/mod.ts";
import { runSteps } from "../../src/base/steps.ts";
import type { LoadedModel } from "../../src/llm/mod.ts";
import type { PromptSteps } from "../../src/llm/types.ts";
import { bertMetadata, type Entry } from "../tokenizer/encoder_vocab.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { TINY_SHAPE, type TinyModelOptions } from "../support/tiny_model.ts";

const [CLS, SEP] = [2, 3];
const WORDS: readonly Entry[] = filled(["▁a", "▁cat", "▁purrs"].map((word) => [word]), 5);
const [A, CAT, PURRS] = [5, 6, 7];

/** With words that no text has, up to the rows of a tiny model. */
function filled(entries: readonly Entry[], specials: number): Entry[] {
  const count = TINY_SHAPE.vocabSize - specials - entries.length;
  const rest = Array.from({ length: count }, (_, i): Entry => [`▁0${i}`, undefined, -99]);
  return [...entries, ...rest];
}

function whole(model: LoadedModel, ...of: Parameters<PromptSteps["whole"]>): number[] {
  return runSteps(model.inSteps.whole(...of));
}

function pair(model: LoadedModel, ...of: Parameters<PromptSteps["pair"]>): number[] {
  return runSteps(model.inSteps.pair(...of));
}

/** A tiny model with such a vocabulary. */
function withVocabulary(
  architecture: "bert" | "bert-ranker",
  metadata: ReturnType<typeof bertMetadata>,
): TinyModelOptions {
  const own = [...metadata].filter(([key]) => key.startsWith("tokenizer."));
  return {
    ...{ architecture, contextLength: 32 },
    metadata: own.map(([key, value]) => [key, stored(value)]),
  };
}

function stored(value: GgufValue): StoredValue {
  if (typeof value === "object") return list(value);
  return typeof value === "string" ? text(value) : u32(Number(value));
}

Deno.test("encodeWhole() puts an encoder's marks around a text, and keeps them when it cuts", () =>
  withTinyFile(
    withVocabulary("bert", bertMetadata(WORDS)),
    (path) =>
      withModel(path, { threads: 1, gpu: "off" }, async (model) => {
        const ids = whole(model, "A cat purrs");
        assertEquals(ids, [CLS, A, CAT, PURRS, SEP]);
        const long = "cat ".repeat(40);
        assertEquals(whole(model, long).length, 42);
        const cut = whole(model, long, { isCut: true });
        assertEquals(cut, [CLS, ...Array(30).fill(CAT), SEP]);
        assertEquals((await model.embed([ids, cut])).map(({ length }) => length), [64, 64]);
        // A long text of which the vocabulary knows nothing is one token.
        assertEquals(whole(model, "x".repeat(5000), { mustFit: true }), [CLS, 1, SEP]);
      }),
  ));

Deno.test("rank() scores pairs by what stands between their marks", () =>
  withTinyFile(
    withVocabulary("bert-ranker", bertMetadata(WORDS)),
    (path) =>
      withModel(path, { threads: 1, gpu: "off" }, async (model) => {
        const pairs = ["cat", "purrs"].map((document) => pair(model, "a cat", document));
        assertEquals(pairs, [[CLS, A, CAT, SEP, CAT], [CLS, A, CAT, SEP, PURRS]]);
        const cut = pair(model, "a cat", "purrs ".repeat(100), { isCut: true });
        assertEquals(cut, [CLS, A, CAT, SEP, ...Array(28).fill(PURRS)]);
        assertEquals(pair(model, "a ".repeat(40), "cat", { isCut: true }).length, 42);
        const scores = await model.rank(pairs);
        assertEquals(scores.length, 2);
        assertEquals(scores, [
          ...await model.rank(pairs.slice(0, 1)),
          ...await model.rank([pairs[1]]),
        ]);
        assertEquals(new Set(scores).size, 2);
      }),
  ));
