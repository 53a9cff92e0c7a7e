/** Calls of DeepSeek V3.2 and V4, Functionary 3.2, Apertus, and Llama 3's of its own tools. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { callFormatOf } from "../../../src/server/tools/call_format.ts";
import { planTools, type ToolRequest } from "../../../src/server/tools/tool_plan.ts";
import { CALL_CONTROLS, CALL_TEMPLATES, nativeModel } from "../../support/native_calls.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { judgeCall } from "./bound_calls.ts";
import {
  assertRead,
  auto,
  controls,
  messages,
  native,
  plain,
  read,
  required,
  strict,
} from "./read_calls.ts";

const block = (calls: string, name = "function_calls") =>
  `<｜DSML｜${name}>${calls}</｜DSML｜${name}>`;
const invoke = (name: string, args = "") =>
  `\n<｜DSML｜invoke name="${name}">\n${args}</｜DSML｜invoke>\n`;
const parameter = (key: string, value: string, isText: boolean) =>
  `<｜DSML｜parameter name="${key}" string="${isText}">${value}</｜DSML｜parameter>\n`;

Deno.test("calls of DeepSeek V3.2 are read, however they are cut, by what it says of their types", () => {
  const a1 = parameter("a", "1", false);
  assertRead("dsml", `I look.\n\n${block(invoke("f", a1 + parameter("s", "2", true)))}`, {
    text: "I look.",
    calls: [["f", '{"a": 1, "s": "2"}']],
  });
  assertRead("dsml", block(invoke("f", a1) + invoke("ns/g.h")), {
    text: "",
    calls: [["f", '{"a": 1}'], ["ns/g.h", "{}"]],
  });
  // Where the schema says nothing; where it says otherwise; with a tag's beginning in a text.
  const free = parameter("x", "true", true) + parameter("y", "[1]", false) +
    parameter("z", "no JSON", false);
  assertRead("dsml", block(invoke("ns/g.h", free)), {
    text: "",
    calls: [["ns/g.h", '{"x": "true", "y": [1], "z": "no JSON"}']],
  });
  const odd = parameter("a", "1", true) + parameter("s", "a</｜DSML｜b <b", false);
  assertRead("dsml", block(invoke("f", odd)), {
    text: "",
    calls: [["f", '{"a": 1, "s": "a</｜DSML｜b <b"}']],
  });
  assertRead("dsml", "<b>No ｜DSML｜ <｜DSML｜func", {
    text: "<b>No ｜DSML｜ <｜DSML｜func",
    calls: [],
  });
});

Deno.test("DeepSeek V4 calls the block another name", () => {
  const chatTemplate = CALL_TEMPLATES.dsml.replaceAll("function_calls", "tool_calls");
  const v4 = new ScriptedModel({ details: { chatTemplate } });
  const written = block(invoke("f", parameter("a", "1", false)), "tool_calls");
  assertEquals(read(v4, [...written]).calls, [["f", '{"a": 1}']]);
});

Deno.test("calls of DeepSeek V3.2 are bound where they must be made or are strict", () => {
  for (const model of [plain("dsml"), native("dsml")]) {
    const tokens = callFormatOf(model).controls === undefined ? [] : controls;
    const plan = planTools(model, messages, required);
    assertEquals(plan.opening, '<｜DSML｜function_calls>\n<｜DSML｜invoke name="');
    const judge = (written: string, by = plan.grammar) =>
      judgeCall(by, written.slice(plan.opening.length), tokens);
    const one = invoke("f", parameter("a", "1", false) + parameter("s", "</b>", true));
    assertEquals(judge(block(one)), "yes");
    assertEquals(judge(block(one + invoke("ns/g.h").slice(1))), "yes");
    assertEquals(judge(block(invoke("f", parameter("a", "x", false)))).startsWith("x"), true);
    assertEquals(judge(block(invoke("f", parameter("a", "1", true)))).startsWith("true"), true);
    const untold = parameter("a", "1", false) + parameter("s", "x", false);
    assertEquals(judge(block(invoke("f", untold))).startsWith("false"), true);
    assertEquals(judge(block(invoke("h"))).startsWith("h"), true);
    assertEquals(judge(block(invoke("f"))).startsWith("/｜DSML｜invoke"), true);
    const chosen = planTools(model, messages, strict).grammar;
    assertEquals(judgeCall(chosen, `Text <｜DSML｜x\n\n${block(one)}`, tokens), "yes");
    assertStringIncludes(judgeCall(chosen, `T${block(invoke("f"))}`, tokens), "/｜DSML｜invoke>");
    assertEquals(planTools(model, messages, auto).grammar, undefined);
  }
});

Deno.test("a call ends thoughts that were not closed, where models are known to do so", () => {
  const call = block(invoke("f", parameter("a", "1", false)));
  const calls = [["f", '{"a": 1}']] as const;
  const name = "dsml";
  const written = [
    [`<think>Hm <b>.</think>Text${call}`, "Text"],
    [`<think>Hm <b>.\n\n${call}`, ""],
  ] as const;
  for (const [answer, text] of written) {
    const template = CALL_TEMPLATES[name] + "</think>";
    const { controls: chars } = nativeModel(name, "");
    const models = [{ controls: chars }, {}].map((more) =>
      new ScriptedModel({ details: { chatTemplate: template }, ...more })
    );
    const cut = answer.split(/(｜DSML｜)/);
    const parts = [cut, cut.flatMap((part) => controls.includes(part) ? [part] : [...part])];
    for (const pieces of parts) {
      assertEquals(read(models[0], pieces), { thoughts: "Hm <b>.", text, calls });
    }
    assertEquals(read(models[1], [...answer]), { thoughts: "Hm <b>.", text, calls });
  }
  const apertus = new ScriptedModel({
    details: { chatTemplate: CALL_TEMPLATES.apertus + "<|inner_suffix|>" },
    controls: CALL_CONTROLS,
  });
  const list = [
    "<|inner_prefix|>Hm",
    ". ",
    "<|tools_prefix|>",
    '[{"f": {"a": 1}}]',
    "<|tools_suffix|>",
  ];
  assertEquals(read(apertus, list), { thoughts: "Hm.", text: "", calls });
});

Deno.test("parts of an answer of Functionary 3.2 are text or calls, however they are cut", () => {
  const name = "functionary";
  assertRead(name, "all\nHello >>> print(1)", { text: "Hello >>> print(1)", calls: [] });
  assertRead(name, 'f\n{"a": 1}', { text: "", calls: [["f", '{"a": 1}']] });
  assertRead(name, 'all\nI look.>>>f\n{"a": 1}\n>>>ns/g.h\n{}', {
    text: "I look.",
    calls: [["f", '{"a": 1}'], ["ns/g.h", "{}"]],
  });
  assertRead(name, 'f\n{"a": 1}>>>all\nDone', { text: "Done", calls: [["f", '{"a": 1}']] });
  assertRead(name, 'all\nx>>>>f\n{"a": 2}', { text: "x>", calls: [["f", '{"a": 2}']] });
  for (const text of ["Hello", "al", "f", "f\nno", "a b", "f {", "x".repeat(400), "f\n"]) {
    assertRead(name, text, { text, calls: [] });
  }
});

Deno.test("Functionary 3.2 is told that text follows where there are no functions", () => {
  const model = native("functionary");
  const none = planTools(model, messages, null);
  assertEquals([none.opening, none.newParser, none.grammar], ["all\n", undefined, undefined]);
  const tool_calls = [{ id: "1", type: "function", function: { name: "f", arguments: { a: 1 } } }];
  const called = [...messages, { role: "assistant", content: "", tool_calls }];
  const plan = planTools(model, called, null);
  assertEquals(plan.opening, "all\n");
  const [{ function: { arguments: json } }] = plan.messages[1].tool_calls as typeof tool_calls;
  assertEquals(json as unknown, '{"a":1}');
});

Deno.test("calls of Functionary 3.2 are bound from the first one's name on", () => {
  const model = native("functionary");
  const judge = (written: string, request = auto) =>
    judgeCall(planTools(model, messages, request).grammar, written);
  for (const request of [auto, strict]) {
    assertEquals(judge("all\n", request), "yes");
    assertEquals(judge("all\nText >>> {>>>x\n", request), "yes");
    assertEquals(judge('all\nText>>>f\n{"a": 1}\n>>>ns/g.h\n{}', request), "yes");
    assertEquals(judge('f\n{"a": 1}', request), "yes");
    assertEquals(judge("h\n", request), "h\n");
    assertEquals(judge("all\n>>>f\nx", request), "x");
  }
  assertEquals(judge('all\n>>>f\n{"a": "x"}'), "yes");
  assertEquals(judge('all\n>>>f\n{"a": "x"}', strict), '"x"}');
  assertEquals(judge('f\n{"a": 1}>>>f', { ...auto, isParallel: false }), ">>>f");
  assertEquals(judge("all\nText", required), "all\nText");
  assertEquals(judge('f\n{"a": 1}>>>ns/g.h\n{}', required), "yes");
  assertEquals(judge('f\n{"a": "x"}', required), '"x"}');
  assertEquals(planTools(model, messages, required).opening, "");
  const { grammar, newParser } = planTools(model, messages, auto, { answerSchema: { const: 1 } });
  assertEquals(["all\n1", 'f\n{"a": 1}'].map((each) => judgeCall(grammar, each)), ["yes", "yes"]);
  assertEquals(judgeCall(grammar, "all\n2"), "2");
  assertEquals(newParser!().push("all\n1"), [{ kind: "text", text: "1" }]);
});

Deno.test("calls of Apertus are a list of names, each with its arguments", () => {
  const list = (calls: string) => `<|tools_prefix|>[${calls}]<|tools_suffix|>`;
  assertRead("apertus", `Well. ${list('{"f": {"a": 1, "name": "x"}}, {"ns/g.h": {}}')}`, {
    text: "Well.",
    calls: [["f", '{"a": 1, "name": "x"}'], ["ns/g.h", "{}"]],
  });
});

Deno.test("calls of Apertus are bound, whether they must be made or not", () => {
  const model = native("apertus");
  const judge = (written: string, request: ToolRequest) => {
    const { grammar, opening } = planTools(model, messages, request);
    return judgeCall(grammar, written.slice(opening.length), controls);
  };
  const list = '<|tools_prefix|>[{"f": {"a": 1}}, {"ns/g.h": {}}]<|tools_suffix|>';
  assertEquals(planTools(model, messages, required).opening, "<|tools_prefix|>");
  assertEquals(judge(list, required), "yes");
  for (const request of [auto, strict]) {
    assertEquals(judge(`Text [${list}`, request), "yes");
    assertEquals(judge('<|tools_prefix|>[{"h', request), "h");
    assertEquals(judge('<|tools_prefix|>[{"f": 1', request), "1");
  }
  assertEquals(judge('<|tools_prefix|>[{"f": {"a": "x', strict), '"x');
  assertEquals(judge('<|tools_prefix|>[{"f": {"a": "x"}}]', auto), "yes");
  const single: ToolRequest = { ...auto, isParallel: false };
  assertEquals(judge(list, single), ', {"ns/g.h": {}}]<|tools_suffix|>');
});

Deno.test("Llama 3's calls of its own tools are read where there is such a function", () => {
  assertRead("llama", '<|python_tag|>f.call(a=1, s="x y")', {
    text: "",
    calls: [["f", '{"a": 1, "s": "x y"}']],
  });
  assertRead("llama", '<|python_tag|>{"name": "f", "parameters": {"a": 1}}', {
    text: "",
    calls: [["f", '{"a": 1}']],
  });
  assertRead("llama", 'f.call(a=1); {"name": "ns/g.h", "parameters": {}}; f.call(a=2) and more', {
    text: " and more",
    calls: [["f", '{"a": 1}'], ["ns/g.h", "{}"], ["f", '{"a": 2}']],
  });
  for (const text of ["Hello, world", "h.call(a=1)", "f(a=1)", "f.call", "f.calling(x)", "<b>"]) {
    assertRead("llama", text, { text, calls: [] });
  }
});
