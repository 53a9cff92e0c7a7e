import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { CHAT, hello, post, readEvents, refused, testApp } from "../http_client.ts";

const details = { chatTemplate: "{% if tools %}<tool_call>{% endif %}" };
const tools = [
  { type: "function", function: { name: "f", parameters: { type: "object" } } },
  { type: "function", function: { name: "g" } },
];
const CALL = `<tool_call>\n{"name": "f", "arguments": {"a": "é"}}\n</tool_call>`;

Deno.test("a model's call is a tool call with an id, and the reason that it ended", async () => {
  const { app, model } = testApp({ details, script: ["Sure. ", CALL] });
  const body = await (await post(app, CHAT, { ...hello, tools })).json();
  const [{ message, finish_reason }] = body.choices;
  assertEquals([message.content, finish_reason], ["Sure.", "tool_calls"]);
  const [{ id, ...call }] = message.tool_calls;
  assertMatch(id, /^call_[0-9a-f]{24}$/);
  assertEquals(call, { type: "function", function: { name: "f", arguments: `{"a": "é"}` } });
  assertEquals(model.chatOptions[0]?.tools, [
    { type: "function", function: { name: "f", parameters: { type: "object" } } },
    { type: "function", function: { name: "g", parameters: { type: "object", properties: {} } } },
  ]);
});

Deno.test("calls are streamed: index, id and name first, then the arguments in pieces", async () => {
  const script = [...`${CALL}\n<tool_call>{"name":"g","arguments":{}}</tool_call>`];
  const { app } = testApp({ details, script });
  const events = await readEvents(await post(app, CHAT, { ...hello, tools, stream: true }));
  const deltas = events.slice(0, -1).map(({ choices }) => choices[0].delta);
  assertEquals(deltas[0], { role: "assistant", content: "" });
  const calls = deltas.slice(1, -1).map(({ tool_calls }) => tool_calls[0]);
  assertEquals(
    calls.filter(({ id }) => id).map(({ index, type, function: { name } }) => [index, type, name]),
    [[0, "function", "f"], [1, "function", "g"]],
  );
  for (const [index, expected] of [`{"a": "é"}`, "{}"].entries()) {
    const pieces = calls.filter((call) => call.index === index);
    assertEquals(pieces.map((call) => call.function.arguments).join(""), expected);
    assertEquals(pieces.slice(1).every((call) => !("id" in call)), true);
  }
  assertEquals(events.at(-2).choices[0].finish_reason, "tool_calls");
});

Deno.test("a call that must be made is opened by the prompt and bound by a grammar", async () => {
  const { app, model } = testApp({ details, script: [`{"name":"f","arguments":{}}`] });
  for (
    const tool_choice of [
      { type: "function", function: { name: "f" } },
      {
        type: "allowed_tools",
        allowed_tools: { mode: "required", tools: [{ type: "function", function: { name: "f" } }] },
      },
    ]
  ) {
    const body = await (await post(app, CHAT, { ...hello, tools, tool_choice })).json();
    assertEquals(body.choices[0].message.content, null);
    assertEquals(body.choices[0].message.tool_calls[0].function.name, "f");
    const request = model.requests.at(-1)!;
    assertEquals(model.decode(request.ids), "Hi<tool_call>\n");
    assertEquals(request.grammar?.kind, "parts");
  }
});

Deno.test("tool_choice none offers nothing, and what looks like a call is text", async () => {
  const { app, model } = testApp({ details, script: [CALL] });
  const body = await (await post(app, CHAT, { ...hello, tools, tool_choice: "none" })).json();
  assertEquals(body.choices[0].message.content, CALL);
  assertEquals(body.choices[0].finish_reason, "stop");
  assertEquals(model.chatOptions[0]?.tools, undefined);
});

Deno.test("parallel_tool_calls false leaves out all calls but the first", async () => {
  const { app } = testApp({ details, script: [CALL, CALL] });
  const fields = { tools, parallel_tool_calls: false };
  const body = await (await post(app, CHAT, { ...hello, ...fields })).json();
  assertEquals(body.choices[0].message.tool_calls.length, 1);
});

Deno.test("a call that max_tokens cuts off ends with length", async () => {
  const { app } = testApp({ details, script: [CALL] });
  const body = await (await post(app, CHAT, { ...hello, tools, max_tokens: 44 })).json();
  assertEquals(body.choices[0].finish_reason, "length");
  assertEquals(body.choices[0].message.tool_calls[0].function.arguments, `{"a":`);
});

