import { assertAlmostEquals, assertEquals, assertLess } from "@std/assert";
import { Repeats, type RepeatSettings } from "../../src/engine/repeats.ts";
import { LogitsSampler } from "../support/score_board.ts";
import { Rng } from "../support/rng.ts";

const VOCAB = 12;
const BREAKER = 11;

/** What DRY takes off each score, by looking at all pairs of places. */
function slowPenalties(ids: readonly number[], settings: RepeatSettings): number[] {
  const { dryMultiplier, dryBase, dryAllowedLength, dryLastN } = settings;
  const seen = dryLastN < 0 ? ids : ids.slice(Math.max(0, ids.length - dryLastN));
  const penalties = Array.from({ length: VOCAB }, () => 0);
  if (seen.length <= dryAllowedLength) return penalties;
  const longest = new Map<number, number>();
  for (let next = 1; next < seen.length; next++) {
    let length = 0;
    while (length < next) {
      const [last, before] = [seen[seen.length - 1 - length], seen[next - 1 - length]];
      if (last !== before || last === BREAKER) break;
      length++;
    }
    if (length >= dryAllowedLength) {
      longest.set(seen[next], Math.max(longest.get(seen[next]) ?? 0, length));
    }
  }
  for (const [id, length] of longest) {
    if (id !== BREAKER) penalties[id] = dryMultiplier * dryBase ** (length - dryAllowedLength);
  }
  return penalties;
}

Deno.test("Repeats.penalise() does what looking at all pairs of places does", () => {
  const rng = new Rng(4);
  let longest = 0;
  for (let run = 0; run < 400; run++) {
    const settings: RepeatSettings = {
      dryMultiplier: 0.5 + rng.int(3),
      dryBase: [1, 1.1, 1.75, 3][rng.int(4)],
      dryAllowedLength: 1 + rng.int(3),
      dryLastN: [-1, -1, 5, 16, 64][rng.int(5)],
    };
    const repeats = new Repeats(VOCAB, settings, [BREAKER]);
    const ids: number[] = [];
    const period = 1 + rng.int(9);
    const length = 1 + rng.int(60);
    for (let i = 0; i < length; i++) {
      const isNew = i < period || rng.int(12) === 0;
      ids.push(isNew ? (rng.int(8) ? rng.int(4) : BREAKER) : ids[i - period]);
      repeats.add(ids[i]);
      // After each id: what one scan leaves behind must not reach the next one.
      if (rng.int(3) > 0) continue;
      const scores = new Float32Array(VOCAB);
      repeats.penalise(scores);
      const expected = slowPenalties(ids, settings);
      scores.forEach((score, id) => {
        assertAlmostEquals(-score, expected[id], 1e-5 * (1 + expected[id]), `${ids} ${id}`);
      });
      longest = Math.max(longest, ...expected);
    }
  }
  assertLess(1e6, longest, "long repetitions were among them");
});

Deno.test("Repeats.penalise() stays a number, and linear, where everything is one id", () => {
  const settings = { dryMultiplier: 1, dryBase: 3, dryAllowedLength: 2, dryLastN: -1 };
  const repeats = new Repeats(VOCAB, settings, []);
  for (let i = 0; i < 300_000; i++) repeats.add(7);
  const scores = new Float32Array(VOCAB);
  repeats.penalise(scores); // milliseconds; minutes if it were quadratic
  assertEquals(scores.filter((score) => score !== 0).length, 1);
  assertEquals(Number.isFinite(scores[7]) && scores[7] < -1e37, true);
});

Deno.test("Sampler takes DRY's penalty off before it chooses, prompt included", () => {
  const best = (dryMultiplier: number, dryBase = 2, breakers: readonly number[] = []) => {
    const options = { temperature: 0, dryMultiplier, dryBase, dryAllowedLength: 2 };
    const sampler = new LogitsSampler(options, 5, breakers);
    for (const id of [1, 2, 3, 4, 1, 2, 3]) sampler.accept(id);
    return sampler.sample(Float32Array.of(0, 0.5, 0, 0, 2));
  };
  assertEquals(best(0), 4);
  // Three ids are repeated: twice the multiplier.
  assertEquals(best(0.7), 4);
  assertEquals(best(0.8), 1);
  assertEquals(best(0.8, 0.5), 4, "a base below 1 is off");
  assertEquals(best(0.8, 2, [2]), 4, "broken after id 2: one id is repeated");
  assertEquals(best(100, 2, [4]), 4, "what breaks is not penalised");
});
