import { assertEquals } from "@std/assert";
import { answerParser, readAnswer } from "../../../src/cli/chat/answer.ts";
import { harmonyModel } from "../../support/harmony.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";

/** What is shown of an answer, and what is kept of it. */
async function read(model: ScriptedModel): Promise<[shown: string, kept: string]> {
  let shown = "";
  const generation = model.generate({ ids: [1] });
  const { text } = await readAnswer(generation, answerParser(model), (piece) => shown += piece);
  return [shown, text];
}

Deno.test("readAnswer() shows thoughts that are marked between tags, and keeps the answer", async () => {
  const thoughts = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant";
  const model = new ScriptedModel(harmonyModel(`${thoughts}<|channel|>final<|message|>Hello`));
  assertEquals(await read(model), ["<think>\nHm.\n</think>\n\nHello", "Hello"]);
  assertEquals(await read(new ScriptedModel()), ["Hello, world", "Hello, world"]);
  const controls = { "[THINK]": "\uE300", "[/THINK]": "\uE301" };
  const details = { chatTemplate: "[THINK]{{ thoughts }}[/THINK]" };
  const script = ["\uE300", "Hm.", "\uE301", "Hello"];
  const brackets = new ScriptedModel({ details, controls, script });
  assertEquals(await read(brackets), ["<think>\nHm.\n</think>\n\nHello", "Hello"]);
});

Deno.test("readAnswer() shows what Functionary says to people without what says so", async () => {
  const details = { chatTemplate: "{{ tools }}>>>all" };
  const said = new ScriptedModel({ details, script: ["al", "l\nHello", ", >>> you"] });
  assertEquals(await read(said), ["Hello, >>> you", "Hello, >>> you"]);
});
