import { assertEquals, assertStringIncludes } from "@std/assert";
import { createChatTemplate } from "../../../src/chat/mod.ts";
import type { ChatMessage } from "../../../src/llm/types.ts";
import { callFormatOf } from "../../../src/server/tools/call_format.ts";
import { planTools, type ToolRequest } from "../../../src/server/tools/tool_plan.ts";
import {
  CALL_CONTROLS,
  CALL_TEMPLATES,
  type NativeModel,
  nativeModel,
} from "../../support/native_calls.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { judgeCall } from "./bound_calls.ts";

const model = (name: NativeModel) => new ScriptedModel(nativeModel(name, ""));
const messages = [{ role: "user", content: "Hi" }];
const f = {
  name: "f",
  parameters: { type: "object", properties: { a: { type: "integer" } }, required: ["a"] },
};
const g = { name: "g", description: "Does g" };
const auto: ToolRequest = { functions: [f, g], mode: "auto", isParallel: true };
const required: ToolRequest = { ...auto, mode: "required" };
const controls = Object.keys(CALL_CONTROLS);

/** Of models that write names between marks: calls of f and g, with what opens and closes them. */
type Calls = readonly [first: string, second: string, close: string];
const CALLS = {
  deepseekR1: [
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{"a":1}\n```' +
    "<｜tool▁call▁end｜>",
    "\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{}\n```<｜tool▁call▁end｜>",
    "<｜tool▁calls▁end｜>",
  ],
  deepseek: [
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{"a":1}<｜tool▁call▁end｜>',
    "<｜tool▁call▁begin｜>g<｜tool▁sep｜>{}<｜tool▁call▁end｜>",
    "<｜tool▁calls▁end｜>",
  ],
  kimi: [
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>" +
    '{"a":1}<|tool_call_end|>',
    "<|tool_call_begin|>functions.g:1<|tool_call_argument_begin|>{}<|tool_call_end|>",
    "<|tool_calls_section_end|>",
  ],
  mistral: ['[TOOL_CALLS]f[ARGS]{"a":1}', "[TOOL_CALLS]g[ARGS]{}", ""],
} satisfies Partial<Record<NativeModel, Calls>>;
const NAMES = Object.keys(CALLS) as (keyof typeof CALLS)[];

Deno.test("callFormatOf() finds marks that are control tokens, or text", () => {
  for (const name of NAMES) {
    const { controls: found = new Map(), open } = callFormatOf(model(name));
    const marks = controls.filter((mark) => CALLS[name].join("").includes(mark));
    assertEquals([...found.values()].sort(), marks.sort(), name);
    const spelt = new ScriptedModel({ details: { chatTemplate: CALL_TEMPLATES[name] } });
    const { controls: none, ...format } = callFormatOf(spelt);
    assertEquals(none, undefined);
    assertEquals(callFormatOf(model(name)), { ...format, controls: found }, open);
  }
});

