import { assertEquals, assertThrows } from "@std/assert";
import { createScoreBoard } from "../support/score_board.ts";

Deno.test("ScoreBoard.largest() is the first of the largest, of what is written at the time", () => {
  const board = createScoreBoard(5);
  assertEquals(board.largest(), 0);
  board.scores.set([NaN, 1, 3, 3, -Infinity]);
  assertEquals(board.largest(), 2);
  board.scores[4] = Infinity;
  assertEquals(board.largest(), 4);
  board.scores.set([NaN, -Infinity, NaN, -Infinity, NaN]);
  assertEquals(board.largest(), 1);
});

Deno.test("ScoreBoard.keepLargest() leaves the scores as they are, and the ids in front", () => {
  const board = createScoreBoard(6);
  const scores = Float32Array.of(2, NaN, 7, 2, -Infinity, 2);
  board.scores.set(scores);
  const kept = (k: number) => new Set(board.ids.subarray(0, board.keepLargest(k)));
  assertEquals(kept(1), new Set([2]));
  assertEquals(kept(3), new Set([2, 0, 3]));
  assertEquals(kept(6), new Set([0, 2, 3, 5]));
  assertEquals(new Float32Array(board.scores), scores);
});

Deno.test("ScoreBoard.keepLargest() refuses to choose none, or more than there are", () => {
  const board = createScoreBoard(6);
  for (const k of [0, -1, 7, NaN]) assertThrows(() => board.keepLargest(k), Error, "of one id");
});

Deno.test("ScoreBoard.keepLargest() puts few ids in their order", () => {
  const board = createScoreBoard(300);
  board.scores.set(Array.from({ length: 300 }, (_, id) => id * 7 % 50));
  const expected = [...board.scores.keys()]
    .toSorted((a, b) => board.scores[b] - board.scores[a] || a - b);
  for (const k of [1, 2, 7, 64]) {
    assertEquals([...board.ids.subarray(0, board.keepLargest(k))], expected.slice(0, k));
  }
});

Deno.test("ScoreBoard.showBest() shows nothing else until showAll()", () => {
  const board = createScoreBoard(100);
  board.scores.fill(5);
  const best = { count: 3, ids: Int32Array.of(70, 9, 30, 4), logits: Float32Array.of(3, 2, 2, 1) };
  board.showBest(best);
  assertEquals([board.largest(), board.scores[9]], [70, 2]);
  assertEquals([...board.ids.subarray(0, board.keepLargest(2))], [70, 9]);
  assertEquals([...board.ids.subarray(0, board.keepLargest(40))], [70, 9, 30]);
  assertThrows(() => board.keepLargest(65), Error, "the best ones");
  board.showAll();
  assertEquals(board.largest(), 0);
});
