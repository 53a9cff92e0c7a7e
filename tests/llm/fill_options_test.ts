import { assertEquals, assertThrows } from "@std/assert";
import {
  answerTokensOf,
  fillingOf,
  type FillOptions,
  fillSettings,
} from "../../src/llm/fill_options.ts";

const MODEL = { architecture: "llada", fill: { maskId: 7, isShifted: false } };
const ASKED = { ids: [1] };

Deno.test("fillSettings() takes what is said, and of what is left out what models have", () => {
  assertEquals(fillSettings(), { blockTokens: 32, stepTokens: 1, order: "confidence" });
  const partly = { blockTokens: undefined, stepTokens: 64, order: undefined };
  assertEquals(fillSettings(partly), { blockTokens: 32, stepTokens: 64, order: "confidence" });
  assertEquals(fillSettings({ blockTokens: 1, order: "random" }), {
    ...{ blockTokens: 1, stepTokens: 1, order: "random" },
  });
});

Deno.test("fillSettings() refuses numbers out of range, and orders that are none", () => {
  for (const name of ["blockTokens", "stepTokens"]) {
    for (const value of [0, -1, 65, 1.5, 2 ** 31, NaN, Infinity, "8", null]) {
      assertThrows(
        () => fillSettings({ [name]: value }),
        RangeError,
        `Cannot load a model with fill.${name} ${value}: a whole number from 1 to 64 is needed`,
      );
    }
  }
  assertThrows(
    () => fillSettings({ order: "luck" } as unknown as FillOptions),
    RangeError,
    'fill.order "luck": confidence, entropy, margin, random are known',
  );
});

Deno.test("fillingOf() leaves requests to other models as they are, and bounds answers of these", () => {
  const other = { architecture: "llama", fill: undefined };
  assertEquals(fillingOf(other, { ...ASKED, logprobs: 1 }), { maxTokens: Infinity });
  assertEquals(answerTokensOf(other), undefined);
  const fill = fillSettings({ stepTokens: 3 });
  const of = (maxTokens?: number) => fillingOf(MODEL, { ...ASKED, maxTokens }, { stepTokens: 3 });
  assertEquals(of(), { fill, maxTokens: 256 });
  assertEquals(of(Infinity), { fill, maxTokens: 256 });
  assertEquals(of(5000), { fill, maxTokens: 5000 });
  assertEquals(answerTokensOf(MODEL), 256);
});
