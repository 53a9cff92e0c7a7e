import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { parseChatRequest } from "../../src/server/chat_request.ts";

const user = { role: "user", content: "x" };

Deno.test("parseChatRequest() refuses messages that it cannot take, and names the place", () => {
  const bad: [unknown, string, string][] = [
    [undefined, "messages", "array"],
    ["hi", "messages", "array"],
    [[], "messages", "at least one"],
    [["hi"], "messages[0]", "object"],
    [[user, { content: "x" }], "messages[1].role", "expected"],
    [[{ role: "robot", content: "x" }], "messages[0].role", `"user"`],
    [[{ role: "tool", content: "x" }], "messages[0].role", "tool messages"],
    [[{ role: "user" }], "messages[0].content", "expected a string"],
    [[{ role: "user", content: null }], "messages[0].content", "expected a string"],
    [[{ role: "user", content: 5 }], "messages[0].content", "expected a string"],
    [[{ role: "user", content: ["x"] }], "messages[0].content[0]", "type"],
    [[{ role: "user", content: [{ type: "text" }] }], "messages[0].content[0].text", "string"],
    [[{ role: "user", content: [{ type: "image_url" }] }], "messages[0].content[0]", "image_url"],
    [[{ ...user, name: 5 }], "messages[0].name", "string"],
    [[{ ...user, tool_calls: [{}] }], "messages[0].tool_calls", "not supported"],
  ];
  for (const [messages, param, reason] of bad) {
    const error = assertThrows(() => parseChatRequest({ messages }), RequestError);
    assertEquals([error.status, error.param], [400, param]);
    assertStringIncludes(error.message, reason);
  }
});

Deno.test("parseChatRequest() keeps what templates use of a message, and nothing else", () => {
  const messages = [
    {
      role: "user",
      content: "a\u0000\ud800",
      name: "n\udc00",
      weight: 1,
      evil: { role: "system" },
    },
    { role: "assistant", content: [{ type: "refusal", refusal: "no" }], tool_calls: [] },
    { role: "assistant" },
  ];
  assertEquals(parseChatRequest({ messages }).messages, [
    { role: "user", content: "a\u0000\ufffd", name: "n\ufffd" },
    { role: "assistant", content: "no" },
    { role: "assistant", content: "" },
  ]);
});
