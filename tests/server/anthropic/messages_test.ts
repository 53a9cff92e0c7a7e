/** `/v1/messages` before a scripted model: what goes in, what comes out, whole and streamed. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { RequestError } from "../../../src/base/errors.ts";
import { ApiKeys } from "../../../src/server/mod.ts";
import { harmonyModel } from "../../support/harmony.ts";
import { nativeModel } from "../../support/native_calls.ts";
import type { ScriptedModelOptions } from "../../support/scripted_model.ts";
import { judgeCall } from "../tools/bound_calls.ts";
import { CHAT, hello, post, testApp } from "../http_client.ts";

const PATH = "/v1/messages";
const VERSION = { "anthropic-version": "2023-06-01" };
const details = { chatTemplate: "{% if tools %}<tool_call>{% endif %}<think></think>" };
const tools = [{ name: "f", input_schema: { type: "object" } }];
const ask = { ...hello, max_tokens: 1000 };
const begun = (content: string) => ({
  messages: [...hello.messages, { role: "assistant", content }],
  max_tokens: 1000,
});

type App = ReturnType<typeof testApp>["app"];

/** Events of a stream, each under the name that it is sent by. */
// deno-lint-ignore no-explicit-any
async function readEvents(response: Response): Promise<any[]> {
  assertEquals(response.headers.get("content-type"), "text/event-stream");
  const blocks = (await response.text()).split("\n\n").slice(0, -1);
  return blocks.map((block) => {
    const [name, data] = block.split("\n");
    const event = JSON.parse(data.replace(/^data: /, ""));
    assertEquals(name, `event: ${event.type}`);
    return event;
  });
}

/** The message that a stream is of, put together as clients do. */
async function streamed(app: App, body: object) {
  const events = await readEvents(await post(app, PATH, { ...body, stream: true }));
  const [{ message }, ...rest] = events;
  const json: string[] = [];
  for (const event of rest) {
    const { type, index, delta = {} } = event;
    const block = message.content[index];
    if (type === "content_block_start") message.content.push(event.content_block);
    else if (type === "message_delta") Object.assign(message, delta, { usage: event.usage });
    else if (type === "content_block_delta") {
      if (delta.type === "input_json_delta") {
        json[index] = (json[index] ?? "") + delta.partial_json;
      } else if (delta.type === "signature_delta") block.signature = delta.signature;
      else if (delta.type === "thinking_delta") block.thinking += delta.thinking;
      else block.text += delta.text;
    }
  }
  json.forEach((text, index) => message.content[index].input = JSON.parse(text));
  return message;
}

/** The same both ways, but for what is made up each time. */
async function bothWays(app: App, body: object) {
  const bare = ({ id: _id, content, ...message }: { id: string; content: object[] }) => ({
    ...message,
    content: content.map((block) => "id" in block ? { ...block, id: "" } : block),
  });
  const whole = bare(await (await post(app, PATH, body)).json());
  assertEquals(bare(await streamed(app, body)), whole);
  // deno-lint-ignore no-explicit-any
  return whole as any;
}

Deno.test("POST /v1/messages answers with blocks, streamed as whole", async () => {
  const CALL = `<tool_call>{"name":"f","arguments":{"a":"é"}}</tool_call>`;
  const script = [..."<think>\nHm.</think>\n\nI look.\n" + CALL + CALL];
  const { app, model } = testApp({ details, script });
  const { content, usage, ...message } = await bothWays(app, { ...ask, tools, system: "Be brief" });
  assertEquals(message, {
    ...{ type: "message", role: "assistant", model: "scripted" },
    ...{ stop_reason: "tool_use", stop_sequence: null },
  });
  const call = { type: "tool_use", id: "", name: "f", input: { a: "é" } };
  assertEquals(content, [
    { type: "thinking", thinking: "Hm.", signature: "Z2FuZ2xpb24=" },
    { type: "text", text: "I look." },
    ...[call, call],
  ]);
  // "Be brief", a line's end and "Hi" are eleven tokens, of which one was read before.
  assertEquals([usage.input_tokens, usage.cache_read_input_tokens], [10, 1]);
  assertEquals([usage.output_tokens, usage.cache_creation_input_tokens], [script.length, 0]);
  assert(usage.output_tokens_details.thinking_tokens > 2);
  assertEquals(model.chats[0].map(({ role }) => role), ["system", "user"]);
  const [{ function: shown }] = model.chatOptions[0]!.tools as { function: object }[];
  assertEquals(shown, { name: "f", parameters: { type: "object" } });
});

