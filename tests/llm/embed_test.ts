/** Vectors of texts, against the reference model's last norm. */
import "../support/thread_pool.ts";
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { negativeLogProbability } from "../../src/engine/log_probability.ts";
import { TextPooler } from "../../src/engine/text_pooler.ts";
import { openGguf, u32 } from "../../src/gguf/mod.ts";
import { readPooling } from "../../src/llm/read_pooling.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { Rng } from "../support/rng.ts";

const rng = new Rng(8);
const IDS = Array.from({ length: 70 }, () => rng.int(512));

/** The mean over tokens of what the reference model's last norm leaves. */
function expectedVector(path: string, ids: readonly number[]): number[] {
  let rows = new Float64Array(0);
  const onTensor = (name: string, data: Float64Array) => {
    if (name === "norm") rows = data.slice();
  };
  new ReferenceModel(openGguf(path), { onTensor }).forward(ids);
  const length = rows.length / ids.length;
  return Array.from({ length }, (_, i) => {
    let sum = 0;
    for (let t = 0; t < ids.length; t++) sum += rows[t * length + i];
    return sum / ids.length;
  });
}

for (const architecture of ["llama", "gemma2", "starcoder2"] as const) {
  for (const threads of [1, 3]) {
    Deno.test(`embed() of a ${architecture} on ${threads} threads is the mean of its rows`, () =>
      withTinyFile(
        { architecture, type: "F32" },
        (path) =>
          withModel(path, { threads, chunkTokens: 32, contextLength: 100 }, async (model) => {
            for (const ids of [IDS.slice(0, 1), IDS.slice(0, 32), IDS]) {
              const expected = expectedVector(path, ids);
              const vector = (await model.embed([ids]))[0];
              assertEquals(vector.length, model.config.embeddingLength);
              vector.forEach((each, i) => assertAlmostEquals(each, expected[i], 2e-3));
            }
          }),
      ));
  }
}

Deno.test("embed() is the same between generations, and leaves them the same", () =>
  withTinyFile({ type: "Q4_0" }, (path) =>
    withModel(path, { threads: 2 }, async (model) => {
      const request = { ids: IDS.slice(0, 40), maxTokens: 8, sampling: { temperature: 0 } };
      const before = await model.generate(request).result;
      const vector = (await model.embed([IDS]))[0];
      assertEquals((await model.generate(request).result).ids, before.ids);
      assertEquals((await model.embed([IDS]))[0], vector);
      assert((await model.embed([IDS.toReversed()]))[0].some((each, i) => each !== vector[i]));
    })));

Deno.test("embed() waits behind what is more urgent", () =>
  withTinyFile({ type: "Q4_0" }, (path) =>
    withModel(path, { threads: 1 }, async (model) => {
      const order: string[] = [];
      const embed = async (name: string, priority?: number) => {
        await model.embed([IDS], { priority });
        order.push(name);
      };
      const first = embed("first");
      await Promise.all([first, embed("back", -1_000_000), embed("live"), embed("urgent", 1)]);
      assertEquals(order, ["first", "urgent", "live", "back"]);
    })));

Deno.test("embed() leaves what is remembered of prompts, as far as there is room", () =>
  withTinyFile({ type: "Q4_0" }, (path) =>
    withModel(path, { threads: 2 }, async (model) => {
      const request = { ids: IDS, maxTokens: 1, sampling: { temperature: 0 } };
      const cached = async () => (await model.generate(request).result).timings.cachedTokens;
      assertEquals([await cached(), await cached()], [0, 69]);
      (await model.embed([IDS.toReversed()]))[0];
      assertEquals([await cached(), model.kv.usedTokens], [69, 0]);
      // A text's own vector is computed from its first token on all the same.
      const vector = (await model.embed([IDS]))[0];
      assertEquals((await model.embed([IDS]))[0], vector);
      await model.logits(IDS.slice(0, 5), () => {});
      assertEquals(await cached(), 69);
    })));

