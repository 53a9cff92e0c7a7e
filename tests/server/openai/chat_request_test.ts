import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { RequestError } from "../../../src/base/errors.ts";
import { chatSchema, toChatRequest } from "../../../src/server/openai/chat_request.ts";
import { parseFields } from "../../../src/server/parse_fields.ts";

const parse = (body: Record<string, unknown>) => toChatRequest(parseFields(chatSchema, body));
const call = { id: "c1", type: "function", function: { name: "f", arguments: `{"a":1}` } };
const user = { role: "user", content: "x" };

const IMAGE_URL = "messages[0].content[0].image_url";

Deno.test("toChatRequest() refuses messages that it cannot take, and names the place", () => {
  const bad: [unknown, string, string][] = [
    [undefined, "messages", "array"],
    ["hi", "messages", "array"],
    [[], "messages", "at least one"],
    [["hi"], "messages[0]", "object"],
    [[user, { content: "x" }], "messages[1].role", "expected"],
    [[{ role: "robot", content: "x" }], "messages[0].role", `"user"`],
    [[{ role: "tool" }], "messages[0].content", "expected a string"],
    [[{ role: "user" }], "messages[0].content", "expected a string"],
    [[{ role: "user", content: null }], "messages[0].content", "expected a string"],
    [[{ role: "user", content: 5 }], "messages[0].content", "expected a string"],
    [[{ role: "user", content: ["x"] }], "messages[0].content[0]", "type"],
    [[{ role: "user", content: [{ type: "text" }] }], "messages[0].content[0].text", "string"],
    [[{ role: "user", content: [{ type: "video_url" }] }], "messages[0].content[0]", "video_url"],
    [[{ role: "user", content: [{ type: "image_url" }] }], IMAGE_URL, "data URL"],
    [[{ ...user, name: 5 }], "messages[0].name", "string"],
    [[{ ...user, tool_calls: [{}] }], "messages[0].tool_calls[0].function", "object"],
    [[{ ...user, tool_calls: [call] }], "messages[0].tool_calls", "only assistants"],
  ];
  for (const [messages, param, reason] of bad) {
    const error = assertThrows(() => parse({ messages }), RequestError);
    assertEquals([error.status, error.param], [400, param]);
    assertStringIncludes(error.message, reason);
  }
});

Deno.test("toChatRequest() keeps what templates use of a message, and nothing else", () => {
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
  assertEquals(parse({ messages }).conversation.messages, [
    { role: "user", content: "a\u0000\ufffd", name: "n\ufffd" },
    { role: "assistant", content: "no" },
    { role: "assistant", content: "" },
  ]);
});

Deno.test("toChatRequest() gives templates calls with arguments, and roles that they know", () => {
  const cut = { ...call, function: { name: "f", arguments: `{"a":` } };
  const messages = [
    { role: "developer", content: "s" },
    { role: "assistant", content: null, tool_calls: [call, cut] },
    { role: "tool", content: "1", tool_call_id: "c1" },
    { role: "assistant", content: "", function_call: { name: "f", arguments: "{}" } },
    { role: "function", name: "f", content: "2" },
  ];
  assertEquals(parse({ messages }).conversation.messages, [
    { role: "system", content: "s" },
    {
      role: "assistant",
      content: "",
      tool_calls: [
        { id: "c1", type: "function", function: { name: "f", arguments: { a: 1 } } },
        { id: "c1", type: "function", function: { name: "f", arguments: { arguments: `{"a":` } } },
      ],
    },
    { role: "tool", content: "1", tool_call_id: "c1" },
    {
      role: "assistant",
      content: "",
      tool_calls: [{ type: "function", function: { name: "f", arguments: {} } }],
    },
    { role: "tool", name: "f", content: "2" },
  ]);
});

Deno.test("arguments that are no JSON object become one, which templates go through", () => {
  const deep = "[".repeat(5000) + "]".repeat(5000);
  for (
    const [written, shown] of [
      ["", {}],
      [" \n", {}],
      ["[1]", { arguments: "[1]" }],
      ["5", { arguments: "5" }],
      ["null", { arguments: "null" }],
      ["{bad", { arguments: "{bad" }],
      [deep, { arguments: deep }],
      [`{"a": {"b": []}}`, { a: { b: [] } }],
    ] as const
  ) {
    const cut = { ...call, function: { name: "f", arguments: written } };
    const messages = [user, { role: "assistant", content: null, tool_calls: [cut] }];
    const [, { tool_calls: calls }] = parse({ messages }).conversation.messages;
    assertEquals((calls as typeof cut[])[0].function.arguments as unknown, shown, written);
  }
});

Deno.test("toChatRequest() passes on how much a model should think", () => {
  const { conversation } = parse({
    messages: [user],
    reasoning_effort: "none",
    chat_template_kwargs: { custom: 1 },
  });
  assertEquals(conversation.variables, {
    reasoning_effort: "none",
    enable_thinking: false,
    custom: 1,
  });
});
