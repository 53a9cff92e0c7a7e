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
