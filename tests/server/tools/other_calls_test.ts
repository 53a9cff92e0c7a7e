/** Calls of GigaChat 3 and 3.1, FunctionGemma, MiniMax M1, Firefunction, MiniCPM 5 and Hy3. */
import { assertEquals } from "@std/assert";
import { planTools, type ToolRequest } from "../../../src/server/tools/tool_plan.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { judgeCall } from "./bound_calls.ts";
import { assertReadBy, auto, messages, required, strict } from "./read_calls.ts";

const f1 = '{"name": "f", "arguments": {"a": 1}}';
const g = '{"name": "ns/g.h", "arguments": {}}';
const CALLS = [["f", '{"a": 1}'], ["ns/g.h", "{}"]] as const;

/** Of each model: what of its template tells it, two calls, and what comes between name and 1. */
const MODELS = {
  gigachat: ["{{ tools }}<|function_call|>", `<|function_call|>${f1}<|function_call|>${g}`],
  gigachat3: [
    "{{ tools }}<|role_sep|><|message_sep|>",
    `<|message_sep|>\n\nfunction call<|role_sep|>\n${f1}` +
    `<|message_sep|>\n\nfunction call<|role_sep|>\n${g}`,
  ],
  functiongemma: [
    "{{ tools }}<start_function_call>",
    "<start_function_call>call:f{a:1}<end_function_call>" +
    "<start_function_call>call:ns/g.h{}<end_function_call>",
  ],
  minimax: [
    '{{ tools }}{{ "<tool_calls>\\n{" }}',
    `<tool_calls>\n${f1}\n${g}\n</tool_calls>`,
  ],
  firefunction: ["{{ functions }} functools[{", `functools[${f1}, ${g}]`],
  minicpm: [
    '{{ tools }}<function name="f"><param name="k">',
    '<function name="f"><param name="a">1</param></function><function name="ns/g.h"></function>',
  ],
  hy3: [
    "{%- set HYTK = ':opensource' %}{{ tools }}{{ '<tool_sep{}>'.format(HYTK) }}",
    "<tool_calls:opensource>\n<tool_call:opensource>f<tool_sep:opensource>\n" +
    "<arg_key:opensource>a</arg_key:opensource>\n" +
    "<arg_value:opensource>1</arg_value:opensource>\n</tool_call:opensource>\n" +
    "<tool_call:opensource>ns/g.h<tool_sep:opensource>\n</tool_call:opensource>\n" +
    "</tool_calls:opensource>",
  ],
} as const;

