import { assert, assertEquals, assertMatch } from "@std/assert";
import { failure, refusal, troubleOf } from "../../../src/page/server/errors.ts";

Deno.test("refusal() says the server's words and what helps against them", () => {
  const error = { message: "The prompt has 9 tokens", code: "context_length_exceeded" };
  const { message, cure } = refusal(400, { error });
  assertEquals(message, "The prompt has 9 tokens.");
  assertMatch(cure, /new chat.*--ctx-size/);
});

Deno.test("refusal() knows something to do whatever comes", () => {
  for (const status of [400, 404, 418, 429, 500, 503, 504]) {
    for (const body of [null, 7, "x", {}, { error: 3 }, { error: { message: 5, code: [] } }]) {
      const { message, cure } = refusal(status, body);
      assert(message.includes(String(status)) && cure.length > 20);
    }
  }
  assertEquals(failure({}).message, "The answer failed.");
  assertEquals(troubleOf(new TypeError("odd")), { message: "odd", cure: "Try again." });
});
