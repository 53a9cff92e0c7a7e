/** Calls that a model chooses to make, in lists, bare, or as Python writes them. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { planTools, type ToolRequest } from "../../../src/server/tools/tool_plan.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { judgeCall } from "./bound_calls.ts";
import { auto, controls, messages, native, strict } from "./read_calls.ts";

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
    for (const key of name === "llama" ? ["parameters"] : ["arguments", "parameters"]) {
      assertEquals(judge(call(key, '{"a": 1}')), "yes");
      assertEquals(judge(`\n${call(key, '{"a": 1}')}; ${call(key, '{"a": 2}')}`), "yes");
      assertEquals(judge(call(key, '{"a": "x"}')), '"x"}}');
      assertEquals(judge(call(key, '{"a": "x"}'), auto), "yes");
      assertEquals(judge(`{\n "name" : "f",\n "${key}":\n{"a": 1}\n}`), "yes");
    }
    const key = "parameters";
    assertEquals(judge(`${call(key, '{"a": 1}')} and`), "and");
    // Behind its name it may be some other object.
    assertEquals(judge(`{"name": "f", "parameter": 1}; ${call(key, "1")}`), "yes");
    const single: ToolRequest = { ...auto, isParallel: false };
    const two = `${call(key, '{"a": 1}')};${call(key, '{"a": 1}')}`;
    assertEquals(judge(two, single), `;${call(key, '{"a": 1}')}`);
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
