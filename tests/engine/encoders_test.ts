/** Encoders on one thread and on several against the reference, and what is not asked of them. */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertLess, assertRejects, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import type { LoadedModel } from "../../src/llm/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { Rng } from "../support/rng.ts";
import { ENCODER_FAMILIES, type TinyEncoderName } from "../support/tiny_encoder_families.ts";

/** F32 weights; measured 3e-12 at most, of a score, which is a single number. */
const NMSE_MAX = 1e-11;
const Q8_0_NMSE_MAX = 3e-3;
/** Longer than what attends at once, than windows, and no multiple of a block of positions. */
const IDS = Array.from({ length: 150 }, ((rng) => () => rng.int(512))(new Rng(7)));
const LENGTHS = [1, 33, IDS.length];
const NAMES = Object.keys(ENCODER_FAMILIES) as TinyEncoderName[];

/** What the model makes of a text, and what the reference does. */
async function vectorOf(model: LoadedModel, ids: readonly number[]): Promise<Float64Array> {
  return poolingOf(model) === 4
    ? Float64Array.of((await model.rank([ids]))[0])
    : Float64Array.from((await model.embed([ids]))[0]);
}

function expectedOf(path: string, ids: readonly number[]): Float64Array {
  const reference = new ReferenceModel(openGguf(path));
  const type = poolingOf({ file: openGguf(path), config: reference.config });
  if (type === 4) return Float64Array.of(reference.score(ids));
  return reference.vector(ids, (["mean", "first"] as const)[type - 1]);
}

function poolingOf({ file, config }: Pick<LoadedModel, "file" | "config">): number {
  return Number(file.metadata.get(`${config.architecture}.pooling_type`));
}

for (const architecture of NAMES) {
  Deno.test(`the engine makes vectors by ${architecture} as the reference does`, () =>
    withTinyFile({ architecture, seed: 3 }, async (path) => {
      const texts = LENGTHS.map((length) => IDS.slice(0, length));
      const expected = texts.map((ids) => expectedOf(path, ids));
      for (const threads of [1, 3]) {
        // The context is what an encoder computes at once, whatever is asked.
        await withModel(path, { threads, chunkTokens: 32, gpu: "off" }, async (model) => {
          for (const [i, ids] of texts.entries()) {
            const error = nmse(await vectorOf(model, ids), expected[i]);
            assertLess(error, NMSE_MAX, `${threads} threads, ${ids.length} tokens`);
          }
        });
      }
    }));
}

for (const architecture of ["bert", "modern-bert", "nomic-bert-moe"] as const) {
  Deno.test(`${architecture} in Q8_0 makes nearly the reference's vectors`, () =>
    withTinyFile(
      { architecture, seed: 3, type: "Q8_0" },
      (path) =>
        withModel(path, { threads: 2, gpu: "off" }, async (model) => {
          // A context, and a block more for each text of a step.
          assertEquals(model.kv.capacityTokens, 256 + 16 * 32);
          assertLess(nmse(await vectorOf(model, IDS), expectedOf(path, IDS)), Q8_0_NMSE_MAX);
        }),
    ));
}

Deno.test("an encoder's vectors do not depend on the texts before", () =>
  withTinyFile(
    { architecture: "bert", type: "Q4_0" },
    (path) =>
      withModel(path, { threads: 2, gpu: "off" }, async (model) => {
        const first = (await model.embed([IDS.slice(0, 50)]))[0];
        (await model.embed([IDS]))[0];
        assertEquals((await model.embed([IDS.slice(0, 50)]))[0], first);
        // Tokens see those behind them: another last one makes other rows of all.
        assert(nmse((await model.embed([[...IDS.slice(0, 49), 7]]))[0], first) > 1e-6);
      }),
  ));

for (const architecture of ["bert", "modern-bert", "nomic-bert-moe"] as const) {
  Deno.test(`${architecture} reads several texts in one step, and each as alone`, () =>
    withTinyFile(
      { architecture, type: "Q8_0" },
      (path) =>
        withModel(path, { threads: 2, gpu: "off" }, async (model) => {
          // 16 fit by their number, then 5 by their length, then the longest by itself.
          const lengths = [...Array(19).fill(3), 60, 100, 40, 256, 1];
          const texts = lengths.map((length, i) => IDS.concat(IDS).slice(i, i + length));
          const together = await model.embed(texts);
          for (const [i, ids] of texts.entries()) {
            assertEquals((await model.embed([ids]))[0], together[i], `text ${i}`);
          }
        }),
    ));
}

Deno.test("a decoder scores a pair by its last token, one answer against the other", () =>
  withTinyFile(
    { architecture: "qwen3", seed: 3, changes: { ranker: { output: 2 } } },
    (path) =>
      withModel(path, { threads: 2, gpu: "off", contextLength: 200 }, async (model) => {
        const reference = new ReferenceModel(openGguf(path));
        for (const ids of [IDS.slice(0, 5), IDS]) {
          const [score] = await model.rank([ids]);
          const expected = reference.score(ids);
          assert(expected > 0 && expected < 1);
          assertLess(Math.abs(score - expected), 1e-6);
        }
      }),
  ));

Deno.test("an encoder has room for a text, however many requests there may be", () =>
  withTinyFile(
    { architecture: "bert" },
    (path) =>
      withModel(path, { threads: 1, gpu: "off", parallel: "auto" }, async (model) => {
        assertEquals(model.kv.capacityTokens, 256 + 16 * 32);
        assertEquals((await model.embed(Array(20).fill(IDS.slice(0, 2)))).length, 20);
      }),
  ));

Deno.test("an encoder writes nothing, and says so", () =>
  withTinyFile(
    { architecture: "bert" },
    (path) =>
      withModel(path, { threads: 1, gpu: "off" }, async (model) => {
        assertThrows(() => model.generate({ ids: IDS }), RequestError, "is an encoder");
        const calls = [
          () => model.logits(IDS, () => {}),
          () => model.negativeLogLikelihood(IDS, 1),
          () => model.promptLogprobs(IDS, 1),
          () => model.observe(IDS).next(),
        ];
        for (const call of calls) await assertRejects(call, RequestError, "is an encoder");
        await assertRejects(() => model.rank([IDS]), RequestError, "no weights for it");
        await assertRejects(() => model.embed([Array(257).fill(1)]), RequestError, "257 tokens");
      }),
  ));

Deno.test("a reranker makes no vectors, and says what it does", () =>
  withTinyFile(
    { architecture: "bert-ranker" },
    (path) =>
      withModel(path, { threads: 1, gpu: "off" }, async (model) => {
        await assertRejects(() => model.embed([IDS]), RequestError, "/v1/rerank");
        assertEquals(openGguf(path).metadata.get("bert.pooling_type"), 4);
      }),
  ));
