import { assert, assertEquals, assertMatch } from "@std/assert";
import { post, refused, testApp } from "../http_client.ts";

const PATH = "/v1/responses";
const details = { chatTemplate: "{% if tools %}<tool_call>{% endif %}" };
const tools = [{ type: "function", name: "f", parameters: { type: "object" }, strict: true }];
const CALL = `<tool_call>{"name":"f","arguments":{"a":1}}</tool_call>`;

/** Events of a stream, each with the name that it is sent under. */
// deno-lint-ignore no-explicit-any
async function readEvents(response: Response): Promise<any[]> {
  const blocks = (await response.text()).split("\n\n").slice(0, -1);
  return blocks.map((block, index) => {
    const [name, data] = block.split("\n");
    const event = JSON.parse(data.replace(/^data: /, ""));
    assertEquals(name, `event: ${event.type}`);
    assertEquals(event.sequence_number, index);
    return event;
  });
}

Deno.test("POST /v1/responses answers with a message", async () => {
  const { app, model } = testApp();
  const body = await (await post(app, PATH, {
    input: "Hi",
    instructions: "Be brief",
    max_output_tokens: 50,
    metadata: { a: "b" },
  })).json();
  const { id, created_at, output: [{ id: itemId, ...item }], ...rest } = body;
  assertMatch(id, /^resp_/);
  assertMatch(itemId, /^msg_/);
  assert(Math.abs(created_at - Date.now() / 1000) < 60);
  assertEquals(item, {
    type: "message",
    role: "assistant",
    status: "completed",
    content: [{ type: "output_text", text: "Hello, world", annotations: [], logprobs: [] }],
  });
  assertEquals(rest.status, "completed");
  assertEquals([rest.instructions, rest.metadata, rest.store], ["Be brief", { a: "b" }, false]);
  assertEquals(rest.usage, {
    input_tokens: 11,
    input_tokens_details: { cached_tokens: 1 },
    output_tokens: 12,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 23,
  });
  assertEquals(model.chats[0], [
    { role: "system", content: "Be brief" },
    { role: "user", content: "Hi" },
  ]);
  assertEquals(model.requests[0].maxTokens, 50);
});

Deno.test("POST /v1/responses streams the events that the whole answer is made of", async () => {
  const { app } = testApp({ details, script: ["Well", ".", CALL] });
  const events = await readEvents(await post(app, PATH, { input: "Hi", tools, stream: true }));
  assertEquals(events.map(({ type }) => type.replace(/^response\./, "")), [
    "created",
    "in_progress",
    "output_item.added",
    "content_part.added",
    "output_text.delta",
    "output_text.delta",
    "output_text.done",
    "content_part.done",
    "output_item.done",
    "output_item.added",
    "function_call_arguments.delta",
    "function_call_arguments.done",
    "output_item.done",
    "completed",
  ]);
  const { output } = events.at(-1).response;
  assertEquals(output[0].content[0].text, "Well.");
  assertEquals(
    events.filter(({ type }) => type.endsWith("output_item.done")).map(({ item }) => item),
    output,
  );
  const { name, arguments: args, call_id, type } = output[1];
  assertEquals([type, name, args], ["function_call", "f", `{"a":1}`]);
  assertMatch(call_id, /^call_/);
});

