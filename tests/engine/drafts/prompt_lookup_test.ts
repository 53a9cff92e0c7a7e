/** Guesses from a text's own past, beside the plain way to make them. */
import { assertEquals, assertGreater } from "@std/assert";
import { Drafts } from "../../../src/engine/drafts/drafts.ts";
import { PromptLookup } from "../../../src/engine/drafts/prompt_lookup.ts";
import { Rng } from "../../support/rng.ts";

/** The same guesses by looking at everything: the last place of the longest of 4, 3, 2 ids. */
function slowGuesses(text: readonly number[], most: number): number[] {
  for (const length of [4, 3, 2]) {
    const end = text.slice(-length);
    if (end.length < length) continue;
    for (let next = text.length - 1; next >= length; next--) {
      if (!end.every((id, i) => text[next - length + i] === id)) continue;
      const guesses: number[] = [];
      while (guesses.length < most) guesses.push([...text, ...guesses][next + guesses.length]);
      return guesses;
    }
  }
  return [];
}

function guesses(lookup: PromptLookup, text: readonly number[], most: number, slot = 0): number[] {
  const drafts = new Drafts();
  const ids = new Int32Array(400);
  ids.set(text);
  lookup.propose({ slot, ids, known: text.length }, most, drafts);
  return [...drafts.ids.subarray(0, drafts.count)];
}

Deno.test("PromptLookup.propose() guesses as the slow way does, however the text grows", () => {
  const rng = new Rng(11);
  const lookup = new PromptLookup({ slots: 2, contextLength: 400 });
  let found = 0;
  for (let round = 0; round < 60; round++) {
    const slot = round % 2;
    lookup.open(slot);
    const kinds = 2 + rng.int(40);
    const text = Array.from({ length: 1 + rng.int(200) }, () => rng.int(kinds));
    while (text.length < 380) {
      const most = 1 + rng.int(8);
      const expected = slowGuesses(text, most);
      assertEquals(guesses(lookup, text, most, slot), expected);
      if (expected.length > 0) found++;
      const isCopied = rng.int(2) === 0;
      text.push(...isCopied ? expected : [], rng.int(kinds));
    }
  }
  assertGreater(found, 1000);
});

Deno.test("PromptLookup.propose() goes on with what it has just guessed in a text of one period", () => {
  const lookup = new PromptLookup({ slots: 1, contextLength: 400 });
  assertEquals(guesses(lookup, [5, 1, 2, 3, 1, 2], 7), [3, 1, 2, 3, 1, 2, 3]);
});

Deno.test("PromptLookup.propose() guesses nothing where the last two ids are new", () => {
  const lookup = new PromptLookup({ slots: 1, contextLength: 400 });
  assertEquals(guesses(lookup, [1, 2, 3, 1], 7), []);
  assertEquals(guesses(lookup, [1], 7), []);
});

Deno.test("PromptLookup.open() forgets the sequence that had the slot", () => {
  const lookup = new PromptLookup({ slots: 1, contextLength: 400 });
  assertEquals(guesses(lookup, [1, 2, 3, 1, 2], 1), [3]);
  lookup.open(0);
  assertEquals(guesses(lookup, [9, 9, 8, 1, 2], 1), []);
});

Deno.test("PromptLookup.learn() believes guesses more when they are right, by how long the match is", () => {
  const lookup = new PromptLookup({ slots: 1, contextLength: 400 });
  const ids = new Int32Array(400);
  ids.set([1, 2, 3, 4, 5, 6, 7, 1, 2]);
  const drafts = new Drafts();
  const odds = () => {
    drafts.count = 0;
    lookup.propose({ slot: 0, ids, known: 9 }, 4, drafts);
    return [...drafts.odds.subarray(0, 4)];
  };
  const before = odds();
  // Matches of 2, 3, 4, 5 ids.
  assertEquals(before, [0.25, 0.4, 0.55, 0.55]);
  lookup.learn(0, drafts, { seen: 4, right: 1 });
  const after = odds();
  assertGreater(after[0], before[0]);
  assertGreater(before[1], after[1]);
  assertEquals(after.slice(2), before.slice(2), "behind a wrong one nothing is known");
});

Deno.test("PromptLookup.propose() is quick in a text made to collide", () => {
  const lookup = new PromptLookup({ slots: 1, contextLength: 8192 });
  const ids = Int32Array.from({ length: 8192 }, (_, i) => (i * 0x9e3779b1) >>> (i % 3) & 0x7ff);
  const startMs = performance.now();
  for (let known = 1; known <= 8192; known++) {
    lookup.propose({ slot: 0, ids, known }, 7, new Drafts());
  }
  assertGreater(2_000, performance.now() - startMs);
});

Deno.test("PromptLookup.propose() guesses up to a row that was given, and none where it is next", () => {
  const lookup = new PromptLookup({ slots: 1, contextLength: 400 });
  assertEquals(guesses(lookup, [5, 6, 7, 8, -1, -2, 9, 5, 6], 4), [7, 8]);
  lookup.open(0);
  assertEquals(guesses(lookup, [5, 6, -1, -2, 9, 5, 6], 4), []);
  lookup.open(0);
  assertEquals(guesses(lookup, [-1, -2, 3, 4, 9, -1, -2], 4), [3, 4, 9]);
});
