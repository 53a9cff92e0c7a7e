import { assertEquals } from "@std/assert";
import type { GrammarSource } from "../../../src/llm/types.ts";
import { behindThoughts, spelledEnd } from "../../../src/server/tools/bound_thoughts.ts";
import { thoughtMarksOf } from "../../../src/server/tools/thought_parser.ts";
import { thoughtVariables } from "../../../src/server/tools/thought_variables.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { judgeCall } from "./bound_calls.ts";

const one: GrammarSource = { kind: "jsonSchema", schema: { const: 1 } };

const due = { isDue: true };

Deno.test("behindThoughts() binds what follows thoughts, whose marks are texts or control tokens", () => {
  const tags = thoughtMarksOf("</think>")!;
  const bound = behindThoughts(one, { marks: tags, controls: new Map() }, due);
  for (const text of ["Hm, {</think>1", "</think>\n\n1"]) {
    assertEquals(judgeCall(bound, text), "yes");
  }
  for (const text of ["", "Hm", "Hm</think>\n"]) assertEquals(judgeCall(bound, text), "begun");
  assertEquals(judgeCall(bound, "Hm</think>2"), "2");
  const own = { ...one, trigger: "x" };
  assertEquals(behindThoughts(own, { marks: tags, controls: new Map() }, due), own);
  const free = behindThoughts(one, { marks: tags, controls: new Map() }, { isDue: false });
  for (const text of ["", "Hm</think>1"]) assertEquals(judgeCall(free, text), "yes");
  assertEquals(judgeCall(free, "Hm</think>2"), "2");
  const kimi = thoughtMarksOf("<|open|>")!;
  const names = ["<|open|>", "<|close|>", "<|sep|>"];
  for (const controls of [names, []]) {
    const numbered = new Map(controls.map((name, id) => [id, name]));
    for (const [by, isDue] of [[one, true], [{ kind: "parts", parts: "1" }, false]] as const) {
      const source = behindThoughts(by, { marks: kimi, controls: numbered }, { isDue });
      const judge = (written: string) => judgeCall(source, written, controls);
      assertEquals(judge("Hm.<|close|>think<|sep|><|open|>response<|sep|>1"), "yes");
      assertEquals(judge("Hm.<|close|>think<|sep|>1"), "1");
      assertEquals(judge("Hm.<|close|>think<|sep|><|open|>response<|sep|>2"), "2");
    }
  }
});

Deno.test("spelledEnd() spells control tokens where they stand", () => {
  const model = new ScriptedModel({ controls: { "<|a|>": "\uE001", "<|b|>": "\uE002" } });
  const controls = new Map([[0xe001, "<|a|>"], [0xe002, "<|b|>"]]);
  const ids = model.encodePrompt("x\uE001yz\uE002\uE001");
  assertEquals(spelledEnd(model, ids, controls), "x<|a|>yz<|b|><|a|>");
  assertEquals(spelledEnd(model, [], controls), "");
});

Deno.test("thoughtVariables() says how much to think by the names that templates have for it", () => {
  assertEquals(thoughtVariables(undefined), undefined);
  assertEquals(thoughtVariables({ a: 1 }), { a: 1 });
  const high = { enable_thinking: true, reasoning_effort: "high" };
  assertEquals(thoughtVariables(high), { ...high, thinking: true, thinking_effort: "high" });
  const none = { enable_thinking: false, reasoning_effort: "none" };
  assertEquals(thoughtVariables(none), { ...none, thinking: false, thinking_effort: "low" });
  const hy = (effort: string) =>
    thoughtVariables({ reasoning_effort: effort }, "['high', 'no_think']")?.reasoning_effort;
  assertEquals(["none", "minimal", "low", "medium", "high", "xhigh"].map(hy), [
    ...["no_think", "no_think", "low", "high", "high", "high"],
  ]);
  const own = { enable_thinking: true, thinking: false, reasoning_effort: "odd" };
  assertEquals(thoughtVariables(own), own);
});
