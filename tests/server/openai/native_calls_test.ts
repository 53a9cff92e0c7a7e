import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type NativeModel, nativeModel } from "../../support/native_calls.ts";
import { CHAT, hello, post, readEvents, testApp } from "../http_client.ts";

const SAID: Readonly<Record<Exclude<NativeModel, "llama">, string>> = {
  deepseekR1:
    "I look.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n" +
    '{"a": 1}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{}\n' +
    "```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
  deepseek: 'I look.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{"a": 1}' +
    "<｜tool▁call▁end｜><｜tool▁call▁begin｜>g<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
  kimi: "I look.<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0" +
    '<|tool_call_argument_begin|>{"a": 1}<|tool_call_end|><|tool_call_begin|>functions.g:1' +
    "<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
  dsml:
    'I look.\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name="f">\n<｜DSML｜parameter name="a" ' +
    'string="false">1</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name="g">\n' +
    "</｜DSML｜invoke>\n</｜DSML｜function_calls>",
  functionary: 'all\nI look.>>>f\n{"a": 1}>>>g\n{}',
  apertus: 'I look.<|tools_prefix|>[{"f": {"a": 1}}, {"g": {}}]<|tools_suffix|>',
  kimi3:
    'I look.<|close|>response<|sep|><|open|>tools<|sep|><|open|>call tool="f" index="1"<|sep|>' +
    '<|open|>argument key="a" type="number"<|sep|>1<|close|>argument<|sep|><|close|>call<|sep|>' +
    '<|open|>call tool="g" index="2"<|sep|><|close|>call<|sep|><|close|>tools<|sep|>' +
    "<|close|>message<|sep|>",
  mistral: 'I look.[TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS]g[ARGS]{}',
};
const CALLS = [["f", '{"a": 1}'], ["g", "{}"]];
const functions = ["f", "g"].map((name) => ({ name, parameters: { type: "object" } }));
const tools = functions.map((each) => ({ type: "function", function: each }));
const appOf = (name: string) =>
  testApp(nativeModel(name as NativeModel, SAID[name as keyof typeof SAID]));

for (const name of Object.keys(SAID)) {
  Deno.test(`calls of ${name} come apart in every API, whole and streamed`, async () => {
    const { app } = appOf(name);
    const chat = { ...hello, tools };
    const { choices: [{ message, finish_reason }] } = await (await post(app, CHAT, chat)).json();
    assertEquals([message.content, finish_reason], ["I look.", "tool_calls"]);
    assertEquals(message.tool_calls.map(({ function: called }: Call) => written(called)), CALLS);
    const events = await readEvents(await post(app, CHAT, { ...chat, stream: true }));
    const deltas = events.slice(0, -1).flatMap(({ choices: [{ delta }] }) => delta);
    assertEquals(deltas.map(({ content }) => content ?? "").join(""), "I look.");
    const streamed: string[][] = [];
    for (const { index, function: called } of deltas.flatMap((each) => each.tool_calls ?? [])) {
      const call = streamed[index] ??= ["", ""];
      call[0] += called.name ?? "";
      call[1] += called.arguments ?? "";
    }
    assertEquals(streamed, CALLS);
    assertEquals(events.at(-2).choices[0].finish_reason, "tool_calls");

    const asked = { input: "Hi", tools: functions.map((each) => ({ type: "function", ...each })) };
    const { output } = await (await post(app, "/v1/responses", asked)).json();
    assertEquals(output[0].content[0].text, "I look.");
    assertEquals(output.slice(1).map(written), CALLS);
    const told = await (await post(app, "/v1/responses", { ...asked, stream: true })).text();
    const done = told.matchAll(/^data: (.*function_call_arguments\.done.*)$/gm);
    assertEquals([...done].map(([, json]) => JSON.parse(json).arguments), ['{"a": 1}', "{}"]);

    const ollama = await post(app, "/api/chat", { ...chat, stream: false });
    const { message: { content, tool_calls: called } } = await ollama.json();
    assertEquals(content, "I look.");
    const values = called.map((
      { function: { name, arguments: args } }: OllamaCall,
    ) => [name, args]);
    assertEquals(values, [["f", { a: 1 }], ["g", {}]]);
    const lines = (await (await post(app, "/api/chat", chat)).text()).trim().split("\n");
    const all = lines.flatMap((line) => JSON.parse(line).message.tool_calls ?? []);
    assertEquals(all.map(({ function: { name } }: OllamaCall) => name), ["f", "g"]);
  });
}

Deno.test("a call between marks that must be made is opened in the prompt and bound", async () => {
  const { app, model } = testApp(nativeModel("deepseek", 'f<｜tool▁sep｜>{"a": 1}'));
  const must = { ...hello, tools, tool_choice: "required" };
  const { choices: [{ message }] } = await (await post(app, CHAT, must)).json();
  assertEquals(message.tool_calls.map(({ function: called }: Call) => written(called)), [CALLS[0]]);
  assert(model.decode(model.requests[0].ids).endsWith("Hi\uE100\uE101"));
  assertEquals(model.requests[0].grammar?.kind, "parts");
  assertStringIncludes(JSON.stringify(model.requests[0].grammar), '{"token":"<｜tool▁sep｜>"}');
});

Deno.test("a call ends Apertus' thoughts, which were not closed", async () => {
  const { details, ...model } = nativeModel(
    "apertus",
    'Hm.<|tools_prefix|>[{"f": {"a": 1}}]<|tools_suffix|>',
  );
  const chatTemplate = `${details!.chatTemplate}<|inner_prefix|><|inner_suffix|>`;
  const { app } = testApp({
    ...model,
    details: { chatTemplate },
    script: ["<|inner_prefix|>", ...model.script as string[]],
  });
  const { choices: [{ message }] } = await (await post(app, CHAT, { ...hello, tools })).json();
  assertEquals([message.reasoning_content, message.content], ["Hm.", null]);
  assertEquals(message.tool_calls.map(({ function: called }: Call) => written(called)), [CALLS[0]]);
});

Deno.test("Kimi's calls are called what it calls them, in answers and in what follows", async () => {
  const { app, model } = appOf("kimi");
  const { choices: [{ message }] } = await (await post(app, CHAT, { ...hello, tools })).json();
  const ids = message.tool_calls.map(({ id }: Call) => id);
  assertEquals(ids, ["functions.f:0", "functions.g:1"]);
  const results = ids.map((id: string) => ({ role: "tool", content: "rain", tool_call_id: id }));
  const response = await post(app, CHAT, {
    tools,
    messages: [...hello.messages, message, ...results],
  });
  assertEquals(response.status, 200);
  await response.body?.cancel();
  assertEquals(model.chats[1].slice(-2).map(({ tool_call_id: id }) => id), ids);
});

interface Named {
  readonly name: string;
  readonly arguments: string;
}

interface Call {
  readonly id: string;
  readonly function: Named;
}

interface OllamaCall {
  readonly function: { readonly name: string; readonly arguments: unknown };
}

function written({ name, arguments: json }: Named): string[] {
  return [name, json];
}
