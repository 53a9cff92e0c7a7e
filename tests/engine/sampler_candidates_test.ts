import { assertEquals } from "@std/assert";
import { Candidates } from "../../src/engine/sampler_candidates.ts";
import { Rng } from "../support/rng.ts";
import { createScoreBoard } from "../support/score_board.ts";

/** Sizes around the ones where something changes: one candidate, few, a heap's last row, many. */
const SIZES = [1, 2, 3, 7, 8, 9, 63, 64, 65, 257, 1000];

for (const ties of [false, true]) {
  const scores = (size: number, seed: number) => {
    const rng = new Rng(seed);
    const draw = () => ties ? rng.int(4) : 3 * rng.normal();
    return Float32Array.from({ length: size }, draw);
  };
  const title = ties ? "among equal scores" : "among different scores";

  Deno.test(`Candidates.reset() takes what a full sort puts first, ${title}`, () => {
    for (const size of SIZES) {
      for (const k of [1, 2, size >> 1, size - 1, size, size + 1].filter((each) => each > 0)) {
        const logits = scores(size, size + k);
        const candidates = reset(logits, Math.min(k, size));
        assertEquals(idsOf(candidates), new Set(sorted(logits).slice(0, k)), `${k} of ${size}`);
      }
    }
  });

  Deno.test(`Candidates.keepLargest() leaves of more what a full sort puts first, ${title}`, () => {
    for (const size of SIZES) {
      for (const k of [1, 2, size >> 1, size, size + 1].filter((each) => each > 0)) {
        const logits = scores(size, size + k);
        const candidates = reset(logits);
        candidates.keepLargest(k);
        assertEquals(idsOf(candidates), new Set(sorted(logits).slice(0, k)), `${k} of ${size}`);
      }
    }
  });

  Deno.test(`Candidates.keepTopP() keeps what a full sort and a running sum do, ${title}`, () => {
    for (const size of SIZES) {
      for (const mass of [0, 0.1, 0.5, 0.9, 0.999, 1]) {
        const logits = scores(size, size);
        const candidates = reset(logits);
        candidates.keepTopP(mass);
        const expected = untilMass(sorted(logits), softmax(logits), mass);
        assertEquals(idsOf(candidates), new Set(expected), `${mass} of ${size}`);
      }
    }
  });

  Deno.test(`Candidates.keepTypical() keeps the formula's set, ${title}`, () => {
    for (const size of SIZES) {
      for (const mass of [0.1, 0.5, 0.9]) {
        const logits = scores(size, 3 * size);
        const candidates = reset(logits);
        candidates.keepTypical(mass);
        const p = softmax(logits);
        const entropy = p.reduce((sum, each) => sum - each * Math.log(each), 0);
        const typicality = p.map((each) => -Math.abs(-Math.log(each) - entropy));
        const expected = untilMass(sorted(Float32Array.from(typicality)), p, mass);
        assertEquals(idsOf(candidates), new Set(expected), `${mass} of ${size}`);
      }
    }
  });
}

Deno.test("Candidates takes time proportional to the vocabulary on sorted and equal scores", () => {
  const size = 200_000; // 20 milliseconds; minutes if the selection were quadratic
  const ascending = Float32Array.from({ length: size }, (_, i) => i / size);
  for (const scores of [ascending, ascending.toReversed(), new Float32Array(size)]) {
    const candidates = reset(scores);
    candidates.keepTopP(0.5);
    assertEquals(candidates.count > size / 4 && candidates.count <= size / 2, true);
  }
});

Deno.test("Candidates.reset() starts over with every id that has a number above -Infinity", () => {
  const board = createScoreBoard(4);
  const candidates = new Candidates(board, { countMax: 3, typical: false });
  board.scores.set([1, NaN, -Infinity, 2]);
  candidates.reset();
  candidates.keepTopP(0.1);
  assertEquals(candidates.count, 1);
  board.scores.set([NaN, 0, 0, -Infinity]);
  candidates.reset();
  assertEquals(candidates.count, 2);
  assertEquals(idsOf(candidates), new Set([1, 2]));
});

Deno.test("Candidates.pick() maps points of [0, 1) to ids by their share", () => {
  const candidates = reset(Float32Array.of(Math.log(0.5), Math.log(0.25), Math.log(0.25)));
  const points = [0, 0.49, 0.51, 0.74, 0.76, 1 - 2 ** -53];
  assertEquals(points.map((point) => candidates.pick(point)), [0, 0, 1, 1, 2, 2]);
});

Deno.test("Candidates.pick() never picks an id whose share rounds to zero", () => {
  const candidates = reset(Float32Array.of(-2000, 0, -2000));
  assertEquals([0, 0.5, 1 - 2 ** -53].map((point) => candidates.pick(point)), [1, 1, 1]);
  // With sums that do not come out even, the last point may lie beyond all shares.
  const rng = new Rng(6);
  for (let i = 0; i < 300; i++) {
    const scores = Float32Array.from({ length: 40 }, () => rng.normal());
    scores[39] = -2000;
    const last = scores.indexOf(Math.min(...scores.subarray(0, 39)));
    assertEquals(reset(scores).pick(1 - 2 ** -53), last);
  }
});

Deno.test("Candidates.keepTypical() keeps the infinite ones when there are some", () => {
  const scores = Float32Array.from({ length: 40 }, (_, i) => i % 4 === 1 ? Infinity : i);
  for (const mass of [0.1, 0.5, 0.9]) {
    const candidates = reset(scores);
    candidates.keepTypical(mass);
    assertEquals(candidates.count, 10 * mass);
    for (const id of idsOf(candidates)) assertEquals(scores[id], Infinity, `${mass} kept ${id}`);
  }
});

function reset(scores: Float32Array, countMax = scores.length): Candidates {
  const board = createScoreBoard(scores.length);
  board.scores.set(scores);
  const candidates = new Candidates(board, { countMax, typical: true });
  candidates.reset();
  return candidates;
}

/** The candidates, by drawing at a temperature where all are equally likely. */
function idsOf(candidates: Candidates): Set<number> {
  const { count } = candidates;
  candidates.temper(Number.MAX_VALUE);
  return new Set(Array.from({ length: count }, (_, i) => candidates.pick((i + 0.5) / count)));
}

/** Ids by descending key, the smaller id first among equals. */
function sorted(keys: Float32Array): number[] {
  return Array.from(keys.keys()).sort((a, b) => keys[b] - keys[a] || a - b);
}

function softmax(logits: Float32Array): number[] {
  const weights = Array.from(logits, Math.exp);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** The first of `ids` whose probabilities reach `mass`; one at least. */
function untilMass(ids: number[], probabilities: number[], mass: number): number[] {
  let reached = 0;
  const end = ids.findIndex((id) => (reached += probabilities[id]) >= mass);
  return end < 0 ? ids : ids.slice(0, end + 1);
}
