import { assertEquals } from "@std/assert";
import { judgeCall } from "../tools/bound_calls.ts";
import { CHAT, hello, post, readEvents, testApp } from "../http_client.ts";

const details = { chatTemplate: "{{ tools }}<tool_call><think></think>" };
const script = ["<think>\nHm", "m\n</think>\n\n", "Hello"];

Deno.test("what a model thinks is reasoning_content, whole and streamed, and counted", async () => {
  const { app } = testApp({ details, script });
  const { choices, usage } = await (await post(app, CHAT, hello)).json();
  const { reasoning_content, content } = choices[0].message;
  assertEquals([reasoning_content, content], ["Hmm", "Hello"]);
  assertEquals(usage.completion_tokens_details.reasoning_tokens, 22);
  const events = await readEvents(await post(app, CHAT, { ...hello, stream: true }));
  const deltas = events.slice(1, -2).map(({ choices: [{ delta }] }) => delta);
  assertEquals(deltas, [
    { reasoning_content: "Hm" },
    { reasoning_content: "m" },
    { content: "Hello" },
  ]);
});

Deno.test("reasoning_format none, and templates without thoughts, leave all in the text", async () => {
  for (const [options, fields] of [[{ details }, { reasoning_format: "none" }], [{}, {}]]) {
    const { app } = testApp({ ...options, script });
    const { choices } = await (await post(app, CHAT, { ...hello, ...fields })).json();
    assertEquals(choices[0].message.content, script.join(""));
  }
});

Deno.test("calls behind thoughts are found, and schemas hold behind thoughts", async () => {
  const { app, model } = testApp({
    details,
    script: [`Which?</think><tool_call>{"name":"f","arguments":{}}`],
  });
  const opened = { messages: [{ role: "user", content: "Hi<think>\n" }] };
  const tools = [{ type: "function", function: { name: "f" } }];
  const { choices: [{ message }] } = await (await post(app, CHAT, { ...opened, tools })).json();
  assertEquals([message.reasoning_content, message.tool_calls.length], ["Which?", 1]);
  const response_format = { type: "json_object" };
  await post(app, CHAT, { ...opened, response_format });
  const bound = model.requests[1].grammar;
  assertEquals(judgeCall(bound, "Hm {</think>\n\n{}"), "yes");
  assertEquals(judgeCall(bound, "Hm {</think>Hm"), "Hm");
  await post(app, CHAT, { ...opened, tools, tool_choice: "required" });
  assertEquals(model.decode(model.requests[2].ids), "Hi<think>\n</think>\n\n<tool_call>\n");
});

Deno.test("thoughts have names of their own in responses and in Ollama's answers", async () => {
  const { app } = testApp({ details, script });
  const response = await (await post(app, "/v1/responses", { input: "Hi" })).json();
  assertEquals(
    response.output.map(({ type, content }: { type: string; content: { text: string }[] }) => [
      type,
      content[0].text,
    ]),
    [["reasoning", "Hmm"], ["message", "Hello"]],
  );
  assertEquals(response.usage.output_tokens_details.reasoning_tokens, 22);
  const stream = await (await post(app, "/v1/responses", { input: "Hi", stream: true })).text();
  const names = [...stream.matchAll(/^event: response\.(.*)$/gm)].map(([, name]) => name);
  assertEquals(names.slice(2, 11), [
    "output_item.added",
    "content_part.added",
    "reasoning_text.delta",
    "reasoning_text.delta",
    "reasoning_text.done",
    "content_part.done",
    "output_item.done",
    "output_item.added",
    "content_part.added",
  ]);
  const chat = await (await post(app, "/api/chat", { ...hello, stream: false })).json();
  assertEquals([chat.message.thinking, chat.message.content], ["Hmm", "Hello"]);
  const { thinking } = await (await post(app, "/api/generate", { prompt: "Hi", stream: false }))
    .json();
  assertEquals(thinking, "Hmm");
});

Deno.test("thoughts between control tokens come apart, and a call behind them", async () => {
  const controls = { "[THINK]": "\uE300", "[/THINK]": "\uE301", "[TOOL_CALLS]": "\uE302" };
  const script = ["\uE300", "Hm", "\uE301", "\uE302", "f{}"];
  const details = { chatTemplate: "{{ tools }}[THINK][/THINK][TOOL_CALLS]{{ name }}[ARGS]" };
  const tools = [{ type: "function", function: { name: "f" } }];
  const { app, model } = testApp({ details, controls, script });
  const { choices: [{ message }] } = await (await post(app, CHAT, { ...hello, tools })).json();
  assertEquals([message.reasoning_content, message.content], ["Hm", null]);
  assertEquals(message.tool_calls[0].function, { name: "f", arguments: "{}" });
  // The prompt may open them, and a schema holds behind them.
  const opened = { messages: [{ role: "user", content: "Hi\uE300" }] };
  await post(app, CHAT, { ...opened, response_format: { type: "json_object" } });
  const marks = ["[/THINK]"];
  assertEquals(judgeCall(model.requests[1].grammar, "Hm {[/THINK]{}", marks), "yes");
  assertEquals(judgeCall(model.requests[1].grammar, "Hm {[/THINK]Hm", marks), "Hm");
});