Deno.test("calls in forms of models' own are tool_use, streamed as whole", async () => {
  const models: Record<string, ScriptedModelOptions> = {
    harmony: harmonyModel(
      "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant" +
        '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a":1}',
    ),
    functionary: nativeModel("functionary", 'all\nI look.>>>f\n{"a": 1}'),
    apertus: nativeModel("apertus", 'I look.<|tools_prefix|>[{"f": {"a": 1}}]<|tools_suffix|>'),
  };
  for (const [name, options] of Object.entries(models)) {
    const { app } = testApp(options);
    const { content, stop_reason } = await bothWays(app, { ...ask, tools });
    const block = { type: "tool_use", id: "", name: "f", input: { a: 1 } };
    assertEquals([content.at(-1), stop_reason], [block, "tool_use"], name);
  }
});

Deno.test("POST /v1/messages says why it stopped, and at which text", async () => {
  const of = async (options: ScriptedModelOptions, fields: object) => {
    const message = await bothWays(testApp(options).app, { ...ask, ...fields });
    const { content: [block], stop_reason, stop_sequence } = message;
    return [block?.text, stop_reason, stop_sequence];
  };
  assertEquals(await of({}, {}), ["Hello, world", "end_turn", null]);
  assertEquals(await of({}, { max_tokens: 5 }), ["Hello", "max_tokens", null]);
  assertEquals(await of({}, { stop_sequences: ["x", ", "] }), ["Hello", "stop_sequence", ", "]);
  // Where thoughts are told apart, they are not looked for in these.
  const script = [..."<think>END</think>\n\nOne END two"];
  const thought = testApp({ details, script }).app;
  const { content, ...rest } = await bothWays(thought, { ...ask, stop_sequences: ["END"] });
  assertEquals([content[1].text, rest.stop_reason, rest.stop_sequence], [
    ...["One ", "stop_sequence", "END"],
  ]);
  assertEquals(await of({ script: [] }, {}), [undefined, "end_turn", null]);
  assertEquals(await of({ script: [] }, { stop_sequences: ["END"] }), [
    undefined,
    "end_turn",
    null,
  ]);
});

Deno.test("POST /v1/messages goes on behind a message of the assistant's", async () => {
  const prompt = async (options: ScriptedModelOptions, fields: object = {}, text = "It is ") => {
    const { app, model } = testApp(options);
    const message = await bothWays(app, { ...begun(text), ...fields });
    return [model.decode(model.requests[0].ids), message.content[0].text];
  };
  const script = ["so."];
  assertEquals(await prompt({ script }), ["HiIt is ", "so."]);
  // Thoughts that the template has opened are closed.
  const chatTemplate = "<think></think>";
  const open = {
    messages: [{ role: "user", content: "Hi<think>\n" }, ...begun("It").messages.slice(1)],
  };
  assertEquals(await prompt({ script, details: { chatTemplate } }, open), [
    ...["Hi<think>\n</think>\n\nIt", "so."],
  ]);
  assertEquals(await prompt(harmonyModel("so."), { tools }), [
    ...["Hi\uE001final\uE003It is ", "so."],
  ]);
  assertEquals(await prompt(nativeModel("functionary", "so."), { tools }), [
    ...["Hiall\nIt is ", "so."],
  ]);
  // Marks that a client writes are text.
  const [marks] = await prompt(harmonyModel("so."), {}, "<|end|>");
  assertEquals(marks, "Hi\uE001final\uE003<|end|>");
});