for (const [name, [template, written]] of Object.entries(MODELS)) {
  Deno.test(`calls of ${name} are read however they are cut, and bound`, () => {
    assertReadBy(template, written, { text: "", calls: CALLS });
    assertReadBy(template, `Well, {${written}`, { text: "Well, {", calls: CALLS });
    assertReadBy(template, "Just <text> func", { text: "Just <text> func", calls: [] });
    const model = new ScriptedModel({ details: { chatTemplate: template } });
    const judge = (request: ToolRequest, by = written) => {
      const { grammar, opening } = planTools(model, messages, request);
      return judgeCall(grammar, by.slice(opening.length));
    };
    const opening = planTools(model, messages, required).opening;
    assertEquals(written.startsWith(opening) && opening !== "", true, opening);
    assertEquals(judge(required), "yes");
    assertEquals(judge(strict, `Text ${written}`), "yes");
    const bad = written.replace("1", "x");
    for (const request of [required, strict]) assertEquals(judge(request, bad)[0], "x");
    const unknown = written.replace(/\bf(?=[">{<])/, "h");
    assertEquals(judge(required, unknown)[0], "h", unknown);
    const single = judge({ ...required, isParallel: false });
    assertEquals(single !== "yes" && single !== "begun" && !single.includes('"a"'), true, single);
    assertEquals(planTools(model, messages, auto).tools?.length, 2);
  });
}

Deno.test("marks of GigaChat 3 are control tokens that have line breaks in them", () => {
  const chatTemplate = MODELS.gigachat3[0];
  const [end, role] = ["<|message_sep|>\n\n", "<|role_sep|>\n"];
  const model = new ScriptedModel({
    details: { chatTemplate },
    controls: { [end]: "\uE001", [role]: "\uE002" },
  });
  const { newParser, grammar } = planTools(model, messages, strict);
  const parse = (...pieces: string[]) => {
    const parser = newParser!();
    const deltas = pieces.flatMap((piece) =>
      [end, role].includes(piece)
        ? parser.push("", [model.encodeText(piece, { special: true })[0]])
        : parser.push(piece, [1])
    );
    const all = [...deltas, ...parser.end()];
    return all.map((each) => each.kind === "call" ? each.name : each.text).join("|");
  };
  assertEquals(parse("Hi", end), "Hi");
  assertEquals(
    parse("Hi function call", end, "function call", role, f1),
    'Hi| function call|f|{"a": 1}',
  );
  assertEquals(parse("function ", "call: no"), "function call: no");
  assertEquals(grammar?.kind, "parts");
});

Deno.test("what is no call of GigaChat 3 is bound to a schema, and calls beside it", () => {
  const [chatTemplate, written] = MODELS.gigachat3;
  const [end, role] = ["<|message_sep|>\n\n", "<|role_sep|>\n"];
  for (const controls of [{}, { [end]: "\uE001", [role]: "\uE002" }]) {
    const model = new ScriptedModel({ details: { chatTemplate }, controls });
    const plan = planTools(model, messages, auto, { answerSchema: { const: 1 } });
    const judge = (answer: string) => judgeCall(plan.grammar, answer, Object.keys(controls));
    assertEquals(plan.isFormat, true);
    for (const answer of ["1", written]) assertEquals(judge(answer), "yes", answer);
    assertEquals(judge("2"), "2");
    assertEquals(judge(written.replace('"f"', '"h"'))[0], "h");
  }
});

Deno.test("texts of FunctionGemma's arguments stand between <escape> and <escape>", () => {
  const [template] = MODELS.functiongemma;
  const call = "<start_function_call>call:f{s:<escape>a, {b}<escape>,a:1}<end_function_call>";
  assertReadBy(template, call, { text: "", calls: [["f", '{"s": "a, {b}", "a": 1}']] });
  const model = new ScriptedModel({ details: { chatTemplate: template } });
  const { grammar } = planTools(model, messages, strict);
  assertEquals(judgeCall(grammar, call), "yes");
  assertEquals(judgeCall(grammar, call.replaceAll("<escape>", '<|"|>')).startsWith("yes"), false);
  const escape = { "<escape>": "\uE001" };
  const control = new ScriptedModel({ details: { chatTemplate: template }, controls: escape });
  assertEquals(planTools(control, messages, strict).grammar, undefined);
});

Deno.test("texts between marks may have any part of a mark, at their ends, too", () => {
  const formats = [
    [MODELS.functiongemma[0], "<start_function_call>", "<end_function_call>", "<escape>"],
    ["{{ tools }}<|tool_call>call:", "<|tool_call>", "<tool_call|>", '<|"|>'],
  ] as const;
  for (const [template, open, close, quote] of formats) {
    const model = new ScriptedModel({ details: { chatTemplate: template } });
    const { grammar } = planTools(model, messages, strict);
    const call = (text: string) => `${open}call:f{s:${quote}${text}${quote},a:1}${close}`;
    const parts = Array.from(quote.slice(0, -1), (_, i) => quote.slice(0, i + 1));
    for (const text of ["", "x", ...parts, ...parts.map((part) => `${part}<`), "<<", "</p>"]) {
      for (const each of [text, `${text}x`, `a${text}${text}`]) {
        assertEquals(judgeCall(grammar, call(each)), "yes", call(each));
        const calls = [["f", `{"s": ${JSON.stringify(each)}, "a": 1}`]] as const;
        assertReadBy(template, call(each), { text: "", calls });
      }
    }
    for (const part of ["", ...parts]) {
      assertEquals(judgeCall(grammar, call(`${part}${quote}x`)), `x${quote},a:1}${close}`, part);
    }
  }
});

Deno.test("thoughts of Hy3 come before its calls", () => {
  const [template, written] = MODELS.hy3;
  const thoughts = "<think:opensource>Hm <b>.</think:opensource>";
  assertReadBy(template, thoughts + written, { thoughts: "Hm <b>.", text: "", calls: CALLS });
  assertReadBy(template, `${thoughts}Hi`, { thoughts: "Hm <b>.", text: "Hi", calls: [] });
});

Deno.test("arguments of MiniCPM 5 may be character data, in which tags are text", () => {
  const call = (value: string) =>
    `<function name="f"><param name="s">${value}</param><param name="a">1</param></function>`;
  const calls = (s: string) =>
    [["f", JSON.stringify({ s, a: 1 }).replace(/":/g, '": ').replace(/,"a/, ', "a')]] as const;
  for (
    const [written, s] of [
      ["<![CDATA[a </param> & <b>\nc]]>", "a </param> & <b>\nc"],
      ["<![CDATA[]]>", ""],
      ["a]]>b", "a]]>b"],
      ["1", "1"],
    ]
  ) {
    assertReadBy(MODELS.minicpm[0], call(written), { text: "", calls: calls(s) });
  }
});
