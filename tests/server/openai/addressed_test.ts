/** Conversations with a model whose messages say whom they are for (Muse Glimmer). */
import { assertEquals } from "@std/assert";
import { answerParser, readAnswer } from "../../../src/cli/chat/answer.ts";
import { museModel } from "../../support/muse.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { CHAT, hello, post, readEvents, testApp } from "../http_client.ts";

const THOUGHTS = " to=self<|message|>Hm <b>.<|eom|><|start|>assistant";
const call = (value: string) =>
  `<atem:function_calls>\n<atem:invoke name="f"><atem:parameter name="a">${value}` +
  `</atem:parameter></atem:invoke>\n</atem:function_calls>`;
const parameters = {
  type: "object",
  properties: { a: { type: "integer" } },
  required: ["a"],
};
const tools = [{ type: "function", function: { name: "f", parameters } }];

async function ask(said: string, body: object = {}) {
  const { app, model } = testApp(museModel(said));
  const response = await post(app, CHAT, { ...hello, ...body });
  assertEquals(response.status, 200);
  const { choices: [{ message, finish_reason }] } = await response.json();
  return {
    ...{ text: message.content, thoughts: message.reasoning_content, finish_reason },
    calls: message.tool_calls?.map((each: { function: object }) => each.function),
    prompt: model.decode(model.requests[0].ids),
  };
}

Deno.test("thoughts to itself and text to the user come apart, whole, streamed and in a terminal", async () => {
  const said = `${THOUGHTS} to=user<|message|>Hello, to=you.<|eot|>`;
  const { text, thoughts } = await ask(said);
  assertEquals([thoughts, text], ["Hm <b>.", "Hello, to=you."]);
  const events = await readEvents(
    await post(testApp(museModel(said)).app, CHAT, { ...hello, stream: true }),
  );
  const deltas = events.slice(1, -2).map(({ choices: [{ delta }] }) => delta);
  assertEquals(deltas.map((each) => each.reasoning_content ?? "").join(""), "Hm <b>.");
  assertEquals(deltas.map((each) => each.content ?? "").join(""), "Hello, to=you.");
  const model = new ScriptedModel(museModel(said));
  let shown = "";
  const generation = model.generate({ ids: [1], maxTokens: 99 });
  await readAnswer(generation, answerParser(model), (piece) => shown += piece);
  assertEquals(shown, "<think>\nHm <b>.\n</think>\n\nHello, to=you.");
});

Deno.test("a message of that form may be missing its head, or be several", async () => {
  assertEquals((await ask("Hello")).text, "Hello");
  assertEquals((await ask("<|message|>Hello<|eot|>")).text, "Hello");
  const twice = await ask(
    " to=self<|message|>1<|eom|><|start|>assistant to=self<|message|>2<|eom|>" +
      "<|start|>assistant to=user<|message|>3<|eom|><|start|>assistant to=user<|message|>4",
  );
  assertEquals([twice.thoughts, twice.text], ["1\n\n2", "3\n\n4"]);
});

Deno.test("calls to tools are calls, behind thoughts and text, and not in thoughts", async () => {
  const toTool = ` to=f<|message|>${call("1")}<|eot|>`;
  const behind = await ask(
    `${THOUGHTS} to=user<|message|>Well.<|eom|><|start|>assistant${toTool}`,
    { tools },
  );
  const f1 = { name: "f", arguments: '{"a": 1}' };
  assertEquals([behind.thoughts, behind.text?.trim(), behind.calls, behind.finish_reason], [
    "Hm <b>.",
    "Well.",
    [f1],
    "tool_calls",
  ]);
  const quoted = await ask(
    ` to=self<|message|>${call("2")}<|eom|><|start|>assistant to=user<|message|>No.`,
    { tools },
  );
  assertEquals([quoted.thoughts, quoted.text, quoted.calls], [call("2"), "No.", undefined]);
});

Deno.test("what must be a call, or of a form, or is begun, is opened in the prompt", async () => {
  const rest = call("1").slice(call("1").indexOf('f">'));
  const must = await ask(rest, { tools, tool_choice: "required" });
  assertEquals(must.calls, [{ name: "f", arguments: '{"a": 1}' }]);
  const opened = ' to=tool\uE001<atem:function_calls><atem:invoke name="';
  assertEquals(must.prompt.replaceAll("\n", "").endsWith(opened), true, must.prompt);
  const schema = { type: "object" };
  const response_format = { type: "json_schema", json_schema: { schema } };
  const formed = await ask('{"b":2}<|eot|>', { response_format });
  assertEquals([formed.text, formed.thoughts], ['{"b":2}', undefined]);
  assertEquals(formed.prompt.endsWith(" to=user\uE001"), true, formed.prompt);
  const { app, model } = testApp(museModel(" two"));
  const messages = [...hello.messages, { role: "assistant", content: "One" }];
  const begun = await post(app, "/v1/messages", { ...hello, max_tokens: 9, messages });
  assertEquals((await begun.json()).content, [{ type: "text", text: " two" }]);
  assertEquals(model.decode(model.requests[0].ids).endsWith(" to=user\uE001One"), true);
});
