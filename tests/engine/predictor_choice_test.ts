import { assertEquals } from "@std/assert";
import { choosePredictors, type RehearsedPredictor } from "../../src/engine/predictor_choice.ts";

/** Finds 90 of 100 neurons that fire by naming 150 of 1000; takes 300 of the gates' 1000 bytes. */
const GOOD: RehearsedPredictor = {
  ...{ layer: 0, fired: 100, found: 90, predicted: 150, possible: 1000 },
  ...{ predictorBytes: 300, gateBytes: 1000, areGatesOnDisk: false },
};

Deno.test("choosePredictors() uses what finds enough and pays", () => {
  const cases: [Partial<RehearsedPredictor>, string | null][] = [
    [{}, null],
    [{ found: 80 }, null],
    [{ found: 79 }, "recall"],
    [{ fired: 0, found: 0 }, null],
    [{ predictorBytes: 650 }, null],
    [{ predictorBytes: 651 }, "cost"],
    [{ predicted: 325 }, null],
    [{ predicted: 326 }, "cost"],
    [{ predicted: 1000, found: 100 }, "cost"],
  ];
  for (const [changes, flaw] of cases) {
    // Nine good ones beside it: the model as a whole finds enough.
    const others = Array.from({ length: 9 }, (_, i) => ({ ...GOOD, layer: i + 1 }));
    const [choice, ...rest] = choosePredictors([{ ...GOOD, ...changes }, ...others], "auto");
    assertEquals([choice.flaw, choice.isUsed], [flaw, flaw === null]);
    assertEquals(rest.every(({ isUsed }) => isUsed), true);
  }
});

Deno.test("choosePredictors() uses none where all together find too few", () => {
  const bad = { ...GOOD, layer: 1, fired: 1000, found: 700 };
  const choices = choosePredictors([GOOD, bad], "auto");
  assertEquals(choices.map(({ flaw }) => flaw), ["model", "model"]);
  assertEquals(choices.map(({ isUsed }) => isUsed), [false, false]);
});

Deno.test("choosePredictors() uses all when told so, and still says what is wrong", () => {
  const [bad] = choosePredictors([{ ...GOOD, found: 10 }], "on");
  assertEquals([bad.flaw, bad.isUsed], ["model", true]);
  const [costly] = choosePredictors([{ ...GOOD, predictorBytes: 5000 }], "on");
  assertEquals([costly.flaw, costly.isUsed], ["cost", true]);
});

Deno.test("choosePredictors() has nothing to choose where nothing was rehearsed", () => {
  assertEquals(choosePredictors([], "auto"), []);
});
