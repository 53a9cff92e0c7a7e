import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { type IdFilter, Sampler } from "../../src/engine/sampler.ts";
import type { SamplingOptions } from "../../src/llm/types.ts";
import { createScoreBoard } from "../support/score_board.ts";

const LOGITS = Float32Array.of(2, 3, 1, 2.5, 0.5);
/** Every id may be drawn, as the model has it. */
const PLAIN = { temperature: 1, topK: 0, topP: 1, minP: 0, seed: 5 };

class Allowed implements IdFilter {
  readonly ids: readonly number[];
  readonly isFree = false;
  masks = 0;

  constructor(...ids: readonly number[]) {
    this.ids = ids;
  }

  allows(id: number): boolean {
    return this.ids.includes(id);
  }

  mask(): Uint32Array {
    this.masks++;
    const mask = new Uint32Array(3);
    for (const id of this.ids) mask[id >>> 5] |= 1 << (id & 31);
    return mask;
  }
}

function drawn(
  options: SamplingOptions,
  filter: IdFilter | null,
  of: { count?: number; logits?: Float32Array; accepted?: readonly number[] } = {},
): number[] {
  const { count = 1, logits = LOGITS, accepted = [] } = of;
  const board = createScoreBoard(logits.length);
  const sampler = new Sampler(options, board, filter);
  for (const id of accepted) sampler.accept(id);
  return Array.from({ length: count }, () => {
    board.scores.set(logits);
    return sampler.sample();
  });
}

Deno.test("Sampler takes the best allowed id at temperature 0, after penalties and bias", () => {
  const greedy = (options: SamplingOptions, filter: IdFilter, accepted: number[] = []) =>
    drawn({ temperature: 0, ...options }, filter, { accepted })[0];
  assertEquals(greedy({}, new Allowed(0, 2, 4)), 0);
  assertEquals(greedy({}, new Allowed(4)), 4);
  assertEquals(greedy({ presencePenalty: 2 }, new Allowed(0, 2, 4), [0]), 2);
  assertEquals(greedy({ logitBias: new Map([[4, 5]]) }, new Allowed(0, 2, 4)), 4);
  assertEquals(greedy({ logitBias: new Map([[1, 1e6]]) }, new Allowed(0, 2, 4)), 0);
  assertEquals(greedy({ logitBias: new Map([[0, -Infinity]]) }, new Allowed(0, 2)), 2);
});

Deno.test("Sampler asks for a mask only when what it chose is not allowed", () => {
  const all = new Allowed(0, 1, 2, 3, 4);
  assertEquals(drawn(PLAIN, all, { count: 100 }), drawn(PLAIN, null, { count: 100 }));
  assertEquals(all.masks, 0);
  const filter = new Allowed(0, 2, 4);
  drawn(PLAIN, filter, { count: 100 });
  const free = drawn(PLAIN, null, { count: 1000 }).filter((id) => !filter.allows(id)).length / 1000;
  assertLess(Math.abs(filter.masks / 100 - free), 0.15);
});

Deno.test("Sampler draws the allowed ids as often as a choice among them alone would", () => {
  const filter = new Allowed(0, 2, 4);
  const draws = 20_000;
  const counts = new Array(5).fill(0);
  for (const id of drawn(PLAIN, filter, { count: draws })) counts[id]++;
  const total = filter.ids.reduce((sum, id) => sum + Math.exp(LOGITS[id]), 0);
  let chiSquare = 0;
  for (const id of [0, 1, 2, 3, 4]) {
    const mean = filter.allows(id) ? draws * Math.exp(LOGITS[id]) / total : 0;
    if (mean === 0) assertEquals(counts[id], 0);
    else chiSquare += (counts[id] - mean) ** 2 / mean;
  }
  assertLess(chiSquare, 18.4); // 2 degrees of freedom: once in 10,000 seeds
});

Deno.test("Sampler gives the same allowed ids for a seed, and one more draw to each refusal", () => {
  const ids = drawn(PLAIN, new Allowed(0, 2, 4), { count: 50 });
  assertEquals(drawn(PLAIN, new Allowed(0, 2, 4), { count: 50 }), ids);
  // Every other choice is refused: the ones between see every third draw.
  let steps = 0;
  const all = new Allowed(0, 1, 2, 3, 4);
  const filter = { allows: () => ++steps % 2 === 0, mask: () => all.mask(), isFree: false };
  const between = drawn(PLAIN, filter, { count: 50 }).filter((_, i) => i % 2 === 1);
  const free = drawn(PLAIN, null, { count: 75 }).filter((_, i) => i % 3 === 2);
  assertEquals(between, free);
});

Deno.test("Sampler says whether the best scores tell the next id, and draws as if nobody had asked", () => {
  const board = createScoreBoard(LOGITS.length);
  const filter = new Allowed(0, 2, 4);
  const asked = new Sampler(PLAIN, board, filter);
  const ids = Array.from({ length: 60 }, () => {
    board.scores.set(LOGITS);
    const masks = filter.masks;
    const isTold = asked.isTold;
    const id = asked.sample();
    assertEquals(isTold, filter.masks === masks, "a mask is wanted where it is not told");
    return id;
  });
  assertEquals(ids, drawn(PLAIN, new Allowed(0, 2, 4), { count: 60 }));
  assertEquals(new Sampler(PLAIN, board).isTold, true);
});

Deno.test("Sampler is foretold with a filter only while that leaves nearly every id", () => {
  const choice = { temperature: 0, topK: 0, topP: 0, minP: 0, points: new Float64Array(4) };
  const foretells = (isFree: boolean) => {
    const filter = Object.assign(new Allowed(0), { isFree });
    return new Sampler({ ...PLAIN, topK: 4 }, createScoreBoard(5), filter).foretell(choice, 2);
  };
  assertEquals([foretells(false), foretells(true)], [false, true]);
});

Deno.test("Sampler refuses to go on when no allowed id is left", () => {
  const none = () => drawn(PLAIN, new Allowed());
  assertEquals(assertThrows(none, RequestError, "no token that may follow").status, 400);
  const logitBias = new Map([[0, -Infinity], [2, -Infinity]]);
  for (const temperature of [0, 1]) {
    assertThrows(
      () => drawn({ ...PLAIN, temperature, logitBias }, new Allowed(0, 2)),
      RequestError,
    );
  }
});

Deno.test("Sampler leaves logits that are no numbers to whoever looks for them", () => {
  const logits = new Float32Array(5).fill(NaN);
  for (const temperature of [0, 1]) {
    const [id] = drawn({ ...PLAIN, temperature }, new Allowed(3), { logits });
    assert(id >= 0 && id < 5);
  }
});

Deno.test("ScoreBoard.keepOnly() keeps the scores whose bits are set, at every place of a word", () => {
  for (const size of [1, 31, 32, 33, 64, 95]) {
    for (
      const keep of [(id: number) => id % 3 === 0, () => true, () => false, (id: number) => id > 31]
    ) {
      const board = createScoreBoard(size);
      board.scores.fill(1);
      const mask = new Uint32Array(Math.ceil(size / 32));
      for (let id = 0; id < size; id++) if (keep(id)) mask[id >>> 5] |= 1 << (id & 31);
      board.keepOnly(mask);
      assertEquals(
        [...board.scores],
        Array.from({ length: size }, (_, id) => keep(id) ? 1 : -Infinity),
      );
    }
  }
});
