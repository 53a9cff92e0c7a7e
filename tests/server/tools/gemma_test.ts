/** Gemma 4's calls and thoughts, as its template shows them. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { callFormatOf } from "../../../src/server/tools/call_format.ts";
import type { Delta } from "../../../src/server/tools/answer_parser.ts";
import { CallParser } from "../../../src/server/tools/call_parser.ts";
import { GemmaArguments } from "../../../src/server/tools/gemma_arguments.ts";
import { gemmaGrammar } from "../../../src/server/tools/written_grammar.ts";
import { thoughtMarksOf, ThoughtParser } from "../../../src/server/tools/thought_parser.ts";
import { planTools } from "../../../src/server/tools/tool_plan.ts";
import { fuzzRuns } from "../../support/fuzz.ts";
import { judge } from "../../grammar/tiny.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";

const chatTemplate = "{{ tools }}<|tool_call>call:f{}<tool_call|><|channel>thought\n<channel|>";
const MODEL = new ScriptedModel({ details: { chatTemplate } });
const FORMAT = callFormatOf(MODEL);
const MARKS = thoughtMarksOf(chatTemplate)!;

const ARGUMENTS: readonly (readonly [written: string, json: string])[] = [
  ["}", "{}"],
  ["a:1}", '{"a": 1}'],
  [
    'city:<|"|>Paris, {x}:"<|"|>,days:-1.5e3,ok:true}',
    '{"city": "Paris, {x}:\\"", "days": -1.5e3, "ok": true}',
  ],
  [
    'a:{b:[1,<|"|>c<|"|>],<|"|>d e<|"|>:null},f:[]}',
    '{"a": {"b": [1, "c"], "d e": null}, "f": []}',
  ],
  ["a:[{x:1},{y:2}],b:{}}", '{"a": [{"x": 1}, {"y": 2}], "b": {}}'],
  // What no model should write is JSON all the same.
  ["a:[,,b],c:[1,,2,]}", '{"a": ["b"], "c": [1, 2]}'],
  ["a:[1,],b:,}", '{"a": [1], "b": null}'],
  ["a:hello world}", '{"a": "hello world"}'],
  ["a:[1}", '{"a": [1]}'],
  ['a:<|"|>x<|"|>y}', '{"a": "x"}'],
];

Deno.test("GemmaArguments makes JSON of what Gemma writes", () => {
  for (const [written, json] of ARGUMENTS) {
    const reader = new GemmaArguments();
    let text = "", end: unknown = null;
    for (const char of written) {
      if (end !== null) break;
      const progress = reader.push(char);
      text += progress.text;
      end = progress.end;
    }
    assertEquals([text, end], [json, "done"], written);
  }
});

Deno.test("GemmaArguments makes JSON of anything that ends", () => {
  const piece = fc.constantFrom("a", ":", ",", "{", "}", "[", "]", '<|"|>', "1", " ", "<|", "é");
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const reader = new GemmaArguments();
      let text = "";
      for (const char of pieces.join("")) {
        const progress = reader.push(char);
        text += progress.text;
        if (progress.end !== null) return void JSON.parse(text);
      }
    }),
    fuzzRuns(300),
  );
});

/** Thoughts, text and calls of an answer that comes in pieces. */
function parse(pieces: readonly string[], isOpened = false) {
  const calls = new CallParser({ format: FORMAT, isKnown: () => true });
  const parser = new ThoughtParser({ isOpened, marks: MARKS, answer: calls });
  const deltas: Delta[] = [...pieces.flatMap((piece) => parser.push(piece)), ...parser.end()];
  const textOf = (kind: Delta["kind"]) =>
    deltas.map((each) => each.kind === kind && "text" in each ? each.text : "").join("");
  const names = deltas.flatMap((each) => each.kind === "call" ? [each.name] : []);
  return [textOf("reasoning"), textOf("text"), names, textOf("arguments")];
}

const ANSWER = "<|channel>thought\nThe user {wants} <this>.\n<channel|>" +
  '<|tool_call>call:get_weather{city:<|"|>Paris<|"|>}<tool_call|>' +
  "<|tool_call>call:now{}<tool_call|>";
const READ = ["The user {wants} <this>.", "", ["get_weather", "now"], '{"city": "Paris"}{}'];

Deno.test("thoughts and calls of Gemma 4 come apart, however the text is cut", () => {
  assertEquals(parse([ANSWER]), READ);
  assertEquals(parse([...ANSWER]), READ);
  assertEquals(parse(["<|channel>thought\n<channel|>Hello <b>"]), ["", "Hello <b>", [], ""]);
  assertEquals(parse(["Well\n<channel|>Hello"], true), ["Well", "Hello", [], ""]);
  assertEquals(parse(["Hello"]), ["", "Hello", [], ""]);
});