Deno.test("promptLogprobs() are those of the model's own logits, and of generate() to the bit", () =>
  withTinyFile(
    { type: "Q4_0" },
    (path) =>
      withModel(path, { threads: 2, chunkTokens: 32 }, async (model) => {
        const { ids: answer } = await model.generate({
          ...{ ids: IDS, maxTokens: 6, logprobs: 3, ignoreEnd: true },
          sampling: { temperature: 0 },
        }).result;
        const all = [...IDS, ...answer];
        const rows: Float32Array[] = [];
        await model.logits(all, (some) => {
          for (let at = 0; at < some.length; at += 512) rows.push(some.slice(at, at + 512));
        });
        const shown = await model.promptLogprobs(all, 3);
        assertEquals(shown.map(({ id }) => id), all.slice(1));
        for (const [at, { id, logprob, top }] of shown.entries()) {
          assertAlmostEquals(logprob, -negativeLogProbability(rows[at], id), 1e-5);
          const best = [...rows[at].keys()].sort((a, b) => rows[at][b] - rows[at][a]).slice(0, 3);
          assertEquals(top.map((each) => each.id), best);
        }
        const again = model.generate({
          ...{ ids: IDS, maxTokens: 6, logprobs: 3, ignoreEnd: true },
          sampling: { temperature: 0 },
        });
        const ofAnswer = [];
        for await (const { logprobs = [] } of again) ofAnswer.push(...logprobs);
        assertEquals(shown.slice(-6), ofAnswer);
        // What was computed of the prompt is used again, but for its last id.
        assertEquals((await again.result).timings.cachedTokens, IDS.length - 1);
        assertEquals(await model.promptLogprobs([5], 0), []);
      }),
  ));

Deno.test("embed() refuses ids that do not fit", () =>
  withTinyFile({}, (path) =>
    withModel(path, { threads: 1, contextLength: 60 }, async (model) => {
      await assertRejects(() => model.embed([IDS]), RequestError, "the context holds 60");
      await assertRejects(() => model.embed([[]]), RequestError, "empty");
      await assertRejects(() => model.embed([[-1]]), RequestError, "token id -1");
      assertEquals((await model.embed([IDS.slice(0, 60)]))[0].length, model.config.embeddingLength);
    })));

Deno.test("TextPooler gives the mean, the first or the last row, over several steps", () => {
  const rows = [Float32Array.of(1, 2, 9, 3, 4, 9), Float32Array.of(5, 6, 9)];
  const pooled = (pooling: "mean" | "first" | "last") => {
    const pooler = new TextPooler(pooling, 2);
    pooler.add(rows[0], 2);
    pooler.add(rows[1], 1);
    return [...pooler.result()];
  };
  assertEquals(pooled("mean"), [3, 4]);
  assertEquals(pooled("first"), [1, 2]);
  assertEquals(pooled("last"), [5, 6]);
});

for (const [type, pooling] of [[0, "mean"], [1, "mean"], [2, "first"], [3, "last"]] as const) {
  Deno.test(`readPooling() takes a file's pooling_type ${type} for ${pooling}`, () =>
    withTinyFile({ metadata: [["llama.pooling_type", u32(type)]] }, (path) => {
      assertEquals(readPooling(openGguf(path).metadata, { architecture: "llama" }), pooling);
      return Promise.resolve();
    }));
}

Deno.test("readPooling() takes the mean where a file says nothing, and refuses other ways", () =>
  withTinyFile(
    { metadata: [["other.pooling_type", u32(4)], ["another.pooling_type", u32(5)]] },
    (path) => {
      const { metadata } = openGguf(path);
      assertEquals(readPooling(metadata, { architecture: "llama" }), "mean");
      const of = (architecture: string) => () => readPooling(metadata, { architecture });
      assertThrows(of("other"), RequestError, "says how well texts answer");
      assertThrows(of("another"), RequestError, "in a way (5)");
      return Promise.resolve();
    },
  ));