// What Codex sends: namespaces of functions, and a search that reaches nothing outside.
Deno.test("POST /v1/responses shows functions of namespaces under longer names, to models only", async () => {
  const script = [CALL.replace(`"f"`, `"crew__f"`)];
  const { app, model } = testApp({ details, script });
  const offered = [
    { ...tools[0], name: "other" },
    { type: "namespace", name: "crew", description: "d", tools },
    { type: "web_search", external_web_access: false },
  ];
  const input = [
    { role: "user", content: "q" },
    { type: "function_call", call_id: "c", namespace: "crew", name: "f", arguments: "{}" },
    { type: "function_call_output", call_id: "c", output: "1" },
  ];
  const body = { input, tools: offered, stream: true };
  const events = await readEvents(await post(app, PATH, body));
  const { output: [{ type, namespace, name }], tools: repeated } = events.at(-1).response;
  assertEquals([type, namespace, name], ["function_call", "crew", "f"]);
  const [added, done] = ["added", "done"].map((end) =>
    events.find((event) => event.type === `response.output_item.${end}`).item
  );
  assertEquals([added.namespace, added.name, done.namespace], ["crew", "f", "crew"]);
  assertEquals(events.find((event) => event.type.endsWith("arguments.done")).name, "f");
  assertEquals(repeated, offered);
  const calls = model.chats[0][1].tool_calls as { function: { name: string } }[];
  const namesOf = (given: unknown) => (given as typeof calls).map((each) => each.function.name);
  assertEquals(namesOf(calls), ["crew__f"]);
  assertEquals(namesOf(model.chatOptions[0]?.tools), ["other", "crew__f"]);
  // A client's own way to end a namespace's name.
  const ended = { type: "namespace", name: "crew__", tools };
  await (await post(app, PATH, { input: "q", tools: [ended] })).text();
  assertEquals(namesOf(model.chatOptions[1]?.tools), ["crew__f"]);
  const tool_choice = { type: "function", namespace: "crew", name: "f" };
  const forced = await post(app, PATH, { ...body, tool_choice });
  assertEquals(forced.status, 200, await forced.text());
  assert(JSON.stringify(model.requests[2].grammar).includes("crew__f"));
});

Deno.test("POST /v1/responses takes a conversation of items", async () => {
  const { app, model } = testApp({ details });
  const response = await post(app, PATH, {
    input: [
      { role: "developer", content: "s" },
      { type: "message", role: "user", content: [{ type: "input_text", text: "q" }] },
      { type: "reasoning", id: "r", summary: [] },
      { type: "message", role: "assistant", content: [{ type: "output_text", text: "t" }] },
      { type: "function_call", call_id: "c1", name: "f", arguments: `{"a":1}` },
      { type: "function_call", call_id: "c2", name: "f", arguments: `{"a":2}` },
      { type: "function_call_output", call_id: "c1", output: "1" },
      { type: "function_call_output", call_id: "c2", output: [{ type: "input_text", text: "2" }] },
    ],
  });
  assertEquals(response.status, 200, await response.text());
  const call = (id: string, a: number) => ({
    id,
    type: "function",
    function: { name: "f", arguments: { a } },
  });
  assertEquals(model.chats[0], [
    { role: "system", content: "s" },
    { role: "user", content: "q" },
    { role: "assistant", content: "t", tool_calls: [call("c1", 1), call("c2", 2)] },
    { role: "tool", content: "1", tool_call_id: "c1" },
    { role: "tool", content: "2", tool_call_id: "c2" },
  ]);
});

Deno.test("POST /v1/responses hands thoughts on with the message that they led to", async () => {
  const { app, model } = testApp({ details });
  const thought = (text: string) => ({
    ...{ type: "reasoning", id: "r", summary: [] },
    content: [{ type: "reasoning_text", text }],
  });
  const summary = [{ type: "summary_text", text: "s1" }, { type: "summary_text", text: "s2" }];
  const response = await post(app, PATH, {
    input: [
      { role: "user", content: "q" },
      thought("a"),
      { type: "function_call", call_id: "c1", name: "f", arguments: "{}" },
      { type: "function_call_output", call_id: "c1", output: "1" },
      { type: "reasoning", id: "r", content: null, summary },
      { role: "assistant", content: "t" },
      thought("b"),
      { type: "function_call", call_id: "c2", name: "f", arguments: "{}" },
      thought("nobody's"),
      { role: "user", content: "q" },
    ],
  });
  assertEquals(response.status, 200, await response.text());
  const said = model.chats[0].map(({ role, content, reasoning_content: thoughts }) =>
    [role, content, thoughts].filter((each) => each !== undefined)
  );
  assertEquals(said, [
    ["user", "q"],
    ["assistant", "", "a"],
    ["tool", "1"],
    ["assistant", "t", "s1\n\ns2\n\nb"],
    ["user", "q"],
  ]);
});

