/** A request of a model that fills in, step by step, with logits that are no model's. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { Filling } from "../../src/engine/filling.ts";
import type { FillOrder } from "../../src/engine/fill_settings.ts";
import type { StepRunner } from "../../src/engine/step_runner.ts";
import type { GgufPart } from "../../src/gguf/types.ts";
import { createScoreBoard } from "../support/score_board.ts";

const VOCAB = 8, MASK = 7, END = 6;
const PROMPT = [1, 2, 3];

interface Asked {
  readonly answer: number;
  readonly blockTokens: number;
  readonly stepTokens: number;
  readonly order?: FillOrder;
  readonly isShifted?: boolean;
  readonly logitBias?: ReadonlyMap<number, number>;
}

/** Logits of a row of the text; left out: of all ids alike. */
type Rows = (row: number) => readonly number[] | undefined;

function begin(
  { answer, isShifted = false, order = "confidence", logitBias, ...fill }: Asked,
  parts: readonly GgufPart[] = [],
) {
  const board = createScoreBoard(VOCAB);
  const outputIds = new Int32Array(32);
  const sampling = { temperature: 0, logitBias };
  const request = { ids: PROMPT, maxTokens: answer, sampling, endIds: [END] };
  const steps = { board, takeRow: (_: number) => {} };
  const filling = new Filling({ ...request, fill: { ...fill, order } }, {
    ...{ slot: 0, contextLength: 32, outputIds, fill: { maskId: MASK, isShifted } },
    end: { done: () => {}, failed: () => {} },
    ...{ steps: steps as unknown as StepRunner, parts },
  });
  const asked: number[][] = [];
  const step = (rows: Rows = () => undefined) => {
    const { firstRow, endRow } = filling;
    const taken: number[] = [];
    steps.takeRow = (row) => {
      taken.push(firstRow + row);
      board.scores.set(rows(firstRow + row) ?? new Array(VOCAB).fill(0));
    };
    asked.push([firstRow, endRow]);
    const finished = filling.take(steps as unknown as StepRunner);
    return { finished, taken, ids: [...filling.ids.subarray(PROMPT.length)] };
  };
  return { filling, step, asked, said: () => [...outputIds.subarray(0, filling.answered)] };
}

/** Logits by which an id is as likely as `size` says. */
function sure(id: number, size: number): number[] {
  return Array.from({ length: VOCAB }, (_, other) => other === id ? size : 0);
}

Deno.test("Filling fills in the surest places of a block, and of equally sure ones the first", () => {
  const { step, said, asked } = begin({ answer: 5, blockTokens: 3, stepTokens: 2 });
  const rows: Rows = (row) => sure(row === 5 ? 4 : 5, row === 5 ? 9 : 3);
  const first = step(rows);
  // Places 3 and 5: the third is surest, of the others the first.
  assertEquals(first.ids, [5, MASK, 4, MASK, MASK]);
  assertEquals([first.taken, first.finished, said()], [[3, 4, 5], null, [5]]);
  // What is left of the block is less than a step may fill in.
  const second = step(rows);
  assertEquals([second.ids, said()], [[5, 5, 4, MASK, MASK], [5, 5, 4]]);
  const third = step(rows);
  assertEquals([third.finished, said()], ["length", [5, 5, 4, 5, 5]]);
  assertEquals(asked, [[3, 6], [4, 5], [6, 8]]);
});

Deno.test("Filling asks rows before masks where these speak of them, and no others", () => {
  const { step, asked } = begin({ answer: 4, blockTokens: 4, stepTokens: 1, isShifted: true });
  const { taken, ids } = step((row) => sure(row === 3 ? 5 : 1, row === 3 ? 9 : 1));
  assertEquals([taken, ids], [[2, 3, 4, 5], [MASK, 5, MASK, MASK]]);
  assertEquals(step().taken, [2, 4, 5]);
  assertEquals(asked, [[2, 6], [2, 6]]);
});

Deno.test("Filling ends at an end token that has all before it, not at one that has not", () => {
  const { step, said } = begin({ answer: 4, blockTokens: 4, stepTokens: 1 });
  const rows: Rows = (row) => sure(row === 5 ? END : 2, row === 5 ? 9 : 1);
  assertEquals([step(rows).finished, said()], [null, []]);
  assertEquals([step(rows).finished, said()], [null, [2]]);
  assertEquals([step(rows).finished, said()], ["stop", [2, 2]]);
});

Deno.test("Filling says where logits are not numbers, whatever a mask is given", () => {
  for (const logitBias of [undefined, new Map([[MASK, Infinity]])]) {
    const { step } = begin({ answer: 2, blockTokens: 2, stepTokens: 1, logitBias });
    const error = assertThrows(
      () => step(() => new Array(VOCAB).fill(NaN)),
      RequestError,
      "Cannot choose token 3: its logits are not numbers",
    );
    assertEquals(error.status, 500);
  }
});

Deno.test("Filling tells how long the step that reads the prompt took, and each id behind it", () => {
  const { now } = performance;
  let ms = 100;
  performance.now = () => ms;
  try {
    const { filling, step } = begin({ answer: 5, blockTokens: 3, stepTokens: 2 });
    const nothing = { promptTokens: 3, cachedTokens: 0, promptMs: 0, predictedMs: 0 };
    const { timings } = filling.result("cancelled");
    assertEquals(timings, { ...nothing, predictedTokens: 0 });
    filling.start();
    const rows: Rows = (row) => sure(5, row === 5 ? 9 : 3);
    // One id comes of the first step; two that were computed together of each other one.
    for (const at of [130, 150, 180]) {
      ms = at;
      step(rows);
    }
    ms = 200;
    const { timings: after } = filling.result("length");
    const each = { p50: 10, p90: 15, p99: 15 };
    assertEquals(after, {
      ...{ ...nothing, promptMs: 30, predictedTokens: 5, predictedMs: 70, tokenMs: each },
    });
  } finally {
    performance.now = now;
  }
});

Deno.test("Filling names what changes the model where logits are not numbers", () => {
  const parts = [
    { path: "/models/own.gguf", sizeBytes: 1 },
    { path: "/models/calm.gguf", sizeBytes: 1, use: "control vector, 9 times" },
  ];
  const { step } = begin({ answer: 2, blockTokens: 2, stepTokens: 1 }, parts);
  const error = assertThrows(() => step(() => new Array(VOCAB).fill(NaN)), RequestError);
  assertStringIncludes(error.message, 'with "calm.gguf": load the model with a smaller scale');
});
