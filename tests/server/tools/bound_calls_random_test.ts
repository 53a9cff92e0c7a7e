/** Answers that grammars of calls let through, made at random: each is calls, and nothing else. */
import { assert, assertEquals } from "@std/assert";
import {
  buildTokenTrie,
  compileGrammar,
  GrammarKnowledge,
  GrammarMatcher,
} from "../../../src/grammar/mod.ts";
import type { GrammarSource } from "../../../src/llm/types.ts";
import { planTools, type ToolRequest } from "../../../src/server/tools/tool_plan.ts";
import { idsIn, vocabularyOf } from "../../grammar/tiny.ts";
import { CALL_TEMPLATES } from "../../support/native_calls.ts";
import { Rng } from "../../support/rng.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { messages } from "./read_calls.ts";

const FORMS: Readonly<Record<string, string>> = {
  ...CALL_TEMPLATES,
  hermes: "{{ tools }}<tool_call>",
  qwen: "{{ tools }}<tool_call><function=f><parameter=k>",
  glm: "{{ tools }}<tool_call><arg_key>",
  minimax: "{{ tools }}<minimax:tool_call>",
  minimax1: '{{ tools }}{{ "<tool_calls>\\n{" }}',
  gemma: "{{ tools }}<|tool_call>call:",
  lfm2: "{{ tools }}{{ tool_calls }}<|tool_call_start|>",
  nemo: "{{ tools }}[TOOL_CALLS][{",
  cohere: "{{ tools }}{{ tool_calls }}<|START_ACTION|>",
  firefunction: "{{ functions }} functools[",
  minicpm: '{{ tools }}<function name="f"><param name="k">',
  hy3: "{%- set HYTK = ':opensource' %}{{ tools }}{{ '<tool_sep{}>'.format(HYTK) }}",
  gigachat: "{{ tools }}<|function_call|>",
  gigachat3: "{{ tools }}<|role_sep|><|message_sep|>",
  functiongemma: "{{ tools }}<start_function_call>",
  functionary1: "{{ tools }}<function=f>",
  json: "{{ tools }}",
};
const tools: ToolRequest = {
  functions: [
    {
      name: "get.it",
      strict: true,
      parameters: {
        type: "object",
        properties: {
          n: { type: "integer" },
          yes: { type: "boolean" },
          word: { enum: ["one", "two", 3] },
          list: { type: "array", items: { type: "number" }, maxItems: 3 },
          text: { type: "string", maxLength: 5 },
          in: { type: "object", properties: { a: { type: "null" } }, additionalProperties: false },
        },
        required: ["n"],
        additionalProperties: false,
      },
    },
    {
      name: "now",
      strict: true,
      parameters: { type: "object", properties: {}, additionalProperties: false },
    },
  ],
  mode: "required",
  isParallel: true,
};
const ROUNDS = Number(Deno.env.get("FUZZ_RUNS") ?? 4);
const CHARS = [
  ...new Set(
    " \n!\"#'()`,-./0123456789:;<=>?@[\\]_{|}｜▁abcdefghijklmnopqrstuvwxyz" +
      "ABCDEFGHIJKLMNOPQRSTUVWXYZ&",
  ),
];
const TRIE = buildTokenTrie(vocabularyOf([...CHARS, "</s>"], { ends: [CHARS.length] }));

/** A sentence of the grammar, character by character; it comes to its end in time. */
function sentence(source: GrammarSource, begin: string, rng: Rng): string {
  const matcher = new GrammarMatcher(new GrammarKnowledge(compileGrammar(source), TRIE), {
    tokensMax: begin.length + 700,
  });
  let text = "";
  const say = (id: number) => {
    assert(matcher.allows(id), `${text}…${CHARS[id]}`);
    matcher.accept(id);
    text += CHARS[id];
  };
  for (const char of begin) say(CHARS.indexOf(char));
  while (!matcher.isFinished) {
    const ids = idsIn(matcher.mask());
    const others = ids.filter((each) => each !== CHARS.length);
    // Ends are taken when nothing else is left, or now and then.
    const isEnd = others.length === 0 || others.length < ids.length && rng.int(12) === 0;
    const id = isEnd ? CHARS.length : others[rng.int(others.length)];
    if (id === CHARS.length) break;
    say(id);
  }
  return text;
}

/** Checks that an answer is calls of the functions, with arguments of their types. */
function assertCalls(model: ScriptedModel, written: string, request: ToolRequest): void {
  const parser = planTools(model, messages, request).newParser!();
  const deltas = [...[...written].flatMap((char) => parser.push(char)), ...parser.end()];
  const calls: [string, string][] = [];
  for (const delta of deltas) {
    assert(delta.kind !== "text", `${JSON.stringify(written)} says ${JSON.stringify(delta)}`);
    if (delta.kind === "call") calls.push([delta.name, ""]);
    else if (delta.kind === "arguments") calls[delta.call][1] += delta.text;
  }
  assert(calls.length > 0, written);
  for (const [name, json] of calls) {
    const args = JSON.parse(json);
    if (name === "now") assertEquals(args, {}, written);
    else {
      assertEquals(name, "get.it");
      const { n, yes = true, word = 3, list = [], text = "", in: inner = {}, ...more } = args;
      assertEquals(more, {}, written);
      assert(Number.isInteger(n) && typeof yes === "boolean" && Array.isArray(list), written);
      assert(["one", "two", 3].includes(word) && typeof text === "string", written);
      assert(typeof inner === "object" && !Array.isArray(inner), written);
    }
  }
}

for (const [name, chatTemplate] of Object.entries(FORMS)) {
  Deno.test(`what a grammar of ${name}'s calls lets through are calls`, () => {
    const model = new ScriptedModel({ details: { chatTemplate } });
    const rng = new Rng(name.length);
    const { grammar, opening } = planTools(model, messages, tools);
    for (let i = 0; i < ROUNDS; i++) {
      assertCalls(model, sentence(grammar!, "", rng), tools);
      // The same where the model chooses: it begins as the prompt would have.
      const auto: ToolRequest = { ...tools, mode: "auto", isParallel: i % 2 === 0 };
      const chosen = planTools(model, messages, auto).grammar!;
      const bare = 'now", "arguments":'.replace(
        "arguments",
        name === "llama" ? "parameters" : "arguments",
      );
      const begin = opening !== ""
        ? opening
        : name === "functionary"
        ? "now\n"
        : `{"name": "${bare}`;
      assertCalls(model, sentence(chosen, begin, rng), auto);
    }
  });
}
