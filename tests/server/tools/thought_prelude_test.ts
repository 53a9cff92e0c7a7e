import { assertEquals } from "@std/assert";
import { buildTokenTrie } from "../../../src/grammar/mod.ts";
import { thoughtPrelude } from "../../../src/server/tools/thought_prelude.ts";
import { planTools } from "../../../src/server/tools/tool_plan.ts";
import { idsIn, matcherOf, vocabularyOf } from "../../grammar/tiny.ts";
import { HARMONY_CONTROLS, HARMONY_TEMPLATE } from "../../support/harmony.ts";
import { museModel } from "../../support/muse.ts";
import { CALL_TEMPLATES } from "../../support/native_calls.ts";
import { ScriptedModel, type ScriptedModelOptions } from "../../support/scripted_model.ts";
import { judgeCall } from "./bound_calls.ts";
import { auto, messages } from "./read_calls.ts";

const ask = (options: ScriptedModelOptions, isOpened: boolean) =>
  thoughtPrelude(new ScriptedModel(options), 10, { isOpened });
const tags = { details: { chatTemplate: "<think></think>" } };

Deno.test("thoughtPrelude() lets thoughts end by their mark, and what follows be what it is", () => {
  const controls = { "<think>": "\uE000", "</think>": "\uE001" };
  for (const [options, names] of [[tags, []], [{ ...tags, controls }, Object.keys(controls)]]) {
    const judge = (isOpened: boolean, text: string) =>
      judgeCall(ask(options as ScriptedModelOptions, isOpened)!.grammar, text, names as string[]);
    for (const text of ["", "Hm", "Hm <think>"]) assertEquals(judge(true, text), "begun");
    for (const text of ["</think>", "Hm</think>", "</think>\n\nHi", "a</think>b</think>"]) {
      assertEquals(judge(true, text), "yes");
    }
    for (const text of ["<think>", "\n <think>\nHm"]) assertEquals(judge(false, text), "begun");
    for (const text of ["", "\n", "Hm", "Hm <think>", "<think></think>", "<think>a</think>b"]) {
      assertEquals(judge(false, text), "yes");
    }
  }
});

Deno.test("thoughtPrelude() knows the marks of messages to oneself", () => {
  const harmony = { details: { chatTemplate: HARMONY_TEMPLATE }, controls: HARMONY_CONTROLS };
  const judge = (text: string) =>
    judgeCall(ask(harmony, false)!.grammar, text, Object.keys(HARMONY_CONTROLS));
  assertEquals(judge("<|channel|>analysis<|message|>Hm"), "begun");
  assertEquals(judge("<|channel|>analysis<|message|>Hm<|end|><|start|>assistant"), "yes");
  assertEquals(judge("<|channel|>final<|message|>Hm"), "yes");
  assertEquals(judge("<|start|>assistant<|channel|>analysis<|message|>Hm"), "begun");
  const muse = museModel("");
  const toSelf = (text: string) =>
    judgeCall(ask(muse, false)!.grammar, text, Object.keys(muse.controls!));
  assertEquals(toSelf(" to=self<|message|>Hm"), "begun");
  assertEquals(toSelf(" to=self<|message|>Hm<|eom|><|start|>assistant"), "yes");
  assertEquals(toSelf(" to=user<|message|>Hm"), "yes");
});

Deno.test("thoughtPrelude() says how many tokens the mark takes that closes", () => {
  const controls = { "<think>": "\uE000", "</think>": "\uE001" };
  for (const isOpened of [true, false]) {
    const { tokensMax, endTokens } = ask({ ...tags, controls }, isOpened)!;
    assertEquals([tokensMax, endTokens], [10, 1]);
    assertEquals(ask(tags, isOpened)!.endTokens, "</think>".length);
  }
  assertEquals(ask({ details: { chatTemplate: "{{ messages }}" } }, false), null);
});

Deno.test("thoughtPrelude() lets a call end thoughts that none closes, and never asks for one", () => {
  const controls = { "<|inner_suffix|>": "\uE000", "<|tools_prefix|>": "\uE001" };
  const chatTemplate = CALL_TEMPLATES.apertus + "<|inner_suffix|>";
  const model = new ScriptedModel({ details: { chatTemplate }, controls });
  const { callMark } = planTools(model, messages, auto);
  const { grammar } = thoughtPrelude(model, 10, { isOpened: true, callMark })!;
  const judge = (text: string) => judgeCall(grammar, text, Object.keys(controls));
  for (const text of ["Hm", "Hm<|tools_prefix|>"]) assertEquals(judge(text), "begun");
  for (const text of ["Hm<|inner_suffix|>", "Hm<|tools_prefix|>[", "Hm<|tools_prefix|>[]<|inner"]) {
    assertEquals(judge(text), "yes");
  }
  const tokens = ["[", ...Object.keys(controls)];
  const trie = buildTokenTrie(vocabularyOf(tokens, { hidden: [1, 2] }));
  const matcher = matcherOf(grammar, trie);
  assertEquals(idsIn(matcher.mask()), [0, 1, 2]);
  matcher.endWithin(1);
  assertEquals(idsIn(matcher.mask()), [1]);
});