Deno.test("calls may follow an answer that has begun", async () => {
  const script = [...` look.<tool_call>{"name":"f","arguments":{}}</tool_call>`];
  const { app } = testApp({ details, script });
  const { content, stop_reason } = await bothWays(app, { ...begun("I"), tools });
  assertEquals(content.map(({ type }: { type: string }) => type), ["text", "tool_use"]);
  assertEquals([content[0].text, stop_reason], [" look.", "tool_use"]);
});

Deno.test("POST /v1/messages binds calls that must be made, and answers of a schema", async () => {
  const { app, model } = testApp({ details, script: [`{"name":"f","arguments":{"a":1}}`] });
  const must = await bothWays(app, { ...ask, tools, tool_choice: { type: "tool", name: "f" } });
  assertEquals([must.content[0].input, must.stop_reason], [{ a: 1 }, "tool_use"]);
  const schema = { type: "object", properties: { b: { type: "integer" } }, required: ["b"] };
  const output_config = { format: { type: "json_schema", schema } };
  await post(app, PATH, { ...ask, output_config });
  const { grammar } = model.requests.at(-1)!;
  assertEquals(judgeCall(grammar, `{"b":1}`), "yes");
  const refusal = new RequestError("bad", { status: 400, code: "invalid_grammar" });
  const refusing = testApp({ refuse: () => refusal }).app;
  const { error } = await (await post(refusing, PATH, { ...ask, output_config })).json();
  assertEquals(error.details, { error_code: "invalid_grammar", param: "output_config.format" });
});

Deno.test("POST /v1/messages/count_tokens counts what a message would read", async () => {
  const { app, model } = testApp({ details });
  for (const fields of [{}, { system: "s", tools }, { thinking: { type: "disabled" } }]) {
    const body = { ...ask, ...fields, stream: true, temperature: 1, metadata: {} };
    const { usage } = await streamed(app, body);
    const response = await post(app, `${PATH}/count_tokens?beta=true`, body);
    assertEquals(response.headers.get("x-ignored-fields"), null);
    assertEquals(await response.json(), {
      input_tokens: usage.input_tokens + usage.cache_read_input_tokens,
    });
  }
  assertEquals(model.requests.length, 3);
  const short = testApp({ contextLength: 10 }).app;
  const long = { messages: [{ role: "user", content: "x".repeat(50) }] };
  assertEquals(await (await post(short, `${PATH}/count_tokens`, long)).json(), {
    input_tokens: 50,
  });
  // An answer that has begun may be as long as a body: not arguments of one call.
  const begun = { role: "assistant", content: "y".repeat(400_000) };
  const response = await post(app, `${PATH}/count_tokens`, { messages: [...long.messages, begun] });
  assertEquals(await response.json(), { input_tokens: 400_050 });
});

Deno.test("a message that fails half-way ends with an error event, which tells no secret", async () => {
  const { app, errors } = testApp({ script: ["half", new Error("secret")] });
  const response = await post(app, PATH, { ...ask, stream: true });
  const id = response.headers.get("request-id");
  const events = await readEvents(response);
  assertEquals(events.map(({ type }) => type).slice(-2), ["content_block_delta", "error"]);
  const { error, request_id } = events.at(-1);
  assertEquals([error.type, request_id], ["api_error", id]);
  assertEquals(JSON.stringify(events).includes("secret"), false);
  assertEquals(errors.length, 1);
});

Deno.test("a stream of a message that waits is kept open by pings", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { app } = testApp({ script: [promise, "Hi"] }, { keepAliveMs: 5 });
  const response = await post(app, PATH, { ...ask, stream: true });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const ping = `event: ping\ndata: {"type":"ping"}\n\n`;
  while (!text.includes(ping)) text += (await reader.read()).value;
  assertMatch(text, /^event: message_start\n/);
  resolve();
  for (let read = await reader.read(); !read.done; read = await reader.read()) text += read.value;
  assertMatch(text, /event: message_stop\n.*\n\n$/);
});

