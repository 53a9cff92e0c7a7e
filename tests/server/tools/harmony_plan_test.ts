import { assertEquals } from "@std/assert";
import { createChatTemplate } from "../../../src/chat/mod.ts";
import { harmonyMarksOf } from "../../../src/server/tools/harmony_marks.ts";
import { harmonyMessages } from "../../../src/server/tools/harmony_messages.ts";
import { planHarmony } from "../../../src/server/tools/harmony_plan.ts";
import type { ToolRequest } from "../../../src/server/tools/tool_plan.ts";
import { HARMONY_CONTROLS, HARMONY_TEMPLATE, harmonyModel } from "../../support/harmony.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { judgeCall } from "./bound_calls.ts";

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

const conversation = { messages: [user], tools: null };
const controls = Object.keys(HARMONY_CONTROLS);
const HEAD = "<|start|>assistant";
const ANALYSIS = `<|channel|>analysis<|message|>Hm, {}<|end|>${HEAD}`;
const FINAL = "<|channel|>final<|message|>";
const TO = "<|channel|>commentary to=functions.";
const JSON_MARKS = " <|constrain|>json<|message|>";

Deno.test("planHarmony() binds nothing where nothing is asked for", () => {
  for (const tools of [null, auto]) {
    const plan = planHarmony(marks, { ...conversation, tools }, {});
    assertEquals([plan.opening, plan.grammar], ["", undefined]);
  }
});

Deno.test("planHarmony() lets a model think before an answer that is bound", () => {
  for (const tools of [null, auto]) {
    const grammar = { kind: "jsonSchema", schema: { const: { a: 1 } } } as const;
    const plan = planHarmony(marks, { ...conversation, tools }, { grammar });
    assertEquals([plan.opening, plan.isFormat], ["", true]);
    const judge = (written: string) => judgeCall(plan.grammar, written, controls);
    for (const head of [FINAL, `<|channel|>final${JSON_MARKS}`]) {
      assertEquals(judge(`${head}{"a":1}`), "yes");
      assertEquals(judge(`${ANALYSIS}${ANALYSIS}${head}{"a":1}`), "yes");
      assertEquals(judge(`${ANALYSIS}${head}2`), "2");
    }
    // Thoughts alone are no answer, and what people would read is bound.
    assertEquals(judge("<|channel|>analysis<|message|>Hm<|end|>"), "begun");
    assertEquals(
      judge("<|channel|>commentary<|message|>"),
      tools ? "<|message|>" : "commentary<|message|>",
    );
    assertEquals(judge("Hm"), "Hm");
    const called = judge(`${ANALYSIS}${TO}f${JSON_MARKS}{"a":"b"}`);
    assertEquals(
      called,
      tools ? "yes" : `${TO.slice("<|channel|>".length)}f${JSON_MARKS}{"a":"b"}`,
    );
  }
});

Deno.test("planHarmony() opens the answer where thoughts would be a part of it", () => {
  const grammar = { kind: "json" } as const;
  const plan = planHarmony(marks, { ...conversation, rawThoughts: true }, { grammar });
  assertEquals([plan.opening, plan.grammar], [FINAL, grammar]);
});

Deno.test("planHarmony() binds a call that must be made to a name and its schema, or any object", () => {
  const required: ToolRequest = { functions: [f, g], mode: "required", isParallel: true };
  const plan = planHarmony(marks, { ...conversation, tools: required }, {});
  assertEquals(plan.opening, TO);
  const judge = (written: string, by = plan.grammar) => judgeCall(by, written, controls);
  assertEquals(judge(`f${JSON_MARKS}{"a":"b"}`), "yes");
  assertEquals(judge(`g<|message|>{"x":[1]}`), "yes");
  assertEquals(judge(`h${JSON_MARKS}{}`), `h${JSON_MARKS}{}`);
  assertEquals(judge(`f${JSON_MARKS}[1]`), "[1]");
  assertEquals(judge(`f${JSON_MARKS}{"a":1}`), "1}");
  assertEquals(judge(`f${JSON_MARKS}{"a":1}`, plan.looserGrammar), "yes");
  assertEquals(judge(`f${JSON_MARKS}[1]`, plan.looserGrammar), "[1]");
  const none = { name: "n", parameters: { type: "object", properties: {} } };
  const bare = planHarmony(
    marks,
    { ...conversation, tools: { ...required, functions: [none] } },
    {},
  );
  assertEquals(judge(`n${JSON_MARKS}{}`, bare.grammar), "yes");
  assertEquals(judge(`n${JSON_MARKS}{"x":1}`, bare.grammar), '"x":1}');
  const strict = { ...required, functions: [{ ...f, strict: true }, g] };
  const { looserGrammar } = planHarmony(marks, { ...conversation, tools: strict }, {});
  assertEquals(looserGrammar, undefined);
  const parser = plan.newParser!();
  const ids = (text: string) => [text.charCodeAt(0)];
  const deltas = [
    ...parser.push("g ", [0]),
    ...parser.push("", ids(HARMONY_CONTROLS["<|constrain|>"])),
    ...parser.push("json", [0]),
    ...parser.push("", ids(HARMONY_CONTROLS["<|message|>"])),
    ...parser.push("{}", [0]),
  ];
  assertEquals(deltas.map((delta) => delta.kind === "call" ? delta.name : delta.kind), [
    ...["g", "arguments"],
  ]);
});

Deno.test("planHarmony() binds calls that a model chooses to make where schemas are law", () => {
  const tools = { ...auto, functions: [{ ...f, strict: true }, g] };
  const plan = planHarmony(marks, { ...conversation, tools }, {});
  const judge = (written: string) => judgeCall(plan.grammar, written, controls);
  assertEquals(plan.opening, "");
  assertEquals(judge(`${ANALYSIS}${FINAL}Any text, {`), "yes");
  const preamble = `<|channel|>commentary<|message|>I look.<|end|>${HEAD}`;
  assertEquals(judge(`${ANALYSIS}${preamble}${TO}f${JSON_MARKS}{"a":"b"}`), "yes");
  assertEquals(judge(`${TO}f${JSON_MARKS}{"a":1}`), "1}");
  assertEquals(judge(`${TO}h`), "h");
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
