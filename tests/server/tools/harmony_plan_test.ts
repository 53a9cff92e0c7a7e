import { assertEquals } from "@std/assert";
import { createChatTemplate } from "../../../src/chat/mod.ts";
import { harmonyMarksOf } from "../../../src/server/tools/harmony_marks.ts";
import { harmonyMessages } from "../../../src/server/tools/harmony_messages.ts";
import { planHarmony } from "../../../src/server/tools/harmony_plan.ts";
import type { ToolRequest } from "../../../src/server/tools/tool_plan.ts";
import { HARMONY_CONTROLS, HARMONY_TEMPLATE, harmonyModel } from "../../support/harmony.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";

const user = { role: "user", content: "Hi" };
const f = { name: "f", parameters: { type: "object", properties: { a: { type: "string" } } } };
const g = { name: "g", description: "Does g" };
const auto: ToolRequest = { functions: [f, g], mode: "auto", isParallel: true };
const marks = harmonyMarksOf(new ScriptedModel(harmonyModel("")))!;
const call = (name: string, id?: string) => ({
  ...(id !== undefined && { id }),
  type: "function",
  function: { name, arguments: { a: name } },
});
const result = (content: string, id?: string) => ({
  role: "tool",
  content,
  ...(id !== undefined && { tool_call_id: id }),
});

Deno.test("harmonyMarksOf() finds marks where the template and the vocabulary have them", () => {
  assertEquals(marks.size, 7);
  assertEquals(marks.get("\uE001".charCodeAt(0)), "channel");
  const { "<|channel|>": _channel, ...fewer } = HARMONY_CONTROLS;
  const noChannel = new ScriptedModel({ ...harmonyModel(""), controls: fewer });
  assertEquals(harmonyMarksOf(noChannel), null);
  const spelt = new ScriptedModel(harmonyModel(""));
  spelt.tokenBytes = () => new Uint8Array(1);
  assertEquals(harmonyMarksOf(spelt), null);
  const details = { chatTemplate: "<|start|>{{ messages }}<|message|>" };
  assertEquals(harmonyMarksOf(new ScriptedModel({ ...harmonyModel(""), details })), null);
  assertEquals(harmonyMarksOf(new ScriptedModel()), null);
});

Deno.test("harmonyMessages() has a call a message, its result behind it", () => {
  const assistant = {
    role: "assistant",
    content: "",
    tool_calls: [call("f", "1"), call("g", "2")],
  };
  const one = (name: string, id: string) => ({ ...assistant, tool_calls: [call(name, id)] });
  assertEquals(
    harmonyMessages([user, assistant, result("of g", "2"), result("of f", "1"), user]),
    [user, one("f", "1"), result("of f", "1"), one("g", "2"), result("of g", "2"), user],
  );
  assertEquals(
    harmonyMessages([assistant, result("of f"), result("of g")]),
    [one("f", "1"), result("of f"), one("g", "2"), result("of g")],
  );
  assertEquals(
    harmonyMessages([assistant, result("lost", "3"), result("of g", "2")]),
    [one("f", "1"), one("g", "2"), result("of g", "2"), result("lost", "3")],
  );
});

Deno.test("harmonyMessages() calls thoughts thinking, and lets them stand for text beside calls", () => {
  const thoughts = { reasoning_content: "Hm" };
  const text = { role: "assistant", content: "I look" };
  assertEquals(harmonyMessages([{ ...text, ...thoughts }]), [{ ...text, thinking: "Hm" }]);
  const tool_calls = [call("f"), call("g")];
  assertEquals(harmonyMessages([{ ...text, tool_calls }]), [
    { ...text, tool_calls: [call("f")] },
    { ...text, content: "", tool_calls: [call("g")] },
  ]);
  assertEquals(harmonyMessages([{ ...text, ...thoughts, tool_calls }]), [
    { ...text, content: "", thinking: "Hm", tool_calls: [call("f")] },
    { ...text, content: "", tool_calls: [call("g")] },
  ]);
});

Deno.test("harmonyMessages() says all of a system's words first", () => {
  const system = (content: string) => ({ role: "system", content });
  assertEquals(harmonyMessages([system("A"), user, system("B")]), [system("A\n\nB"), user]);
});