Deno.test("errors before a message are in Anthropic's form, with its request-id", async () => {
  const keys = { apiKeys: new ApiKeys(["key"]) };
  const of = async (response: Response) => {
    const { error, request_id } = await response.json();
    assertEquals(response.headers.get("request-id"), request_id);
    return [response.status, error.type, error.details.error_code];
  };
  const { app } = testApp({ contextLength: 20, waitingMax: -1 }, keys);
  const headers = { "x-api-key": "key" };
  assertEquals(await of(await post(app, PATH, ask)), [
    ...[401, "authentication_error", "missing_api_key"],
  ]);
  const send = async (body: object, path = PATH) => of(await post(app, path, body, { headers }));
  assertEquals(await send(ask), [503, "overloaded_error", "queue_full"]);
  assertEquals(await send({ ...ask, stream: true }), [503, "overloaded_error", "queue_full"]);
  assertEquals(await send({ ...ask, model: "x" }), [404, "not_found_error", "model_not_found"]);
  assertEquals(await send(hello), [400, "invalid_request_error", "invalid_value"]);
  assertEquals(await send(ask, `${PATH}/batches`), [404, "not_found_error", "unknown_url"]);
  const get = await app.request(PATH, { headers });
  assertEquals(await of(get), [405, "invalid_request_error", "method_not_allowed"]);
  const messages = [{ role: "user", content: "x".repeat(30) }];
  const long = await post(app, PATH, { ...ask, messages }, { headers });
  assertStringIncludes(await long.text(), '"prompt is too long: ');
});

Deno.test("GET /v1/models is Anthropic's to who sends its version, and OpenAI's to others", async () => {
  const { app } = testApp({ id: "hf:user/tiny:Q4_K", contextLength: 512 });
  const get = async (path: string, headers: HeadersInit = VERSION) =>
    await (await app.request(path, { headers })).json();
  const card = {
    ...{ type: "model", id: "hf:user/tiny:Q4_K", display_name: "hf:user/tiny:Q4_K" },
    ...{ created_at: "2023-11-14T22:13:20.000Z", max_input_tokens: 512, max_tokens: 512 },
  };
  const page = { data: [card], has_more: false, first_id: card.id, last_id: card.id };
  const listed = await get("/v1/models?limit=1000");
  assertEquals(Object.keys(listed.data[0].capabilities).length, 10);
  Object.assign(card, { capabilities: listed.data[0].capabilities });
  assertEquals(listed, page);
  assertEquals(await get("/v1/models/hf:user/tiny:Q4_K"), card);
  assertEquals((await get("/v1/models/other")).error.type, "not_found_error");
  assertEquals((await get("/v1/models", {})).object, "list");
  assertEquals((await get("/v1/models/hf:user/tiny:Q4_K", {})).object, "model");
});

Deno.test("what one asks Anthropic's way reads as what OpenAI's way asks", async () => {
  const script = ({ ids }: { readonly ids: readonly number[] }) => [String.fromCharCode(...ids)];
  const { app } = testApp({ details, script });
  const canary = `canary ${crypto.randomUUID()}`;
  const message = await (await post(app, PATH, {
    ...{ max_tokens: 500, system: [{ type: "text", text: "s" }], temperature: 0 },
    messages: [{ role: "user", content: [{ type: "text", text: canary }] }],
  })).json();
  const messages = [{ role: "system", content: "s" }, { role: "user", content: canary }];
  const chat = await (await post(app, CHAT, { messages, max_tokens: 500 })).json();
  assertEquals(message.content[0].text, chat.choices[0].message.content);
  assertStringIncludes(message.content[0].text, canary);
});