const FUNCTIONS = [
  {
    name: "f",
    parameters: {
      type: "object",
      properties: {
        city: { type: "string" },
        days: { type: "integer" },
        unit: { enum: ["c", "f"] },
        at: { type: "array", items: { type: "object", properties: { x: { type: "number" } } } },
        other: { anyOf: [{ type: "string" }, { type: "null" }] },
      },
      required: ["city"],
    },
  },
  { name: "g" },
  {
    name: "o",
    parameters: { properties: { a: {} } },
  },
  {
    name: "k",
    parameters: {
      properties: { a: {}, b: {}, c: {}, d: {}, e: {} },
      required: ["e", "d", "c", "b", "a"],
    },
  },
];
const BOUND = { format: FORMAT, isParallel: true, isBegun: true };

const CALLS: readonly (readonly [written: string, fares: "yes" | "begun" | "no"])[] = [
  ['f{city:<|"|>Paris<|"|>}', "yes"],
  ['f{unit:<|"|>c<|"|>,days:-3,city:<|"|><x, {y}: <<|"|>}<tool_call|>', "yes"],
  [
    'f{at:[{x:1.5},{}],city:<|"|>a<|"|>,other:null}<tool_call|><|tool_call>call:g{}<tool_call|>',
    "yes",
  ],
  ["g{a:[1,{b c:true}],é:{}}", "yes"],
  ["o{}", "yes"],
  ["o{a:1,a:2}", "yes"],
  // All but the fifth are insisted on.
  ["k{d:1,b:1,e:1,c:1,a:1}", "yes"],
  ["k{a:1,b:1,c:1,d:1}", "yes"],
  ['f{city:<|"|>Paris<|"|>}<tool_call|><|tool_call>', "begun"],
  // Without what must be there; of other types; names that nobody has; something behind it.
  ["f{}", "no"],
  ["f{days:1}", "no"],
  ["k{a:1,b:1,c:1}", "no"],
  ['f{city:<|"|>a<|"|>,city:', "no"],
  ['f{city:<|"|>a<|"|>b', "no"],
  ["f{city:1}", "no"],
  ["f{days:1.5", "no"],
  ['f{unit:<|"|>k', "no"],
  ["f{at:[1", "no"],
  ["f{town:", "no"],
  ["h{", "no"],
  ["g{a:b}", "no"],
  ["g{} and", "no"],
];

Deno.test("gemmaGrammar() lets through calls of functions with members and types they have", () => {
  for (const [written, fares] of CALLS) {
    assertEquals(judge(gemmaGrammar(FUNCTIONS, BOUND), written), fares, written);
  }
  const one = { ...BOUND, isParallel: false };
  assertEquals(judge(gemmaGrammar(FUNCTIONS, one), CALLS[2][0]), "no");
  const chosen = gemmaGrammar(FUNCTIONS, { ...BOUND, isBegun: false });
  assertEquals(judge(chosen, "call:g{}<tool_call|>"), "yes");
  assertEquals(judge(chosen, "g{}"), "no");
});

Deno.test("what gemmaGrammar() lets through is read as JSON", () => {
  for (const [written, fares] of CALLS) {
    if (fares !== "yes") continue;
    const parser = new CallParser({ format: FORMAT, isKnown: () => true, isOpened: true });
    const deltas = [...parser.push(written), ...parser.end()];
    for (let call = 0; call < written.split("call:").length; call++) {
      const own = deltas.filter((each) => each.kind === "arguments" && each.call === call);
      JSON.parse(own.map((each) => "text" in each ? each.text : "").join(""));
    }
    assertEquals(deltas.some(({ kind }) => kind === "text"), false, written);
  }
});

Deno.test("calls of Gemma 4 are bound where they are chosen, unless texts are between control tokens", () => {
  const request = { functions: FUNCTIONS, mode: "auto", isParallel: true } as const;
  const asked = [{ role: "user", content: "Hi" }];
  const { grammar } = planTools(MODEL, asked, request);
  assertEquals(judge(grammar!, "Hi <|tool_call>call:g{}<tool_call|>"), "yes");
  assertEquals(judge(grammar!, "Hi <|tool_call>call:h"), "no");
  const controls = { '<|"|>': "\uE001" };
  const older = new ScriptedModel({ details: { chatTemplate }, controls });
  assertEquals(planTools(older, asked, request).grammar, undefined);
});

Deno.test("a call that Gemma 4 must make begins in the prompt", () => {
  const request = { functions: FUNCTIONS, mode: "required", isParallel: false } as const;
  const plan = planTools(MODEL, [{ role: "user", content: "Hi" }], request);
  assertEquals(plan.opening, "<|tool_call>call:");
  assertEquals(judge(plan.grammar!, "f{town:"), "no");
  assertEquals(judge(plan.looserGrammar!, "f{town:1}"), "yes");
  const parser = plan.newParser!();
  const deltas = [...parser.push("g{a:1}<tool_call|>"), ...parser.end()];
  assertEquals(deltas.map((each) => "name" in each ? each.name : each.text), ["g", '{"a": 1}']);
});
