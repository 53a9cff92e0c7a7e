import { assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { parseGguf, u32 } from "../../src/gguf/mod.ts";
import { checkGiven } from "../../src/llm/check_given.ts";
import { describeModel } from "../../src/model/mod.ts";
import type { RankPlan } from "../../src/rank/plan_types.ts";
import { idsOf, someRows } from "../support/given_rows.ts";
import { tinyModel } from "../support/tiny_model.ts";

Deno.test("checkGiven() takes rows of as many parts as the model adds, and not where a GPU computes", () => {
  const metadata = [["qwen3vl.n_deepstack_layers", u32(2)] as const];
  const { config } = describeModel(parseGguf(tinyModel({ architecture: "qwen3vl", metadata })));
  const check = (parts: number, gpu: object | null) => {
    const width = parts * config.embeddingLength;
    const values = someRows(1, { count: 6, width });
    const image = { firstId: -1, values, seesAll: false, grid: { rows: 2, columns: 3 } };
    const ids = [3, ...idsOf(image, width), 4];
    checkGiven(ids, [image], { config, plans: [{ gpu } as RankPlan] });
  };
  check(3, null);
  assertThrows(() => check(1, null), RequestError, "2 times 3 are not 2");
  assertThrows(() => check(3, {}), RequestError, "start with --gpu off");
});
