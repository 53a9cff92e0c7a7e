/** Calls of DeepSeek V3.2 and V4, Functionary 3.2, Apertus, and Llama 3's of its own tools. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Delta } from "../../../src/server/tools/answer_parser.ts";
import { callFormatOf, controlsOf } from "../../../src/server/tools/call_format.ts";
import { thoughtMarksOf, ThoughtParser } from "../../../src/server/tools/thought_parser.ts";
import { planTools, type ToolRequest } from "../../../src/server/tools/tool_plan.ts";
import {
  CALL_CONTROLS,
  CALL_TEMPLATES,
  type NativeModel,
  nativeModel,
} from "../../support/native_calls.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { judgeCall } from "./bound_calls.ts";

const messages = [{ role: "user", content: "Hi" }];
const f = {
  name: "f",
  parameters: {
    type: "object",
    properties: { a: { type: "integer" }, s: { type: "string" } },
    required: ["a"],
  },
};
const functions = [f, { name: "ns/g.h" }];
const auto: ToolRequest = { functions, mode: "auto", isParallel: true };
const required: ToolRequest = { ...auto, mode: "required" };
const strict: ToolRequest = { ...auto, functions: [{ ...f, strict: true }, functions[1]] };
const controls = Object.keys(CALL_CONTROLS);
const plain = (name: NativeModel) =>
  new ScriptedModel({ details: { chatTemplate: CALL_TEMPLATES[name] } });
const native = (name: NativeModel) => new ScriptedModel(nativeModel(name, ""));

interface Read {
  readonly thoughts?: string;
  readonly text: string;
  readonly calls: readonly (readonly [name: string, json: string])[];
}

/** What `pieces` are read as; a piece that is a control token's name comes as its id. */
function read(model: ScriptedModel, pieces: readonly string[], request = auto): Read {
  const { newParser, callMark } = planTools(model, messages, request);
  const marks = thoughtMarksOf(model.details.chatTemplate!);
  const answer = newParser!();
  const thinks = marks && { marks, controls: controlsOf(model, [marks.open, marks.close]) };
  const parser = thinks
    ? new ThoughtParser({ ...thinks, isOpened: false, answer, callMark })
    : answer;
  const idOf = (piece: string) => model.encodeText(piece, { special: true })[0];
  const push = (piece: string): Delta[] =>
    controls.includes(piece) ? parser.push("", [idOf(piece)]) : parser.push(piece, [1]);
  const out = { thoughts: "", text: "", calls: [] as [string, string][] };
  for (const delta of [...pieces.flatMap(push), ...parser.end()]) {
    if (delta.kind === "text") out.text += delta.text;
    else if (delta.kind === "reasoning") out.thoughts += delta.text;
    else if (delta.kind === "call") out.calls[delta.call] = [delta.name, ""];
    else out.calls[delta.call][1] += delta.text;
  }
  assertEquals(parser.callCount, out.calls.length);
  return out;
}

/** The same however it is cut, and whether marks are control tokens or texts. */
function assertRead(name: NativeModel, written: string, expected: Read): void {
  const whole = { thoughts: "", ...expected };
  assertEquals(read(plain(name), [written]), whole, written);
  assertEquals(read(plain(name), [...written]), whole, written);
  const cut = new RegExp(`(${controls.map(RegExp.escape).join("|")})`);
  const parts = written.split(cut).filter((part) => part !== "");
  assertEquals(read(native(name), parts), whole, written);
  const chars = parts.flatMap((part) => controls.includes(part) ? [part] : [...part]);
  assertEquals(read(native(name), chars), whole, written);
}

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
  const { grammar, newParser } = planTools(model, messages, auto, { const: 1 });
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

const tag = (name: string) => `<|open|>${name}<|sep|>`;
const untag = (name: string) => `<|close|>${name}<|sep|>`;
const argument = (key: string, type: string, value: string) =>
  tag(`argument key="${key}" type="${type}"`) + value + untag("argument");
const call3 = (name: string, index: number, args = "") =>
  tag(`call tool="${name}" index="${index}"`) + args + untag("call");
const tools3 = (calls: string) => tag("tools") + calls + untag("tools");
const END3 = untag("response");

Deno.test("answers of Kimi K3 come in sections, however they are cut", () => {
  const name = "kimi3";
  const a1 = argument("a", "number", "1");
  assertRead(name, `I look.${END3}${tools3(call3("f", 1, a1))}${untag("message")}`, {
    text: "I look.",
    calls: [["f", '{"a": 1}']],
  });
  const thoughts = `${tag("think")}Hm <|x|>.${untag("think")}${tag("response")}`;
  const odd = argument("x", "string", "2 <|op") + argument("y", "array", "[1]");
  assertRead(name, `${thoughts}${END3}${tools3(call3("f", 1, a1) + call3("ns/g.h", 2, odd))}`, {
    ...{ thoughts: "Hm <|x|>.", text: "" },
    calls: [["f", '{"a": 1}'], ["ns/g.h", '{"x": "2 <|op", "y": [1]}']],
  });
  assertRead(name, `${thoughts}Hello, response.\n${END3}${untag("message")}`, {
    ...{ thoughts: "Hm <|x|>.", text: "Hello, response.\n", calls: [] },
  });
  assertRead(name, "Hello <|", { text: "Hello <|", calls: [] });
});

