import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { HARMONY_CONTROLS, harmonyModel } from "../../support/harmony.ts";
import { CHAT, hello, post, readEvents, testApp } from "../http_client.ts";

const THOUGHTS = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant";
const ANSWER = `${THOUGHTS}<|channel|>final<|message|>Hello`;
const CALL = `${THOUGHTS}<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a":1}`;
const tools = [{ type: "function", function: { name: "f" } }];

Deno.test("an answer in Harmony's form comes apart, whole and streamed", async () => {
  const { app } = testApp(harmonyModel(ANSWER));
  const { choices, usage } = await (await post(app, CHAT, hello)).json();
  const { reasoning_content, content } = choices[0].message;
  assertEquals([reasoning_content, content], ["Hm.", "Hello"]);
  assertEquals(usage.completion_tokens_details.reasoning_tokens, 3);
  const events = await readEvents(await post(app, CHAT, { ...hello, stream: true }));
  const deltas = events.slice(1, -2).map(({ choices: [{ delta }] }) => delta);
  assertEquals(deltas, [
    ...[..."Hm."].map((text) => ({ reasoning_content: text })),
    ...[..."Hello"].map((text) => ({ content: text })),
  ]);
  const response = await (await post(app, "/v1/responses", { input: "Hi" })).json();
  assertEquals(response.output.map(({ type }: { type: string }) => type), ["reasoning", "message"]);
  const chat = await (await post(app, "/api/chat", { ...hello, stream: false })).json();
  assertEquals([chat.message.thinking, chat.message.content], ["Hm.", "Hello"]);
});

Deno.test("a call in Harmony's form is a tool call, whole and streamed", async () => {
  const { app, model } = testApp(harmonyModel(CALL));
  const { choices: [{ message, finish_reason }] } =
    await (await post(app, CHAT, { ...hello, tools })).json();
  assertEquals([message.reasoning_content, message.content], ["Hm.", null]);
  const [{ function: called }] = message.tool_calls;
  assertEquals([called, finish_reason], [{ name: "f", arguments: `{"a":1}` }, "tool_calls"]);
  const [{ function: shown }] = model.chatOptions[0]!.tools as typeof tools & [
    { function: { description: string } },
  ];
  assertEquals(shown.description, "");
  const events = await readEvents(await post(app, CHAT, { ...hello, tools, stream: true }));
  const calls = events.slice(0, -1).flatMap(({ choices: [{ delta }] }) => delta.tool_calls ?? []);
  assertEquals(calls[0].function.name, "f");
  assertEquals(calls.map((each) => each.function.arguments).join(""), `{"a":1}`);
  assertEquals(events.at(-2).choices[0].finish_reason, "tool_calls");
});

Deno.test("what must be a call is opened in the prompt", async () => {
  const { app, model } = testApp(harmonyModel('f <|constrain|>json<|message|>{"a":1}'));
  const must = { ...hello, tools, tool_choice: "required" };
  const { choices: [{ message }] } = await (await post(app, CHAT, must)).json();
  assertEquals(message.tool_calls[0].function, { name: "f", arguments: `{"a":1}` });
  assertEquals(model.decode(model.requests[0].ids), "Hi\uE001commentary to=functions.");
});

Deno.test("what must be of a form is thought about first, in every API", async () => {
  const said = `${THOUGHTS}<|channel|>final <|constrain|>json<|message|>{"a":1}`;
  const { app, model } = testApp(harmonyModel(said));
  const schema = { type: "object" };
  const response_format = { type: "json_schema", json_schema: { schema } };
  const { choices: [{ message }] } = await (await post(app, CHAT, { ...hello, response_format }))
    .json();
  assertEquals([message.reasoning_content, message.content], ["Hm.", `{"a":1}`]);
  const text = { format: { type: "json_schema", name: "a", schema } };
  const { output } = await (await post(app, "/v1/responses", { input: "Hi", text })).json();
  assertEquals(output.map(({ type }: { type: string }) => type), ["reasoning", "message"]);
  assertEquals(output[1].content[0].text, `{"a":1}`);
  const chat = await (await post(app, "/api/chat", { ...hello, format: schema, stream: false }))
    .json();
  assertEquals([chat.message.thinking, chat.message.content], ["Hm.", `{"a":1}`]);
  for (const { ids, grammar } of model.requests) {
    assertEquals([model.decode(ids), grammar?.kind], ["Hi", "parts"]);
  }
});

