import { assertEquals, assertThrows } from "@std/assert";
import { RequestError } from "../../../src/base/errors.ts";
import {
  countSchema,
  messagesSchema,
  toMessagesRequest,
} from "../../../src/server/anthropic/messages_request.ts";
import { unknownFields } from "../../../src/server/known_fields.ts";
import { parseFields } from "../../../src/server/parse_fields.ts";

const hello = { max_tokens: 8, messages: [{ role: "user", content: "Hi" }] };
const tool = { name: "f", description: "d", input_schema: { type: "object" } };
const tools = [tool, { ...tool, name: "g", type: "custom", cache_control: {} }];
const schema = { type: "object", properties: { a: { type: "string" } } };

const read = (fields: object = {}) =>
  toMessagesRequest(parseFields(messagesSchema, { ...hello, ...fields }));

/** The field that is refused, and why. */
function refused(fields: object): [string | null, string] {
  const error = assertThrows(() => read(fields), RequestError);
  assertEquals(error.status, 400);
  return [error.param, error.message];
}

Deno.test("toMessagesRequest() reads what is asked in this program's terms", () => {
  assertEquals(read().request, { sampling: {}, maxTokens: 8 });
  const { model, stream, conversation, cacheKey, request } = read({
    ...{ model: "m", stream: true, system: "Be brief", prompt_cache_key: "k", priority: 3 },
    ...{ temperature: 0.5, top_p: 0.9, top_k: 7, seed: 1, max_time_ms: 50, max_tokens: 0 },
    stop_sequences: ["END", "\ud800"],
  });
  assertEquals([model, stream, cacheKey], ["m", true, "k"]);
  assertEquals(conversation, {
    messages: [{ role: "system", content: "Be brief" }, { role: "user", content: "Hi" }],
    tools: null,
  });
  assertEquals(request, {
    sampling: { temperature: 0.5, topK: 7, topP: 0.9, seed: 1 },
    ...{ maxTokens: 0, stop: ["END", "\ufffd"], priority: -3, deadlineMs: 50 },
  });
  const opened = [{ role: "system", content: "b" }, ...hello.messages];
  assertEquals(read({ system: "a", messages: opened }).conversation.messages[0].content, "a\n\nb");
});

Deno.test("toMessagesRequest() chooses tools as tool_choice says", () => {
  const of = (tool_choice?: object) => {
    const { conversation } = read({ tools, ...(tool_choice && { tool_choice }) });
    const { functions, mode, isParallel } = conversation.tools ?? { functions: [] };
    return [functions.map(({ name }) => name), mode, isParallel];
  };
  assertEquals(of(), [["f", "g"], "auto", true]);
  assertEquals(of({ type: "auto", disable_parallel_tool_use: true }), [["f", "g"], "auto", false]);
  assertEquals(of({ type: "any" }), [["f", "g"], "required", true]);
  assertEquals(of({ type: "tool", name: "g" }), [["g"], "required", true]);
  assertEquals(of({ type: "none" }), [[], undefined, undefined]);
  const [first] = read({ tools }).conversation.tools!.functions;
  assertEquals(first.parameters, { type: "object" });
});

Deno.test("toMessagesRequest() tells templates how much is thought", () => {
  const of = (fields: object) => read(fields).conversation.variables;
  const thinking = (type: string, more: object = {}) => ({ thinking: { type, ...more } });
  const effort = (effort: string) => ({ output_config: { effort } });
  assertEquals(of({}), undefined);
  assertEquals(of(thinking("enabled", { budget_tokens: 1024 })), { enable_thinking: true });
  assertEquals(of({ ...thinking("adaptive"), ...effort("max") }), {
    ...{ reasoning_effort: "xhigh", enable_thinking: true },
  });
  assertEquals(of(effort("low")), { reasoning_effort: "low" });
  assertEquals(of({ ...thinking("disabled"), ...effort("low") }), {
    ...{ reasoning_effort: "none", enable_thinking: false },
  });
});

Deno.test("toMessagesRequest() binds answers by a schema, under both of its names", () => {
  const format = { type: "json_schema", schema };
  const grammar = { kind: "jsonSchema" as const, schema };
  assertEquals(read({ output_config: { format } }).format, {
    ...{ grammar, schema, param: "output_config.format" },
  });
  assertEquals(read({ output_format: format }).format.param, "output_format");
});

