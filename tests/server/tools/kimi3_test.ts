/** Answers of Kimi K3. */
import { assertEquals } from "@std/assert";
import { planTools } from "../../../src/server/tools/tool_plan.ts";
import { judgeCall } from "./bound_calls.ts";
import { assertRead, auto, controls, messages, native, required, strict } from "./read_calls.ts";

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
  const schema = planTools(model, messages, auto, { answerSchema: { const: 1 } });
  for (const written of ["1", END3 + tools3(one)]) {
    assertEquals(judgeCall(schema.grammar, written, controls), "yes");
  }
  assertEquals(judgeCall(schema.grammar, "2", controls), "2");
});