Deno.test("log probabilities in Harmony's form begin no message of a response", async () => {
  const { app } = testApp(harmonyModel(ANSWER));
  const { output } = await (await post(app, "/v1/responses", { input: "Hi", top_logprobs: 1 }))
    .json();
  assertEquals(output.map(({ type }: { type: string }) => type), ["reasoning", "message"]);
  const { text, logprobs } = output[1].content[0];
  assertEquals(text, "Hello");
  assertEquals(tokensOf({ logprobs: { content: logprobs } }), [..."Hello"]);
  const { app: caller } = testApp(harmonyModel(CALL));
  const functions = [{ type: "function", name: "f" }];
  const asked = { input: "Hi", tools: functions, top_logprobs: 1, stream: true };
  const events = await (await post(caller, "/v1/responses", asked)).text();
  const added = events.matchAll(/^data: (.*output_item\.added.*)$/gm);
  assertEquals([...added].map(([, json]) => JSON.parse(json).item.type), [
    "reasoning",
    "function_call",
  ]);
});

Deno.test("marks in any order make an answer that is the same streamed, with calls that are calls", async () => {
  const part = fc.constantFrom(
    ...[...Object.keys(HARMONY_CONTROLS), "analysis", "final", "commentary", " to=functions.f"],
    ...[" to=functions.", " to=constructor", "assistant", "json", '{"a"', ":1}", "é😀", "ST", "OP"],
  );
  const text = fc.array(part, { maxLength: 18 }).map((parts) => parts.join(""));
  const more = fc.record({
    n: fc.constantFrom(1, 2),
    max_tokens: fc.integer({ min: 1, max: 60 }),
    parallel_tool_calls: fc.boolean(),
    logprobs: fc.boolean(),
  });
  const functions = [...tools, { type: "function", function: { name: "constructor" } }];
  await fc.assert(
    fc.asyncProperty(text, more, async (text, more) => {
      const { app } = testApp(harmonyModel(text));
      const body = { ...hello, tools: functions, stop: "STOP", ...more };
      const { choices } = await (await post(app, CHAT, body)).json();
      const events = await readEvents(await post(app, CHAT, { ...body, stream: true }));
      for (const { index, message, logprobs, finish_reason } of choices) {
        const parts = events.slice(0, -1).flatMap(({ choices }) => choices)
          .filter((choice) => choice.index === index);
        const joined = (field: string) => parts.map(({ delta }) => delta[field] ?? "").join("");
        const calls = message.tool_calls ?? [];
        const streamed = parts.flatMap(({ delta }) => delta.tool_calls ?? []);
        assertEquals(joined("content"), message.content ?? "");
        assertEquals(joined("reasoning_content"), message.reasoning_content ?? "");
        assertEquals(
          streamed.map((each) => (each.function.name ?? "") + each.function.arguments).join(""),
          calls.map((each: Named) => each.function.name + each.function.arguments).join(""),
        );
        assertEquals(parts.flatMap(tokensOf), tokensOf({ logprobs }));
        // Messages are parted by what is no token.
        const said = (message.content ?? "").replaceAll("\n\n", "");
        // The scripted model has no tokens of half a character.
        const hasTokens = more.logprobs && !text.includes("😀");
        if (hasTokens) assertEquals(tokensOf({ logprobs }).join(""), said);
        assertEquals(parts.at(-1).finish_reason, finish_reason);
        for (const { function: { name, arguments: json } } of calls) assert(name && json);
        assert(calls.length <= 1 || more.parallel_tool_calls);
      }
    }),
    { numRuns: 150, seed: 11 },
  );
});

interface Named {
  readonly function: { readonly name: string; readonly arguments: string };
}

Deno.test("log probabilities are those of the text's tokens, behind thoughts between tags, too", async () => {
  const chatTemplate = "<tool_call><think></think>";
  const script = [..."<think>Hm</think>\n\nA <b> ", ..."<tool_call>{}"];
  const { app } = testApp({ details: { chatTemplate }, script });
  const asked = { ...hello, tools, logprobs: true };
  const { choices: [choice] } = await (await post(app, CHAT, asked)).json();
  assertEquals(tokensOf(choice).join(""), choice.message.content);
  const events = await readEvents(await post(app, CHAT, { ...asked, stream: true }));
  const parts = events.slice(0, -1).flatMap(({ choices }) => choices);
  for (const part of parts) assertEquals(part.delta.content ?? "", tokensOf(part).join(""));
});

interface Chances {
  readonly logprobs?: { readonly content: readonly { readonly token: string }[] } | null;
}

function tokensOf({ logprobs }: Chances): string[] {
  return logprobs?.content.map(({ token }) => token) ?? [];
}