Deno.test("a call that must be made and is cut off before its name is no text", async () => {
  const { app } = testApp({ details, script: [CALL.slice("<tool_call>".length)] });
  const must = { ...hello, tools, tool_choice: "required", max_tokens: 8 };
  const { choices: [{ message, finish_reason }] } = await (await post(app, CHAT, must)).json();
  assertEquals([message.content, message.tool_calls, finish_reason], ["", undefined, "length"]);
});

Deno.test("a stream of a call that must be made begins without a text, others with an empty one", async () => {
  const { app } = testApp({ details, script: [CALL.slice("<tool_call>".length)] });
  const first = async (choice: string, more = {}) => {
    const asked = { ...hello, tools, tool_choice: choice, stream: true, ...more };
    const text = await (await post(app, CHAT, asked)).text();
    return JSON.parse(text.split("\n\n")[0].slice("data: ".length)).choices[0].delta;
  };
  assertEquals(await first("required"), { role: "assistant", content: null });
  for (const choice of ["auto", "none"]) {
    assertEquals(await first(choice), { role: "assistant", content: "" });
  }
});

Deno.test("arguments are an object where a schema leaves it open, and none where there are none", async () => {
  const { app, model } = testApp({ details });
  const schemaOf = async (parameters: unknown) => {
    const tool = { type: "function", function: { name: "f", parameters } };
    const asked = { ...hello, tools: [tool], tool_choice: "required" };
    await (await post(app, CHAT, asked)).body?.cancel();
    const text = JSON.stringify(model.requests.at(-1)?.grammar);
    return JSON.parse(/"arguments":(\{.*?\})\},"required"/.exec(text)![1]);
  };
  const none = { type: "object", properties: {}, additionalProperties: false };
  assertEquals(await schemaOf(undefined), none);
  assertEquals(await schemaOf(null), none);
  assertEquals(await schemaOf({ type: "object", properties: {} }), none);
  const nothing = { type: "object", properties: {}, required: [] };
  assertEquals(await schemaOf(nothing), { ...nothing, additionalProperties: false });
  assertEquals(await schemaOf({}), { type: "object" });
  assertEquals(await schemaOf({ type: ["object", "null"] }), { type: "object" });
  const named = { type: "object", properties: {}, required: ["a"] };
  assertEquals(await schemaOf(named), named);
  const open = { type: "object", properties: {}, additionalProperties: true };
  assertEquals(await schemaOf(open), open);
  const either = { anyOf: [{ type: "object" }] };
  assertEquals(await schemaOf(either), either);
});

Deno.test("choices of one request have calls of their own", async () => {
  let count = 0;
  const { app } = testApp({ details, script: () => count++ === 1 ? [CALL] : ["No."] });
  const body = await (await post(app, CHAT, { ...hello, tools, n: 3 })).json();
  assertEquals(
    body.choices.map(({ message }: { message: { tool_calls?: unknown[] } }) =>
      message.tool_calls?.length ?? 0
    ),
    [0, 1, 0],
  );
});

Deno.test("tools with bad schemas, names or choices are refused at once (fault 44)", async () => {
  const { app, model } = testApp({ details });
  const f = (fields: object) => ({ type: "function", function: { name: "f", ...fields } });
  const bad: [object, string][] = [
    [{ tools: [f({ parameters: "x" })] }, "tools[0].function.parameters"],
    [{ tools: [f({ parameters: [] })] }, "tools[0].function.parameters"],
    [
      { tools: [f({}), { ...f({}), function: { name: "g", parameters: { type: "string" } } }] },
      "tools[1]",
    ],
    [{ tools: [f({ parameters: { type: ["string", "null"] } })] }, "tools[0]"],
    [{ tools: [f({ name: "a b" })] }, "tools[0].function.name"],
    [{ tools: [f({ name: "x".repeat(129) })] }, "tools[0].function.name"],
    [{ tools: [f({ name: `"\n` })] }, "tools[0].function.name"],
    [{ tools: [f({}), f({})] }, "tools[1]"],
    [{ tools: [{ type: "custom", custom: { name: "c" } }] }, "tools[0].type"],
    [{ tools: Array(129).fill(f({})) }, "tools"],
    [{ tools, tool_choice: { type: "function", function: { name: "h" } } }, "tool_choice"],
    [{ tool_choice: "required" }, "tool_choice"],
    [{ tools, grammar: "root ::= [a]" }, "grammar"],
  ];
  for (const [fields, param] of bad) {
    const error = await refused(app, CHAT, { ...hello, ...fields });
    assertEquals(error.param, param, error.message);
  }
  assertStringIncludes(
    (await refused(app, CHAT, { ...hello, tools: [{ type: "web_search" }] })).message,
    `"function" only`,
  );
  assertEquals(model.requests, []);
});
