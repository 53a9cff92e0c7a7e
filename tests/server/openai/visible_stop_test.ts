import { assertEquals } from "@std/assert";
import { harmonyModel } from "../../support/harmony.ts";
import { CHAT, hello, post, readEvents, testApp } from "../http_client.ts";

const THOUGHTS = "<|channel|>analysis<|message|>final END<|end|><|start|>assistant";
const ANSWER = `${THOUGHTS}<|channel|>final<|message|>One END two`;
const CALL = `${THOUGHTS}<|channel|>commentary to=functions.f <|message|>{"a":"END"}`;
const functions = [{ type: "function", function: { name: "f" } }];

/** What a client sees of an answer, asked for as a whole and streamed. */
async function bothWays(app: Parameters<typeof post>[0], body: Record<string, unknown>) {
  const asked = { ...hello, ...body };
  const { choices: [{ message, finish_reason }], usage } = await (await post(app, CHAT, asked))
    .json();
  const streamed = { ...asked, stream: true, stream_options: { include_usage: true } };
  const events = await readEvents(await post(app, CHAT, streamed));
  const parts = events.slice(0, -1).flatMap(({ choices }) => choices);
  const text = parts.map(({ delta }) => delta.content ?? "").join("");
  assertEquals(text, message.content ?? "");
  assertEquals(parts.at(-1).finish_reason, finish_reason);
  assertEquals(events.at(-2).usage.completion_tokens, usage.completion_tokens);
  return { text, message, finish: finish_reason, tokens: usage.completion_tokens };
}

Deno.test("stop strings are looked for in an answer's text, not in its thoughts and marks", async () => {
  const { app } = testApp(harmonyModel(ANSWER));
  assertEquals((await bothWays(app, { stop: ["final"] })).text, "One END two");
  const { text, message, finish, tokens } = await bothWays(app, { stop: ["END", "nothing"] });
  assertEquals([text, message.reasoning_content, finish], ["One ", "final END", "stop"]);
  const asked = { ...hello, stop: ["END"], logprobs: true };
  const { choices: [{ logprobs }] } = await (await post(app, CHAT, asked)).json();
  const told = logprobs.content.map(({ token }: { token: string }) => token);
  assertEquals(told.join(""), "One ");
  // The script goes on, and what it says then is nobody's.
  assertEquals(tokens, [..."<analysis<final END<<assistant<final<One END"].length);
});

Deno.test("stop strings are not looked for in calls", async () => {
  const { app } = testApp(harmonyModel(CALL));
  const { message, finish } = await bothWays(app, { stop: "END", tools: functions });
  assertEquals([message.tool_calls[0].function.arguments, finish], ['{"a":"END"}', "tool_calls"]);
});

Deno.test("stop strings end an answer behind thoughts between tags", async () => {
  const script = [..."<think>END</think>\n\nOne END two"];
  const { app } = testApp({ details: { chatTemplate: "<think></think>" }, script });
  const { text, finish } = await bothWays(app, { stop: ["END"] });
  assertEquals([text, finish], ["One ", "stop"]);
});

Deno.test("what may be the beginning of a stop string is shown when it is none", async () => {
  const { app } = testApp(harmonyModel(`${THOUGHTS}<|channel|>final<|message|>One EN`));
  assertEquals((await bothWays(app, { stop: ["END"] })).text, "One EN");
});

Deno.test("each of several answers has stop strings of its own", async () => {
  const { app } = testApp(harmonyModel(ANSWER));
  const { choices } = await (await post(app, CHAT, { ...hello, n: 2, stop: ["END"] })).json();
  assertEquals(choices.map(({ message }: { message: { content: string } }) => message.content), [
    "One ",
    "One ",
  ]);
});
