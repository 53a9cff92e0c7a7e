import { assertEquals } from "@std/assert";
import { planTools, type ToolRequest } from "../../../src/server/tools/tool_plan.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { judgeCall } from "./bound_calls.ts";

const f = {
  name: "f",
  parameters: {
    type: "object",
    properties: {
      city: { type: "string" },
      days: { type: "integer" },
      unit: { enum: ["C", "F", 5, null] },
      level: { $ref: "#/$defs/Level" },
      kind: { $ref: "#/$defs/Kind" },
      more: { type: "object", properties: { a: { $ref: "#/$defs/Level" } }, required: ["a"] },
    },
    required: ["city", "days"],
    $defs: { Level: { type: "integer", enum: [1, 2] }, Kind: { enum: ["rain", "sun"] } },
  },
};
const g = { name: "g" };
const auto: ToolRequest = { functions: [f, g], mode: "auto", isParallel: true };
const required: ToolRequest = { ...auto, mode: "required" };

/** A way to write calls: its template, and a call of a function with arguments as texts. */
interface Form {
  readonly template: string;
  readonly open: string;
  readonly close: string;
  readonly between: string;
  readonly call: (name: string, args: Readonly<Record<string, string>>) => string;
}

const written = (
  args: Readonly<Record<string, string>>,
  one: (key: string, value: string) => string,
) => Object.entries(args).map(([key, value]) => one(key, value)).join("");
const FORMS: Readonly<Record<string, Form>> = {
  qwen: {
    template: "{{ tools }}<tool_call><function=f><parameter=k>",
    ...{ open: "<tool_call>\n", close: "\n</tool_call>" },
    between: "\n</tool_call>\n<tool_call>\n",
    call: (name, args) =>
      `<function=${name}>\n${
        written(args, (key, value) => `<parameter=${key}>\n${value}\n</parameter>\n`)
      }</function>`,
  },
  glm: {
    template: "{{ tools }}<arg_key>",
    ...{ open: "<tool_call>", close: "", between: "\n<tool_call>" },
    call: (name, args) =>
      `${name}\n${
        written(
          args,
          (key, value) => `<arg_key>${key}</arg_key>\n<arg_value>${value}</arg_value>\n`,
        )
      }</tool_call>`,
  },
  minimax: {
    template: "{{ tools }}<minimax:tool_call>",
    open: "<minimax:tool_call>\n",
    ...{ close: "\n</minimax:tool_call>", between: "\n" },
    call: (name, args) =>
      `<invoke name="${name}">\n${
        written(args, (key, value) => `<parameter name="${key}">${value}</parameter>\n`)
      }</invoke>`,
  },
};
const FORM_NAMES = Object.keys(FORMS);
const modelOf = ({ template }: Form) => new ScriptedModel({ details: { chatTemplate: template } });
const args = { city: "New\nYork {", days: "3" };

Deno.test("calls between tags that must be made are bound to the function's schema", () => {
  for (const name of FORM_NAMES) {
    const { open, close, between, call, ...form } = FORMS[name];
    const plan = planTools(modelOf({ open, close, between, call, ...form }), [], required);
    const judge = (written: string, by = plan.grammar) => {
      assertEquals(`${open}${written}`.startsWith(plan.opening), true, plan.opening);
      return judgeCall(by, `${open}${written}${close}`.slice(plan.opening.length));
    };
    const all = { ...args, unit: "C", level: "2", kind: "sun", more: '{"a": 1}' };
    for (const each of [args, all, { ...args, unit: "5" }, { ...args, unit: "null" }]) {
      assertEquals(judge(call("f", each)), "yes", name);
    }
    assertEquals(judge(call("f", args) + between + call("g", { any: "thing" })), "yes", name);
    for (
      const [wrong, from] of [
        [{ ...args, days: "three" }, "three"],
        [{ ...args, unit: "K" }, "K"],
        [{ ...args, level: "3" }, "3"],
        [{ ...args, kind: "fog" }, "fog"],
        [{ ...args, more: '{"a": 3}' }, "3}"],
        [{ ...args, other: "1" }, "other"],
        [{ city: "Ulm" }, "/"],
      ] as const
    ) {
      assertEquals(judge(call("f", wrong)).startsWith(from), true, `${name} ${from}`);
    }
    assertEquals(judge(call("h", {})).startsWith("h"), true, name);
    // Where the schema is refused: one of the names, and what tags grammars leave.
    assertEquals(judge(call("f", { days: "three" }), plan.looserGrammar), "yes", name);
    assertEquals(judge(call("h", {}), plan.looserGrammar).startsWith("h"), true, name);
  }
});

Deno.test("calls between tags that a model chooses to make are bound where a schema is law", () => {
  const strict = { ...auto, functions: [{ ...f, strict: true }, g] };
  for (const name of FORM_NAMES) {
    const { open, close, between, call } = FORMS[name];
    assertEquals(planTools(modelOf(FORMS[name]), [], auto).grammar, undefined, name);
    const { grammar } = planTools(modelOf(FORMS[name]), [], strict);
    const judge = (written: string) => judgeCall(grammar, written);
    assertEquals(judge("Text < and {"), "yes");
    assertEquals(judge(`Text${open}${call("f", args)}${between}${call("g", {})}${close}`), "yes");
    assertEquals(judge(`${open}${call("f", { ...args, days: "x" })}`).startsWith("x"), true, name);
    const loose = { ...auto, functions: [f, { ...g, strict: true }] };
    const free = planTools(modelOf(FORMS[name]), [], loose).grammar;
    assertEquals(judgeCall(free, `${open}${call("f", { days: "x" })}${close}`), "yes", name);
    const single = planTools(modelOf(FORMS[name]), [], { ...strict, isParallel: false });
    const two = judgeCall(single.grammar, `${open}${call("g", {})}${between}${call("g", {})}`);
    assertEquals(["yes", "begun"].includes(two), false, name);
  }
});

Deno.test("what is bound between tags is what is read", () => {
  for (const name of FORM_NAMES) {
    const { open, close, between, call } = FORMS[name];
    const plan = planTools(modelOf(FORMS[name]), [], required);
    const said = `${open}${call("f", args)}${between}${call("g", { a: "1" })}${close}`;
    const parser = plan.newParser!();
    const deltas = [...parser.push(said.slice(plan.opening.length)), ...parser.end()];
    assertEquals(deltas.map((each) => each.kind === "call" ? each.name : each.kind), [
      ...["f", "arguments", "g", "arguments"],
    ], name);
  }
});
