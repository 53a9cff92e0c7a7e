import { assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { parseGguf, u32 } from "../../src/gguf/mod.ts";
import { checkGiven } from "../../src/llm/check_given.ts";
import { describeModel } from "../../src/model/mod.ts";
import type { RankPlan } from "../../src/rank/plan/plan_types.ts";
import { idsOf, someRows } from "../support/given_rows.ts";
import { tinyModel } from "../support/tiny_model.ts";

Deno.test("checkGiven() takes rows of as many parts as the model adds", () => {
  const metadata = [["qwen3vl.n_deepstack_layers", u32(2)] as const];
  const { config } = describeModel(parseGguf(tinyModel({ architecture: "qwen3vl", metadata })));
  const check = (parts: number, plan = {}, behind = [4]) => {
    const width = parts * config.embeddingLength;
    const values = someRows(1, { count: 6, width });
    const image = { firstId: -1, values, seesAll: false, grid: { rows: 2, columns: 3 } };
    const ids = [3, ...idsOf(image, width), ...behind];
    checkGiven(ids, [image], { config, plans: [plan as RankPlan] });
  };
  check(3);
  assertThrows(() => check(1), RequestError, "2 times 3 are 6, not 2");
  const alone = { gpu: { isAlone: true }, chunkTokens: 64 };
  check(3, alone);
  for (const [plan, behind] of [[alone, []], [{ ...alone, chunkTokens: 7 }, [4]]] as const) {
    assertThrows(() => check(3, plan, [...behind]), RequestError, "use --gpu off");
  }
  check(3, { gpu: { isAlone: false }, chunkTokens: 7 }, []);
});
