import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { benchPrompt, hashIds } from "../../src/cli/bench_prompt.ts";

Deno.test("benchPrompt() repeats itself for a seed, differs between seeds, stays in range", () => {
  const prompt = { vocabSize: 32000, count: 512, seed: 1 };
  const ids = benchPrompt(prompt);
  assertEquals(ids, benchPrompt(prompt));
  assertNotEquals(ids[0], benchPrompt({ ...prompt, seed: 2 })[0]);
  assert(ids.every((id) => Number.isInteger(id) && id >= 3 && id < 32000));
  assert(new Set(ids).size > 400, "ids are spread over the vocabulary");
});

Deno.test("benchPrompt() works on the smallest vocabulary", () => {
  assertEquals(benchPrompt({ vocabSize: 1, count: 2, seed: 1 }), [0, 0]);
});

Deno.test("hashIds() is the SHA-256 of little-endian words", async () => {
  const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  assertEquals(await hashIds([]), empty);
  // printf '\x01\x00\x00\x00\x02\x01\x00\x00' | sha256sum
  const two = "fb8bbe2ad3ab5292f19bc5d75bbab9b5fbddc5a78ce47ab41b2d3d59bca08596";
  assertEquals(await hashIds([1, 258]), two);
});
