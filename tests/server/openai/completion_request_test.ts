import { assertEquals, assertThrows } from "@std/assert";
import { RequestError } from "../../../src/base/errors.ts";
import {
  completionSchema,
  toCompletionRequest,
} from "../../../src/server/openai/completion_request.ts";
import { parseFields } from "../../../src/server/parse_fields.ts";

const parse = (body: Record<string, unknown>) =>
  toCompletionRequest(parseFields(completionSchema, body));

Deno.test("toCompletionRequest() refuses prompts of any other form", () => {
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
    const error = assertThrows(() => parse({ prompt }), RequestError);
    assertEquals([error.status, error.param], [400, "prompt"], JSON.stringify(prompt));
  }
});

Deno.test("toCompletionRequest() makes texts well-formed and leaves ids alone", () => {
  assertEquals(parse({ prompt: "a\ud800" }).prompts, [{ text: "a\ufffd" }]);
  assertEquals(parse({ prompt: [0, 7] }).prompts, [{ ids: [0, 7] }]);
  assertEquals(parse({ prompt: [[1], [2]] }).prompts, [{ ids: [1] }, {
    ids: [2],
  }]);
  assertEquals(parse({ prompt: "" }).prompts, [{ text: "" }]);
});