Deno.test("planTools() binds calls between marks that must be made", () => {
  for (const name of NAMES) {
    const [first, second, close] = CALLS[name];
    const { opening, grammar, looserGrammar } = planTools(model(name), messages, required);
    assertStringIncludes(first, opening);
    const judge = (written: string, by = grammar) =>
      judgeCall(by, written.slice(opening.length), controls);
    for (const written of [first + close, first + second + close]) {
      assertEquals(judge(written), "yes", name);
    }
    assertEquals(judge(first.replace("1", "2")), close === "" ? "yes" : "begun");
    const other = first.replace(/f(?=[:\n<[])/, "h");
    assertEquals(judge(other).startsWith("h"), true, name);
    // By the schema, or, where that is refused, any object.
    const loose = first.replace("1", '"x"') + close;
    assertEquals(judge(loose).startsWith('"x"'), true, name);
    assertEquals(judge(loose, looserGrammar), "yes", name);
    assertEquals(judge(loose.replace("{", "[")).startsWith("["), true, name);
    const single = planTools(model(name), messages, { ...required, isParallel: false });
    assertEquals(judge(first + second, single.grammar), second, name);
  }
});

Deno.test("planTools() binds calls between marks that a model chooses to make", () => {
  const strict = { ...auto, functions: [{ ...f, strict: true }, g] };
  for (const name of NAMES) {
    const [first, second, close] = CALLS[name];
    const judge = (written: string, tools = auto) =>
      judgeCall(planTools(model(name), messages, tools).grammar, written, controls);
    assertEquals(judge("Text, and {."), "yes");
    assertEquals(judge(`Text${first}${second}${close}`), "yes", name);
    const loose = first.replace("1", '"x"');
    assertEquals(judge(loose), close === "" ? "yes" : "begun", name);
    assertEquals(judge(loose, strict).startsWith('"x"'), true, name);
    assertEquals(judge(`${first}${second}`, strict), close === "" ? "yes" : "begun", name);
    assertEquals(judge(first.replace(/f(?=[:\n<[])/, "h")).startsWith("h"), true, name);
  }
});

Deno.test("planTools() opens and reads calls where the prompt ends with a mark", () => {
  for (const name of NAMES) {
    const plan = planTools(model(name), messages, required);
    const [first, second, close] = CALLS[name];
    const parser = plan.newParser!();
    const deltas = [...parser.push((first + second + close).slice(plan.opening.length))];
    const calls = deltas.flatMap((delta) => delta.kind === "call" ? [delta.name] : []);
    assertEquals([calls, parser.end()], [["f", "g"], []], name);
  }
});

Deno.test("planTools() tells functions where a template knows calls only, in its own form", () => {
  const plan = planTools(model("deepseek"), messages, auto);
  assertEquals([plan.tools, plan.messages.length], [undefined, 2]);
  assertStringIncludes(plan.messages[0].content, '"name":"g"');
  assertStringIncludes(
    plan.messages[0].content,
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>the_name<｜tool▁sep｜>{}<｜tool▁call▁end｜>",
  );
  const tool_calls = [{ type: "function", function: { name: "f", arguments: { a: 1 } } }];
  const called = [...messages, { role: "assistant", content: "", tool_calls }];
  assertEquals(planTools(model("deepseek"), called, null).messages, called);
  assertEquals(planTools(model("kimi"), messages, auto).tools?.length, 2);
});

Deno.test("planTools() has lists of calls where the model writes lists", () => {
  const granite = { chatTemplate: "{{ tools }} respond with <|tool_call|> followed by a list" };
  const cohere = { chatTemplate: '{{ tools }}{{ m.tool_calls }}<|START_ACTION|>[{"tool_name"' };
  const nemotron = { chatTemplate: "{{ tools }}{{ m.tool_calls }}<TOOLCALL>[]</TOOLCALL>" };
  for (
    const [details, open, key] of [
      [granite, "<|tool_call|>", '"name": "f", "arguments"'],
      [nemotron, "<TOOLCALL>", '"name": "f", "arguments"'],
      [cohere, "<|START_ACTION|>", '"tool_name": "f", "parameters"'],
      [{ chatTemplate: "{{ tools }}[TOOL_CALLS][" }, "[TOOL_CALLS]", '"name": "f", "arguments"'],
    ] as const
  ) {
    const plan = planTools(new ScriptedModel({ details }), messages, required);
    assertEquals(plan.opening, open);
    const one = `{${key}: {"a": 1}}`;
    assertEquals(judgeCall(plan.grammar, `[${one}]`), "yes");
    assertEquals(judgeCall(plan.grammar, `[${one}, ${one}]`), "yes");
    assertEquals(judgeCall(plan.grammar, one), one);
    const single = { ...required, isParallel: false };
    const { grammar } = planTools(new ScriptedModel({ details }), messages, single);
    assertEquals(judgeCall(grammar, `[${one}]`), "yes");
    assertEquals(judgeCall(grammar, `[${one}, ${one}]`), `, ${one}]`);
    const [call, args] = plan.newParser!().push(`[${one}]`);
    assertEquals([call.kind, args], ["call", { kind: "arguments", call: 0, text: '{"a": 1}' }]);
  }
});

Deno.test("Llama 3's bare calls are read behind its tag, which is a control token", () => {
  const details = { chatTemplate: '{{ tools }}<|python_tag|> {"name": "", "parameters": {}}' };
  const llama = new ScriptedModel({ details, controls: { "<|python_tag|>": "\uE200" } });
  const parser = planTools(llama, messages, auto).newParser!();
  assertEquals(parser.push("", [0xe200]), []);
  const written = '{"name": "f", "parameters": {"a": 1}}; {"name": "g", "parameters": {}}';
  const names = parser.push(written, [1]).flatMap((each) => each.kind === "call" ? each.name : []);
  assertEquals(names, ["f", "g"]);
});

Deno.test("planTools() puts functions and earlier calls where such templates look for them", () => {
  const phi = new ScriptedModel({
    details: { chatTemplate: "{% if message['tools'] %}<|tool|>{{ message['tools'] }}<|/tool|>" },
  });
  const tool_calls = [{ function: { name: "f", arguments: { a: 1 } } }];
  const asked: ChatMessage[] = [...messages, { role: "assistant", content: "", tool_calls }];
  const { messages: [system, ...rest], tools } = planTools(phi, asked, auto);
  assertEquals([system.role, system.content, tools], ["system", "", undefined]);
  const told = JSON.parse(system.tools as string);
  assertEquals(told.map(({ name }: { name: string }) => name), ["f", "g"]);
  assertEquals(rest[1], { role: "assistant", content: '[{"name":"f","arguments":{"a":1}}]' });
  const own = [{ role: "system", content: "Be brief" }, ...messages];
  assertEquals(planTools(phi, own, auto).messages[0].content, "Be brief");
});

Deno.test("templates of these models render calls, results and functions", () => {
  const tool_calls = [{
    ...{ id: "functions.f:0", type: "function" },
    function: { name: "f", arguments: { a: 1 } },
  }];
  for (const name of NAMES) {
    const plan = planTools(model(name), [
      ...messages,
      { role: "assistant", content: "", tool_calls },
      { role: "tool", content: "rain", tool_call_id: "functions.f:0" },
    ], auto);
    const template = createChatTemplate({
      ...{ template: CALL_TEMPLATES[name], bosText: "", eosText: "" },
      specialTexts: controls,
    });
    const { tools } = plan;
    const text = template.render(plan.messages, { tools, variables: {} });
    const [first, , close] = CALLS[name];
    assertStringIncludes(text, (first + close).replace('{"a":1}', '{"a": 1}'));
    assertStringIncludes(text, "rain");
    assertStringIncludes(text, '"g"');
  }
});
