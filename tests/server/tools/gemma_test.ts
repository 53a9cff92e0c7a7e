/** Gemma 4's calls and thoughts, as its template shows them. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { callFormatOf } from "../../../src/server/tools/call_format.ts";
import { CallParser, type Delta } from "../../../src/server/tools/call_parser.ts";
import { GemmaArguments } from "../../../src/server/tools/gemma_arguments.ts";
import { thoughtMarksOf, ThoughtParser } from "../../../src/server/tools/thought_parser.ts";
import { planTools } from "../../../src/server/tools/tool_plan.ts";
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
  fc.assert(fc.property(fc.array(piece), (pieces) => {
    const reader = new GemmaArguments();
    let text = "";
    for (const char of pieces.join("")) {
      const progress = reader.push(char);
      text += progress.text;
      if (progress.end !== null) return void JSON.parse(text);
    }
  }));
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

Deno.test("a call that Gemma 4 must make begins in the prompt", () => {
  const functions = [{ name: "f" }, { name: "g" }];
  const request = { functions, mode: "required", isParallel: false } as const;
  const plan = planTools(MODEL, [{ role: "user", content: "Hi" }], request);
  assertEquals(plan.opening, "<|tool_call>call:");
  const parser = plan.newParser!();
  const deltas = [...parser.push("g{a:1}<tool_call|>"), ...parser.end()];
  assertEquals(deltas.map((each) => "name" in each ? each.name : each.text), ["g", '{"a": 1}']);
});