Deno.test("Kimi K3's answers have no tags where there are no functions either", () => {
  const model = native("kimi3");
  const { newParser, opening, grammar } = planTools(model, messages, null);
  assertEquals([opening, grammar], ["", undefined]);
  const parser = newParser!();
  const written = `${tag("response")}Hi${END3}${tools3(call3("f", 1))}${untag("message")}`;
  const deltas = [...parser.push(written), ...parser.end()];
  assertEquals(deltas, [{ kind: "text", text: "Hi" }]);
});

Deno.test("calls of Kimi K3 are bound, behind the text that the prompt has opened", () => {
  const model = native("kimi3");
  const plan = planTools(model, messages, required);
  assertEquals(plan.opening, `${END3}${tag("tools")}<|open|>call tool="`);
  const judge = (calls: string, by = plan.grammar) =>
    judgeCall(by, (END3 + tools3(calls)).slice(plan.opening.length), controls);
  const one = call3("f", 1, argument("a", "number", "1") + argument("s", "string", "<x"));
  assertEquals(judge(one + call3("ns/g.h", 2, argument("q", "null", "null"))), "yes");
  assertEquals(judge(call3("h", 1)).startsWith("h"), true);
  assertEquals(judge(call3("f", 1, argument("a", "string", "1"))).startsWith("string"), true);
  assertEquals(judge(call3("f", 1, argument("a", "number", "x"))).startsWith("x"), true);
  assertEquals(judge(call3("f", 1)), `${untag("call")}${untag("tools")}`);
  assertEquals(judge(call3("f", 1), plan.looserGrammar), "yes");
  assertEquals(judge(call3("h", 1), plan.looserGrammar).startsWith("h"), true);
  const chosen = planTools(model, messages, strict).grammar;
  assertEquals(judgeCall(chosen, `Text${END3}${tools3(one)}`, controls), "yes");
  assertEquals(
    judgeCall(chosen, `Text${END3}${tools3(call3("f", 1))}`, controls),
    `${untag("call")}${untag("tools")}`,
  );
  const schema = planTools(model, messages, auto, { const: 1 });
  for (const written of ["1", END3 + tools3(one)]) {
    assertEquals(judgeCall(schema.grammar, written, controls), "yes");
  }
  assertEquals(judgeCall(schema.grammar, "2", controls), "2");
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

Deno.test("bare calls are bound once their function and its arguments are named", () => {
  for (const name of ["llama", "json"] as const) {
    const model = name === "llama"
      ? native("llama")
      : new ScriptedModel({ details: { chatTemplate: "{{ tools }}" } });
    const judge = (written: string, request = strict) =>
      judgeCall(planTools(model, messages, request).grammar, written, controls);
    const call = (key: string, args: string) => `{"name": "f", "${key}": ${args}}`;
    for (const text of ["", "Hi {", "{", '{"name": "Ada", "age": 3}', '{"name": "f"}', "[1]"]) {
      assertEquals(judge(text), "yes", text);
    }
    for (const key of ["arguments", "parameters"]) {
      assertEquals(judge(call(key, '{"a": 1}')), "yes");
      assertEquals(judge(`\n${call(key, '{"a": 1}')}; ${call(key, '{"a": 2}')}`), "yes");
      assertEquals(judge(call(key, '{"a": "x"}')), '"x"}}');
      assertEquals(judge(call(key, '{"a": "x"}'), auto), "yes");
      assertEquals(judge(`{\n "name" : "f",\n "${key}":\n{"a": 1}\n}`), "yes");
    }
    assertEquals(judge(`${call("arguments", '{"a": 1}')} and`), "and");
    const single: ToolRequest = { ...auto, isParallel: false };
    const two = `${call("arguments", '{"a": 1}')};${call("arguments", '{"a": 1}')}`;
    assertEquals(judge(two, single), `;${call("arguments", '{"a": 1}')}`);
  }
  const judge = (written: string) =>
    judgeCall(planTools(native("llama"), messages, strict).grammar, written, controls);
  assertEquals(judge('<|python_tag|>{"name": "f", "parameters": {"a": "'), '"');
  assertEquals(judge("f.call(a=1, s='x')"), "yes");
  assertEquals(judge("<|python_tag|>f.call(a=1); ns/g.h.call(b=[True])"), "yes");
  assertEquals(judge("f.call(s='x')"), ")");
  assertEquals(judge("f.call(a=x"), "x");
  assertEquals(judge("f.calls (a=x"), "yes");
});

const LFM2 = new ScriptedModel({
  details: {
    chatTemplate: "{{ tools }}{{ m.tool_calls }}<|tool_call_start|>[<|tool_call_end|>",
  },
});
const fact = {
  name: "fact",
  parameters: {
    properties: {
      city: { type: "string" },
      deep: { type: "object", properties: { "a b": { enum: ["x", null, true] } } },
      kind: { enum: ["it's", 2] },
      many: { type: "array", items: { type: "boolean" } },
    },
    required: ["city"],
  },
};

Deno.test("calls as Python writes them are bound, whether they must be made or not", () => {
  const tools = (more: Partial<ToolRequest> = {}): ToolRequest => ({
    ...{ functions: [{ ...fact, strict: true }, { name: "now" }], mode: "auto", isParallel: true },
    ...more,
  });
  const list = (calls: string) => `<|tool_call_start|>[${calls}]<|tool_call_end|>`;
  const judge = (calls: string, more: Partial<ToolRequest> = {}) => {
    const { grammar, opening } = planTools(LFM2, messages, tools(more));
    return judgeCall(grammar, list(calls).slice(opening.length));
  };
  const fitting = [
    'fact(city="Paris")',
    "fact(city='Pa\\'ris', many=[True, false])",
    `fact(deep={"a b": 'x'}, city="")`,
    `fact(deep={'a b': None}, kind=2,city="\\u00e9"), now(), now(x={"a": [1.5, 'b']}, y=-2e3)`,
    `fact(kind="it's", city="a", deep={})`,
  ];
  for (const mode of ["auto", "required"] as const) {
    for (const calls of fitting) {
      assertEquals(judge(calls, { mode }), "yes", calls);
      const { newParser, opening } = planTools(LFM2, messages, tools({ mode }));
      const parser = newParser!();
      const deltas = [...list(calls).slice(opening.length)].flatMap((char) => parser.push(char));
      const json = deltas.map((each) =>
        each.kind === "arguments" && each.call === 0 ? each.text : ""
      );
      assert(typeof JSON.parse(json.join("")).city === "string", calls);
      assertEquals([...deltas, ...parser.end()].some(({ kind }) => kind === "text"), false);
    }
    const misfits = [
      ["fact()", ")"],
      ["fact(city=1)", "1"],
      ["fact(town=", "t"],
      ["other(", "o"],
      ["fact(city='a', many=[1", "1"],
      ["fact(city='a\\x", "x"],
      ["now(1", "1"],
      ["fact(city='a') and", " and"],
    ];
    for (const [calls, rest] of misfits) {
      assertStringIncludes(judge(calls, { mode }), rest, calls);
      assertEquals(judge(calls, { mode }).startsWith(rest), true, calls);
    }
    const one = judge("now(), now()", { mode, isParallel: false });
    assertEquals(one.startsWith(", now()"), true);
  }
  assertEquals(judgeCall(planTools(LFM2, messages, tools()).grammar, "Text [now(]"), "yes");
});

Deno.test("lists of calls are bound where a model chooses to make them", () => {
  for (
    const [chatTemplate, open, close, key] of [
      ["{{ tools }}[TOOL_CALLS][", "[TOOL_CALLS]", "", "arguments"],
      [
        "{{ tools }}{{ tool_calls }}<TOOLCALL>[]</TOOLCALL>",
        "<TOOLCALL>",
        "</TOOLCALL>",
        "arguments",
      ],
      ["{{ tools }}{{ tool_calls }}<|tool_call|>", "<|tool_call|>", "", "arguments"],
    ] as const
  ) {
    const model = new ScriptedModel({ details: { chatTemplate } });
    const judge = (written: string, request = strict) =>
      judgeCall(planTools(model, messages, request).grammar, written);
    const call = (args: string) => `{"name": "f", "${key}": ${args}}`;
    assertEquals(judge(`Text [ ${open}[${call('{"a": 1}')}, ${call('{"a": 2}')}]${close}`), "yes");
    assertEquals(judge(`${open}[${call('{"a": "x"}')}]`), '"x"}}]');
    assertEquals(judge(`${open}[${call('{"a": "x"}')}]`, auto), "yes");
    assertEquals(judge(`${open}[${call("1")}]`, auto), "1}]");
    assertEquals(judge(`${open}${call("{}")}`), call("{}"));
    const single: ToolRequest = { ...auto, isParallel: false };
    assertEquals(judge(`${open}[${call('{"a": 1}')}, `, single), ", ");
  }
});