Deno.test("planHarmony() gives templates messages and tools that they render", () => {
  const plan = planHarmony(marks, {
    messages: [
      { role: "system", content: "Be brief." },
      { role: "assistant", content: "", reasoning_content: "Hm", tool_calls: [call("f")] },
      result("rain"),
    ],
    tools: auto,
    variables: { reasoning_effort: "xhigh" },
  }, {});
  const template = createChatTemplate({
    ...{ template: HARMONY_TEMPLATE, bosText: "", eosText: "" },
    specialTexts: Object.keys(HARMONY_CONTROLS),
  });
  const { tools, variables } = plan;
  assertEquals(
    template.render(plan.messages, { tools, variables }),
    "<|start|>system<|message|>Reasoning: high<|end|>" +
      "<|start|>developer<|message|>Be brief. f:  g: Does g<|end|>" +
      "<|start|>assistant<|channel|>analysis<|message|>Hm<|end|>" +
      '<|start|>assistant to=functions.f<|channel|>commentary json<|message|>{"a": "f"}<|call|>' +
      '<|start|>functions to=assistant<|channel|>commentary<|message|>"rain"<|end|>' +
      "<|start|>assistant",
  );
});

Deno.test("planHarmony() binds behind the marks that it writes itself", () => {
  const conversation = { messages: [user], tools: null };
  const opened = (more: object, format = {}) => {
    const { opening, grammar, looserGrammar } = planHarmony(
      marks,
      { ...conversation, ...more },
      format,
    );
    return { opening, grammar, looserGrammar };
  };
  const nothing = { grammar: undefined, looserGrammar: undefined };
  const final = "<|channel|>final<|message|>";
  assertEquals(opened({}), { ...nothing, opening: "" });
  assertEquals(opened({ tools: auto }), { ...nothing, opening: "" });
  assertEquals(opened({}, { grammar: { kind: "json" } }), { ...nothing, opening: final });
  const required: ToolRequest = { functions: [f], mode: "required", isParallel: true };
  const one = {
    opening: "<|channel|>commentary to=functions.f <|constrain|>json<|message|>",
    grammar: { kind: "jsonSchema" as const, schema: f.parameters },
  };
  assertEquals(opened({ tools: required }), {
    ...one,
    looserGrammar: { kind: "jsonSchema", schema: { type: "object" } },
  });
  const strict = { ...required, functions: [{ ...f, strict: true }] };
  assertEquals(opened({ tools: strict }), { ...one, looserGrammar: undefined });
  assertEquals(opened({ tools: { ...auto, mode: "required" } }), {
    ...nothing,
    opening: "<|channel|>commentary to=functions.",
  });
});

Deno.test("planHarmony() binds which of several functions is called where schemas are law", () => {
  const g = { name: "g", strict: true, parameters: { type: "object", required: ["b"] } };
  const tools: ToolRequest = { functions: [f, g], mode: "required", isParallel: true };
  const plan = planHarmony(marks, { messages: [user], tools }, {});
  const schema = (plan.grammar as { schema: { anyOf: { properties: unknown }[] } }).schema;
  assertEquals(plan.opening, "<|channel|>final<|message|>");
  assertEquals(schema.anyOf.map(({ properties }) => properties), [
    { name: { const: "f" }, arguments: f.parameters },
    { name: { const: "g" }, arguments: g.parameters },
  ]);
  const parser = plan.newParser!();
  const [call] = parser.push(`{"name":"g","arguments":{"b":1}}`, [100]);
  assertEquals([call.kind, "name" in call && call.name, parser.callCount], ["call", "g", 1]);
});

Deno.test("planHarmony() lets an answer that follows a schema be a call as well", () => {
  const schema = { type: "object" };
  const plan = planHarmony(marks, { messages: [user], tools: auto }, { schema });
  assertEquals([plan.opening, plan.isFormat], ["<|channel|>final<|message|>", true]);
  const read = (text: string) => {
    const parser = plan.newParser!();
    const kinds = [...parser.push(text, [100]), ...parser.end()].map(({ kind }) => kind);
    return [...kinds, parser.callCount];
  };
  assertEquals(read(`{"name":"f","arguments":{}}`), ["call", "arguments", 1]);
  assertEquals(read(`{"name":"Ada"}`), ["text", 0]);
});

Deno.test("planHarmony() asks for an effort that these models know", () => {
  const effortOf = (variables: Record<string, unknown>) =>
    planHarmony(marks, { messages: [user], tools: null, variables }, {}).variables;
  for (
    const [effort, known] of [["none", "low"], ["minimal", "low"], ["medium", "medium"], [
      "constructor",
      "constructor",
    ]]
  ) {
    assertEquals(effortOf({ reasoning_effort: effort }), { reasoning_effort: known });
  }
  const off = { enable_thinking: false };
  assertEquals(effortOf(off), { ...off, reasoning_effort: "low" });
  assertEquals(effortOf({ enable_thinking: true }), { enable_thinking: true });
});
