import { assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import type { GivenRows } from "../../src/engine/types.ts";
import { checkGiven } from "../../src/llm/check_given.ts";
import { checkIds } from "../../src/llm/check_ids.ts";
import type { ModelConfig } from "../../src/model/types.ts";
import type { RankPlan } from "../../src/rank/plan/plan_types.ts";

const WIDTH = 4;
const config = {
  embeddingLength: WIDTH,
  ropes: [{ axes: { axisOf: [0] } }],
} as never as ModelConfig;
const plan = { chunkTokens: 6, statePlaces: 0 } as never as RankPlan;

/** Six rows: ids -1 to -6. */
function rowsOf(changes: Partial<GivenRows> = {}): GivenRows {
  const values = new Float32Array(6 * WIDTH).fill(0.5);
  return { firstId: -1, values, seesAll: true, grid: { rows: 2, columns: 3 }, ...changes };
}

const IDS = [7, -1, -2, -3, -4, -5, -6, 8];

Deno.test("checkGiven() takes rows that are the model's, as often as they come", () => {
  checkGiven([...IDS, ...IDS], [rowsOf()], { config, plans: [plan] });
  const others = rowsOf({ firstId: -7 });
  checkGiven([...IDS, ...IDS.map((id) => id < 0 ? id - 6 : id)], [others, rowsOf()], {
    ...{ config, plans: [plan] },
  });
});

const HOSTILE: Record<string, [ids: number[], given: GivenRows[]]> = {
  "ids without rows": [[7, -9], [rowsOf()]],
  "rows that begin in the middle": [[7, -2, -3, -4, -5, -6], [rowsOf()]],
  "rows that end early": [[7, -1, -2, -3], [rowsOf()]],
  "rows in another order": [[-1, -3, -2, -4, -5, -6], [rowsOf()]],
  "a first id that is none": [IDS, [rowsOf({ firstId: 0 })]],
  "a first id that is no integer": [IDS, [rowsOf({ firstId: -1.5 })]],
  "ids of more than 32 bits": [IDS, [rowsOf(), rowsOf({ firstId: -(2 ** 31) })]],
  "rows of another width": [IDS, [rowsOf({ values: new Float32Array(6 * WIDTH + 1) })]],
  "no rows": [[7], [rowsOf({ values: new Float32Array(0) })]],
  "a row that is not a number": [IDS, [rowsOf({ values: new Float32Array(6 * WIDTH).fill(NaN) })]],
  "a row that is infinite": [IDS, [rowsOf({ values: new Float32Array(6 * WIDTH).fill(1 / 0) })]],
  "ids of two rows": [IDS, [rowsOf(), rowsOf({ firstId: -4 })]],
  "a grid of another size": [IDS, [rowsOf({ grid: { rows: 2, columns: 2 } })]],
  "a grid of fractions": [IDS, [rowsOf({ grid: { rows: 1.5, columns: 4 } })]],
  "more rows than a step": [IDS, [
    rowsOf(),
    rowsOf({ firstId: -99, values: new Float32Array(7 * WIDTH), grid: null }),
  ]],
};

for (const [what, [ids, given]] of Object.entries(HOSTILE)) {
  Deno.test(`checkGiven() refuses ${what}`, () => {
    assertThrows(() => checkGiven(ids, given, { config, plans: [plan] }), RequestError);
  });
}

Deno.test("checkGiven() refuses what the model cannot do", () => {
  const straight = { ...config, ropes: [] };
  assertThrows(
    () => checkGiven(IDS, [rowsOf()], { config: straight, plans: [plan] }),
    RequestError,
  );
  const limits = { config, plans: [{ ...plan, statePlaces: 3 }] };
  assertThrows(() => checkGiven(IDS, [rowsOf()], limits), RequestError, "token by token");
  checkGiven(IDS, [rowsOf({ seesAll: false })], limits);
});

Deno.test("checkIds() refuses ids below 0 where nothing is given", () => {
  const limits = { contextLength: 99, vocabSize: 9 };
  assertThrows(() => checkIds(IDS, limits), RequestError, "-1");
  checkIds(IDS, { ...limits, given: [rowsOf()] });
  assertThrows(() => checkIds([-1.5], { ...limits, given: [rowsOf()] }), RequestError, "-1.5");
});
