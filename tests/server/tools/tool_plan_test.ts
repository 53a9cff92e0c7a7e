import { assertEquals, assertStringIncludes } from "@std/assert";
import { callFormatOf } from "../../../src/server/tools/call_format.ts";
import { planTools, type ToolRequest } from "../../../src/server/tools/tool_plan.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { judgeCall } from "./bound_calls.ts";

const TEMPLATES = {
  hermes: "{% if tools %}<tool_call>{% endif %}",
  mistral: "{% if tools %}[AVAILABLE_TOOLS]{% endif %}[TOOL_CALLS]",
  llama3: `{% if tools %}ipython {"name":, "parameters":}{% endif %}`,
  python: "{% if tools %}List of tools: <|tool_list_start|>[{% endif %}",
  markup: "{% if tools %}<tool_call><function=f><parameter=k>{% endif %}",
  json: "{% if tools %}Call with JSON.{% endif %}",
  instructed: "{{ messages }}",
};

function modelOf(name: keyof typeof TEMPLATES): ScriptedModel {
  return new ScriptedModel({ details: { chatTemplate: TEMPLATES[name] } });
}

const messages = [{ role: "user", content: "Hi" }];
const weather = {
  name: "weather",
  description: "Says it",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const auto: ToolRequest = { functions: [weather], mode: "auto", isParallel: true };
const required: ToolRequest = { ...auto, mode: "required" };

Deno.test("callFormatOf() finds the format in the template", () => {
  for (const name of Object.keys(TEMPLATES) as (keyof typeof TEMPLATES)[]) {
    assertEquals(callFormatOf(modelOf(name)).name, name);
  }
  assertEquals(callFormatOf(new ScriptedModel()).name, "instructed");
});

Deno.test("planTools() leaves conversations without functions alone", () => {
  assertEquals(planTools(modelOf("hermes"), messages, null), { messages, opening: "" });
});

Deno.test("planTools() gives functions to the template, or tells them in a message", () => {
  const own = planTools(modelOf("hermes"), messages, auto);
  assertEquals(own.tools, [{ type: "function", function: weather }]);
  assertEquals(own.messages, messages);
  const told = planTools(modelOf("instructed"), messages, auto);
  assertEquals(told.tools, undefined);
  assertEquals(told.messages.length, 2);
  assertStringIncludes(told.messages[0].content, `"weather"`);
  const system = [{ role: "system", content: "Be brief" }, ...messages];
  const merged = planTools(modelOf("instructed"), system, auto);
  assertEquals(merged.messages.length, 2);
  assertStringIncludes(merged.messages[0].content, "Be brief\n\n");
});

Deno.test("planTools() puts earlier calls into words where the template knows none", () => {
  const call = { type: "function", function: { name: "weather", arguments: { city: "Ulm" } } };
  const plan = planTools(modelOf("instructed"), [
    ...messages,
    { role: "assistant", content: "", tool_calls: [call] },
    { role: "tool", content: "rain", tool_call_id: "1" },
  ], null);
  assertEquals(plan.messages.slice(1), [
    {
      role: "assistant",
      content: `<tool_call>\n{"name":"weather","arguments":{"city":"Ulm"}}\n</tool_call>`,
    },
    { role: "user", content: "<tool_response>\nrain\n</tool_response>" },
  ]);
});

Deno.test("planTools() writes earlier calls as the model does where its template leaves them out", () => {
  const call = (name: string, args: object) => ({ function: { name, arguments: args } });
  const plan = planTools(modelOf("python"), [{
    ...{ role: "assistant", content: "Let me see." },
    tool_calls: [call("weather", { city: "Ulm", days: [1, true] }), call("now", {})],
  }], auto);
  assertEquals(plan.messages, [{
    role: "assistant",
    content: `Let me see.\n[weather(city="Ulm", days=[1,true]), now()]`,
  }]);
  const template = `${TEMPLATES.python}{{ message.tool_calls }}<|tool_call_start|>`;
  const own = new ScriptedModel({ details: { chatTemplate: template } });
  const messages = [{ role: "assistant", content: "", tool_calls: [call("now", {})] }];
  assertEquals(planTools(own, messages, auto).messages, messages);
});

Deno.test("planTools() binds an answer that must be a call to the functions' schemas", () => {
  const schemaOf = (key: string) => ({
    type: "object",
    properties: { name: { const: "weather" }, [key]: weather.parameters },
    required: ["name", key],
    additionalProperties: false,
  });
  const hermes = planTools(modelOf("hermes"), messages, required);
  assertEquals(hermes.opening, "<tool_call>\n");
  const llama = planTools(modelOf("llama3"), messages, required);
  assertEquals(llama.opening, "");
  assertEquals(llama.grammar, { kind: "jsonSchema", schema: schemaOf("parameters") });
  const mistral = planTools(modelOf("mistral"), messages, required);
  assertEquals(mistral.opening, "[TOOL_CALLS]");
  const one = '{"name":"weather","arguments":{"city":"Ulm"}}';
  assertEquals(judgeCall(mistral.grammar, `[${one},${one}]`), "yes");
  assertEquals(judgeCall(mistral.grammar, one), one);
  assertEquals(judgeCall(mistral.grammar, `[${one.replace('"Ulm"', "5")}]`), "5}}]");
  const parser = hermes.newParser!();
  assertEquals(parser.push(`{"name":"weather","arguments":{"city":"Ulm"}}`).map((d) => d.kind), [
    "call",
    "arguments",
  ]);
});

const TAGS = ["<tool_call>\n", "\n</tool_call>"];
const called = (name: string, city: unknown) =>
  TAGS.join(JSON.stringify({ name, arguments: { city } }));

Deno.test("planTools() binds several calls between tags that must be made", () => {
  const { grammar, looserGrammar, opening } = planTools(modelOf("hermes"), messages, required);
  const judge = (written: string, by = grammar) => judgeCall(by, written.slice(opening.length));
  assertEquals(judge(called("weather", "Ulm")), "yes");
  assertEquals(judge(`${called("weather", "Ulm")}\n${called("weather", "Bonn")}`), "yes");
  assertEquals(judge(called("other", "Ulm")).startsWith("other"), true);
  assertEquals(judge(called("weather", 5)).startsWith("5"), true);
  assertEquals(judge(called("weather", 5), looserGrammar), "yes");
  const single = planTools(modelOf("hermes"), messages, { ...required, isParallel: false });
  assertEquals(judge(called("weather", "Ulm"), single.grammar), "yes");
  const two = `${called("weather", "Ulm")}\n${called("weather", "Bonn")}`;
  assertEquals(judge(two, single.grammar), `\n${called("weather", "Bonn")}`);
});

Deno.test("planTools() binds a call that the model chooses to make from its opening on", () => {
  const auto1 = { ...auto, isParallel: false };
  const strict = { ...auto, functions: [{ ...weather, strict: true }] };
  const judge = (written: string, by = auto) =>
    judgeCall(planTools(modelOf("hermes"), messages, by).grammar, written);
  for (const by of [auto, strict]) {
    assertEquals(judge("Text {", by), "yes");
    assertEquals(judge(`Hm.${called("weather", "Ulm")}\n${called("weather", "Bonn")}`, by), "yes");
    assertEquals(judge(called("other", "Ulm"), by).startsWith("other"), true);
    assertEquals(judge(TAGS.join("[]"), by), `[]${TAGS[1]}`);
  }
  assertEquals(judge(called("weather", 5)), "yes");
  assertEquals(judge(called("weather", 5), strict).startsWith("5"), true);
  assertEquals(judge(called("weather", "Ulm"), auto1), "yes");
  assertEquals(judge(`${called("weather", "Ulm")}\n${TAGS[0]}`, auto1), `\n${TAGS[0]}`);
});

Deno.test("planTools() lets an answer that follows a schema be a call as well", () => {
  const answer = { $ref: "#/$defs/A", $defs: { A: { type: "object" } } };
  const plan = planTools(modelOf("hermes"), messages, auto, { answerSchema: answer });
  assertEquals(plan.grammar, {
    kind: "jsonSchema",
    schema: {
      anyOf: [
        {
          type: "object",
          properties: { name: { const: "weather" }, arguments: weather.parameters },
          required: ["name", "arguments"],
          additionalProperties: false,
        },
        { $ref: "#/$defs/answer" },
      ],
      $defs: { answer: { $ref: "#/$defs/answer/$defs/A", $defs: { A: { type: "object" } } } },
    },
  });
  const read = (text: string) => {
    const parser = plan.newParser!();
    return [...parser.push(text), ...parser.end()].map((delta) => delta.kind);
  };
  assertEquals(read(`{"name":"weather","arguments":{"city":"Ulm"}}`), ["call", "arguments"]);
  assertEquals(read(`{"name":"Ada"}`), ["text"]);
});

Deno.test("planTools() reads arguments between tags by their schemas", () => {
  const seed = { chatTemplate: "{{ tools }}<seed:tool_call><function=f><parameter=k>" };
  const { open, close } = callFormatOf(new ScriptedModel({ details: seed }));
  assertEquals([open, close], ["<seed:tool_call>", "</seed:tool_call>"]);
  const plan = planTools(modelOf("markup"), messages, required);
  assertEquals(plan.opening, "<tool_call>\n<function=");
  const parser = plan.newParser!();
  const deltas = parser.push("weather>\n<parameter=city>\n17\n</parameter>\n</function>");
  assertEquals(deltas.slice(1), [{ kind: "arguments", call: 0, text: '{"city": "17"}' }]);
});

Deno.test("calls between tags that are control tokens are found, and bound by these", () => {
  const CASES = {
    [TEMPLATES.hermes]: ["<tool_call>", "</tool_call>", called("weather", "Ulm")],
    "{{ tools }}<seed:tool_call><function=f><parameter=k>": [
      ...["<seed:tool_call>", "</seed:tool_call>"],
      "<seed:tool_call>\n<function=weather>\n<parameter=city>Ulm</parameter>\n</function>" +
      "\n</seed:tool_call>",
    ],
  };
  for (const [chatTemplate, [open, close, written]] of Object.entries(CASES)) {
    const controls = { [open]: "\uE400", [close]: "\uE401" };
    const model = new ScriptedModel({ details: { chatTemplate }, controls });
    const pieces = `Hm.${written}`.split(new RegExp(`(${open}|${close})`)).filter((each) => each);
    const parser = planTools(model, messages, auto).newParser!();
    const deltas = pieces.flatMap((each) =>
      each in controls
        ? parser.push("", [model.encodeText(each, { special: true })[0]])
        : parser.push(each)
    );
    const names = [...deltas, ...parser.end()].map((each) =>
      "name" in each ? each.name : each.text
    );
    assertEquals(names.slice(0, 2), ["Hm.", "weather"]);
    const judge = (mode: "auto" | "required") => {
      const functions = [{ ...weather, strict: true }];
      const { grammar, opening } = planTools(model, messages, { ...auto, functions, mode });
      return judgeCall(grammar, written.slice(opening.length), [open, close]);
    };
    assertEquals([judge("auto"), judge("required")], ["yes", "yes"], chatTemplate);
  }
});
