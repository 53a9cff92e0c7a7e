/** Rarer families where several texts are answered at once, remembered and guessed ahead. */
import "../support/thread_pool.ts";
import { assertEquals, assertGreater, assertThrows } from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { describeForUse } from "../../src/llm/mod.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { someRequests } from "../support/some_requests.ts";
import { TINY_PROMPT } from "../support/tiny_model.ts";

const PHRASE = TINY_PROMPT.slice(0, 9);
/** What it repeats is likelier than the rest: there is something to guess. */
const REPEATING = {
  ids: [...PHRASE, 9, ...PHRASE, 11, ...PHRASE, ...PHRASE.slice(0, 3)],
  sampling: { temperature: 0, logitBias: new Map(PHRASE.map((id, i) => [id, 6 + i % 3])) },
  ...{ maxTokens: 16, ignoreEnd: true },
};

for (const architecture of ["deci", "mimo2", "grovemoe", "talkie"] as const) {
  Deno.test(`generate() of ${architecture} answers at once and with guesses as alone`, () =>
    withTinyFile({ architecture, type: "Q8_0", seed: 4 }, async (path) => {
      const requests = [REPEATING, ...someRequests(2, 12)];
      const alone: (readonly number[])[] = [];
      await withModel(path, { threads: 2, speculate: "off", chunkTokens: 24 }, async (model) => {
        for (const request of requests) alone.push((await model.generate(request).result).ids);
      });
      const together = { threads: 2, speculate: 5, parallel: 3, chunkTokens: 32 };
      await withModel(path, together, async (model) => {
        const answers = () => Promise.all(requests.map((each) => model.generate(each).result));
        const cold = await answers();
        assertEquals(cold.map(({ ids }) => ids), alone);
        assertGreater(cold[0].timings.acceptedTokens ?? 0, 0);
        const warm = await answers();
        assertEquals(warm.map(({ ids }) => ids), alone, "prompts are in the cache");
        assertGreater(Math.max(...warm.map(({ timings }) => timings.cachedTokens ?? 0)), 31);
      });
    }));
}

for (
  const [architecture, reason] of [
    ["apertus", "an activation of their own"],
    ["maple", "cut off at limits of their layers"],
  ] as const
) {
  Deno.test(`neurons of ${architecture} are not observed`, () =>
    withTinyFile({ architecture }, (path) => {
      const observed = () => describeForUse(openGguf(path), { observe: ["fired"] });
      assertThrows(observed, UnsupportedModelError, reason);
      return Promise.resolve();
    }));
}
