import { assertEquals, assertThrows } from "@std/assert";
import { RequestError } from "../../../src/base/errors.ts";
import { parseCompletionRequest } from "../../../src/server/openai/completion_request.ts";

Deno.test("parseCompletionRequest() refuses prompts of any other form", () => {
  const bad = [
    undefined,
    null,
    5,
    {},
    [],
    [[]],
    ["a", 1],
    [1, "a"],
    [[1], "a"],
    [1.5],
    [-1],
    [2 ** 31],
    [[[1]]],
    [null],
    Array(65).fill("x"),
  ];
  for (const prompt of bad) {
    const error = assertThrows(() => parseCompletionRequest({ prompt }), RequestError);
    assertEquals([error.status, error.param], [400, "prompt"], JSON.stringify(prompt));
  }
});

Deno.test("parseCompletionRequest() makes texts well-formed and leaves ids alone", () => {
  assertEquals(parseCompletionRequest({ prompt: "a\ud800" }).prompts, [{ text: "a\ufffd" }]);
  assertEquals(parseCompletionRequest({ prompt: [0, 7] }).prompts, [{ ids: [0, 7] }]);
  assertEquals(parseCompletionRequest({ prompt: [[1], [2]] }).prompts, [{ ids: [1] }, {
    ids: [2],
  }]);
  assertEquals(parseCompletionRequest({ prompt: "" }).prompts, [{ text: "" }]);
});