Deno.test("POST /v1/responses is incomplete where the tokens ran out", async () => {
  const { app } = testApp();
  const body = await (await post(app, PATH, { input: "Hi", max_output_tokens: 3 })).json();
  assertEquals([body.status, body.incomplete_details], [
    "incomplete",
    { reason: "max_output_tokens" },
  ]);
  assertEquals(body.output[0].status, "incomplete");
});

Deno.test("POST /v1/responses binds formats, chooses tools, tells log probabilities", async () => {
  const { app, model } = testApp({ details, script: [`{"name":"f","arguments":{}}`] });
  const schema = { type: "object" };
  const format = { type: "json_schema", name: "n", schema };
  await post(app, PATH, { input: "Hi", text: { format } });
  assertEquals(model.requests[0].grammar, { kind: "jsonSchema", schema });
  await post(app, PATH, { input: "Hi", tools, tool_choice: { type: "function", name: "f" } });
  assertEquals(model.decode(model.requests[1].ids), "Hi<tool_call>\n");
  const body = await (await post(app, PATH, { input: "Hi", top_logprobs: 1 })).json();
  assertEquals(body.output[0].content[0].logprobs.length, 27);
});

Deno.test("POST /v1/responses/input_tokens counts what the same request reads", async () => {
  const { app } = testApp({ details, script: [`{"name":"f","arguments":{}}`] });
  const counts = new Set<number>();
  for (
    const fields of [
      {},
      { instructions: "Be brief" },
      { tools, tool_choice: { type: "function", name: "f" } },
      { stream: true, max_output_tokens: 5, text: { format: { type: "json_object" } } },
    ]
  ) {
    const asked = { input: "Hi", ...fields };
    const counted = await (await post(app, `${PATH}/input_tokens`, asked)).json();
    const { usage } = await (await post(app, PATH, { ...asked, stream: false })).json();
    assertEquals(counted, { object: "response.input_tokens", input_tokens: usage.input_tokens });
    counts.add(usage.input_tokens);
  }
  assertEquals(counts.size, 3);
  assertEquals((await refused(app, `${PATH}/input_tokens`, { input: 5 })).param, "input");
});

const TOOL = "tools[0]";
const named = (name: string) => ({ ...tools[0], name });
const IMAGE_URL = "input[0].content[0].image_url";

Deno.test("POST /v1/responses refuses what needs a memory, and items it does not know", async () => {
  const { app } = testApp();
  const bad: [object, string][] = [
    [{ previous_response_id: "resp_1" }, "previous_response_id"],
    [{ conversation: "c" }, "conversation"],
    [{ background: true }, "background"],
    [{ store: true }, "store"],
    [{ truncation: "auto" }, "truncation"],
    [{ tools: [{ type: "web_search" }] }, "tools[0].external_web_access"],
    [{ tools: [{ type: "file_search" }] }, "tools[0].type"],
    [
      { tools: [{ type: "namespace", name: "n".repeat(99), tools: [named("m".repeat(99))] }] },
      TOOL,
    ],
    [{ tools: [named("n__f"), { type: "namespace", name: "n", tools }] }, "tools[1]"],
    [{ input: [] }, "input"],
    [{ input: 5 }, "input"],
    [{ input: [{ role: "user", content: [{ type: "input_video" }] }] }, "input[0].content[0]"],
    [{ input: [{ role: "user", content: [{ type: "input_image" }] }] }, IMAGE_URL],
    [{ include: ["file_search_call.results"] }, "include[0]"],
    [{ text: { format: { type: "grammar" } } }, "text.format.type"],
  ];
  for (const [fields, param] of bad) {
    const error = await refused(app, PATH, { input: "Hi", ...fields });
    assertEquals(error.param, param, error.message);
  }
});

Deno.test("a response that fails half-way says so twice: as it is, and as an error", async () => {
  const { app, errors } = testApp({ script: ["half", new Error("secret")] });
  const events = await readEvents(await post(app, PATH, { input: "Hi", stream: true }));
  const [failed, error] = events.slice(-2);
  assertEquals([failed.type, failed.response.status], ["response.failed", "failed"]);
  assertEquals([error.type, error.error.code], ["error", "internal_error"]);
  assertEquals(JSON.stringify(events).includes("secret"), false);
  assertEquals(errors.length, 1);
});
