/** Answers of pieces of every form of calls, in any order: the same however they are cut. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Delta } from "../../../src/server/tools/answer_parser.ts";
import { thoughtMarksOf, ThoughtParser } from "../../../src/server/tools/thought_parser.ts";
import { planTools, type ToolRequest } from "../../../src/server/tools/tool_plan.ts";
import { CALL_TEMPLATES } from "../../support/native_calls.ts";
import { fuzzRuns } from "../../support/fuzz.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { auto, messages, required } from "./read_calls.ts";

/** Of each form: its template, and what its answers consist of. */
const FORMS: Readonly<Record<string, readonly [template: string, ...pieces: string[]]>> = {
  dsml: [
    CALL_TEMPLATES.dsml + "</think>",
    ...["<｜DSML｜function_calls>", "</｜DSML｜function_calls>", '<｜DSML｜invoke name="', '">'],
    ...["</｜DSML｜invoke>", '<｜DSML｜parameter name="', '" string="true', '" string="false'],
    ...["</｜DSML｜parameter>", "<think>", "</think>"],
  ],
  functionary: [CALL_TEMPLATES.functionary, ">>>", "all\n", "f\n", ">", "f\n{}"],
  apertus: [
    CALL_TEMPLATES.apertus + "<|inner_suffix|>",
    ...["<|tools_prefix|>", "<|tools_suffix|>", '[{"f": {', "}}]", '{"f": ', "<|inner_prefix|>"],
    "<|inner_suffix|>",
  ],
  kimi3: [
    CALL_TEMPLATES.kimi3,
    ...["<|open|>", "<|close|>", "<|sep|>", "tools", "response", "think", 'call tool="f"', "call"],
    ...[' index="1"', 'argument key="a"', ' type="string"', "argument", "message"],
  ],
  llama: [CALL_TEMPLATES.llama, "<|python_tag|>", "f.call(", "a=", ")", ";", '{"name": "f", '],
  lfm2: ["{{ tools }}<|tool_call_start|>", "<|tool_call_start|>", "<|tool_call_end|>", "[f(", "a="],
  minicpm: [
    '{{ tools }}<function name="f"><param name="k">',
    ...['<function name="', '<param name="', '">', "</param>", "</function>", "<![CDATA[", "]]>"],
  ],
  minimax: ['{{ tools }}{{ "<tool_calls>\\n{" }}', "<tool_calls>", "</tool_calls>", '{"name": "f"'],
};
const COMMON = ["f", "a", "1", " ", "\n", "{", "}", '"', ",", ":", "[", "]", "'", "\\", "é🙂", "="];

function read(
  model: ScriptedModel,
  pieces: readonly string[],
  request: ToolRequest,
): readonly unknown[] {
  const { newParser, callMark } = planTools(model, messages, request);
  const marks = thoughtMarksOf(model.details.chatTemplate!);
  const isThoughtful = marks !== null && request.mode === "auto";
  const parser = isThoughtful
    ? new ThoughtParser({ marks, isOpened: false, answer: newParser!(), callMark })
    : newParser!();
  const out = { text: "", thoughts: "", calls: [] as [string, string][] };
  const take = (deltas: readonly Delta[]) => {
    for (const delta of deltas) {
      if (delta.kind === "text") out.text += delta.text;
      else if (delta.kind === "reasoning") out.thoughts += delta.text;
      else if (delta.kind === "arguments") out.calls[delta.call][1] += delta.text;
      else {
        // Calls come in order, each announced once.
        assertEquals(out.calls.length, delta.call);
        out.calls.push([delta.name, ""]);
      }
    }
  };
  for (const piece of pieces) take(parser.push(piece));
  take(parser.end());
  assertEquals(parser.callCount, out.calls.length);
  return [out.text, out.thoughts, out.calls];
}

for (const [name, [chatTemplate, ...own]] of Object.entries(FORMS)) {
  Deno.test(`answers of ${name}'s pieces in any order are the same however they are cut`, () => {
    const model = new ScriptedModel({ details: { chatTemplate } });
    const piece = fc.constantFrom(...own, ...own, ...COMMON);
    const pieces = fc.array(piece, { maxLength: 24 });
    fc.assert(
      fc.property(pieces, fc.boolean(), (pieces, isDue) => {
        const request = isDue ? required : auto;
        const whole = read(model, [pieces.join("")], request);
        assertEquals(read(model, pieces, request), whole);
        assertEquals(read(model, [...pieces.join("")], request), whole);
      }),
      fuzzRuns(200),
    );
  });
}