Deno.test("toMessagesRequest() takes an answer's beginning from the conversation's end", () => {
  const begun = (content: unknown) => [...hello.messages, { role: "assistant", content }];
  const { messages, prefill } = read({ messages: begun("It is ") }).conversation;
  assertEquals([messages.length, prefill], [1, "It is "]);
  const empty = read({ messages: begun([]) }).conversation;
  assertEquals([empty.messages.length, empty.prefill], [1, undefined]);
  // A call that has no result yet is no beginning.
  const call = { type: "tool_use", id: "c", name: "f", input: {} };
  const called = read({ messages: begun([{ type: "text", text: "a" }, call]) }).conversation;
  assertEquals([called.messages.length, called.prefill], [2, undefined]);
  const messagesOf = { messages: begun("It is ") };
  const must = { tools, tool_choice: { type: "any" } };
  assertEquals(refused({ ...messagesOf, ...must })[0], "messages");
  const format = { type: "json_schema", schema };
  assertEquals(refused({ ...messagesOf, output_format: format })[0], "messages");
});

const IMAGE_SOURCE = "messages[0].content[0].source";

Deno.test("toMessagesRequest() names what it refuses", () => {
  const server = { type: "web_search_20250305", name: "web_search" };
  const [param, message] = refused({ tools: [tool, server] });
  assertEquals(param, "tools[1].type");
  assertEquals(message.includes(`"web_search_20250305"`), true, message);
  const bad: [object, string][] = [
    [{ max_tokens: undefined }, "max_tokens"],
    [{ max_tokens: -1 }, "max_tokens"],
    [{ messages: [] }, "messages"],
    [{ messages: [{ role: "user", content: [{ type: "image" }] }] }, IMAGE_SOURCE],
    [{ system: [{ type: "image" }] }, "system[0].type"],
    [{ tools, tool_choice: { type: "tool" } }, "tool_choice.name"],
    [{ tools, tool_choice: { type: "tool", name: "h" } }, "tool_choice"],
    [{ tools: [tool, tool] }, "tools[1]"],
    [{ tool_choice: { type: "any" } }, "tool_choice"],
    [{ stop_sequences: [""] }, "stop_sequences[0]"],
    [{ thinking: { type: "much" } }, "thinking.type"],
    [{ output_config: { effort: "huge" } }, "output_config.effort"],
    [{ output_format: { type: "json_schema" } }, "output_format.schema"],
    [{ container: "c" }, "container"],
    [{ thread: { type: "create" } }, "thread"],
    [{ compaction: { type: "auto" } }, "compaction"],
    [{ mcp_servers: [{ type: "url" }] }, "mcp_servers"],
    [{ service_tier: "flex" }, "service_tier"],
    [{ speed: "fast" }, "speed"],
    [{ context_management: { edits: [{ type: "compact_20260112" }] } }, "context_management"],
  ];
  for (const [fields, name] of bad) assertEquals(refused(fields)[0], name);
});

/** What Claude Code and others send along. */
const CLIENTS_FIELDS = {
  ...{ model: "claude", system: [{ type: "text", text: "s", cache_control: {} }], stream: true },
  ...{ metadata: { user_id: "u" }, service_tier: "auto", cache_control: { type: "ephemeral" } },
  context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
  thinking: { type: "adaptive", display: "omitted", budget_tokens: 2000 },
  output_config: { effort: "high", task_budget: { type: "tokens", total: 1 } },
  tool_choice: { type: "auto", disable_parallel_tool_use: true },
  ...{ mcp_servers: [], speed: "standard", inference_geo: "eu", diagnostics: {}, container: null },
};

Deno.test("what clients send along is known, of messages and where they are counted", () => {
  const body = { ...hello, ...CLIENTS_FIELDS, tools };
  read(body);
  for (const each of [messagesSchema, countSchema]) assertEquals(unknownFields(each, body, 9), []);
  const wrong = { max_token: 1, thinking: { tipe: 1 }, output_config: { efort: 1 } };
  assertEquals(unknownFields(messagesSchema, wrong, 9), [
    ...["max_token", "thinking.tipe", "output_config.efort"],
  ]);
});
