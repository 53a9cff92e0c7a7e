import { assertAlmostEquals, assertEquals } from "@std/assert";
import { createLogprobRows, LogprobRecorder, readLogprobs } from "../../src/engine/logprob_rows.ts";
import { Rng } from "../support/rng.ts";
import { createScoreBoard } from "../support/score_board.ts";

/** What is written down for rows of logits and the ids chosen from them. */
function recorded(rows: readonly Float32Array[], ids: readonly number[], top: number) {
  const board = createScoreBoard(rows[0].length);
  const places = createLogprobRows(top, rows.length);
  const recorder = new LogprobRecorder(places, board, new Float32Array(rows[0].length));
  rows.forEach((row, i) => {
    board.scores.set(row);
    recorder.look();
    board.scores.fill(-Infinity); // whatever is done to the scores afterwards
    recorder.record(ids[i]);
  });
  return ids.map((id, index) => readLogprobs(places, { index, id }));
}

Deno.test("LogprobRecorder writes the softmax of the logits as they were, the likeliest first", () => {
  const rng = new Rng(3);
  const rows = Array.from(
    { length: 5 },
    () => Float32Array.from({ length: 300 }, () => 8 * rng.normal()),
  );
  const ids = rows.map(() => rng.int(300));
  for (const top of [0, 1, 5, 20]) {
    recorded(rows, ids, top).forEach((found, i) => {
      const most = Math.max(...rows[i]);
      const sum = Math.log(rows[i].reduce((sum, each) => sum + Math.exp(each - most), 0)) + most;
      const expected = [...rows[i].keys()].sort((a, b) => rows[i][b] - rows[i][a]).slice(0, top);
      assertEquals(found.id, ids[i]);
      assertAlmostEquals(found.logprob, rows[i][ids[i]] - sum, 1e-4);
      assertEquals(found.top.map(({ id }) => id), expected);
      for (const { id, logprob } of found.top) assertAlmostEquals(logprob, rows[i][id] - sum, 1e-4);
    });
  }
});

Deno.test("LogprobRecorder puts equal ones in the order of their ids and leaves out the impossible", () => {
  const [found] = recorded([Float32Array.of(0, 1, -Infinity, 1, 0, -Infinity)], [2], 20);
  assertEquals(found.top.map(({ id }) => id), [1, 3, 0, 4]);
  assertEquals(found.logprob, -Infinity);
});

Deno.test("LogprobRecorder survives a vocabulary smaller than the alternatives, and huge logits", () => {
  const [found] = recorded([Float32Array.of(3e38, -3e38)], [0], 5);
  assertEquals(found, {
    id: 0,
    logprob: 0,
    top: [{ id: 0, logprob: 0 }, { id: 1, logprob: -Infinity }],
  });
});
