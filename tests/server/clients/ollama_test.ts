/** Ollama's own client against the server. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Ollama, type Tool } from "ollama/browser";
import type { GenerateRequest } from "../../../src/llm/types.ts";
import type { ScriptedModelOptions } from "../../support/scripted_model.ts";
import { withServer } from "../http_client.ts";

const messages = [{ role: "user", content: "Hi" }];
const model = "scripted";
const details = { chatTemplate: "{% if tools %}<tool_call>{% endif %}" };
const weather: Tool = {
  type: "function",
  function: {
    name: "weather",
    description: "says it",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

async function withClient(
  script: ScriptedModelOptions,
  use: (client: Ollama, server: Parameters<Parameters<typeof withServer>[1]>[0]) => Promise<void>,
): Promise<void> {
  await withServer(script, async (context) => {
    await use(new Ollama({ host: context.server.url }), context);
  }, { strictRequests: true }); // what this client sends is known
}

Deno.test("Ollama's client chats, whole and streamed", async () => {
  await withClient({ script: ["Hé", "llo 🙂"] }, async (client) => {
    const whole = await client.chat({ model, messages });
    assertEquals([whole.message.content, whole.done, whole.done_reason], [
      "Héllo 🙂",
      true,
      "stop",
    ]);
    assertEquals([whole.prompt_eval_count, whole.eval_count], [2, 8]);
    assertEquals([whole.prompt_eval_duration, whole.eval_duration], [4e6, 10e6]);
    let text = "";
    let last;
    for await (const part of await client.chat({ model, messages, stream: true })) {
      text += part.message.content;
      last = part;
    }
    assertEquals([text, last?.done, last?.eval_count], ["Héllo 🙂", true, 8]);
    assert(last!.total_duration >= 0);
  });
});

Deno.test("Ollama's client generates, with options in this server's terms", async () => {
  await withClient({}, async (client, { model: scripted }) => {
    const options = { num_predict: 5, top_k: 3, stop: ["x"], num_ctx: 100, seed: 1 };
    const whole = await client.generate({ model, prompt: "Hi", system: "s", options });
    assertEquals([whole.response, whole.done_reason], ["Hello", "length"]);
    assertEquals(scripted.chats[0].map(({ role }) => role), ["system", "user"]);
    const { maxTokens, sampling, stop } = scripted.requests[0];
    assertEquals([maxTokens, sampling, stop], [5, { topK: 3, seed: 1 }, ["x"]]);
    let text = "";
    for await (const part of await client.generate({ model, prompt: "Hi", stream: true })) {
      text += part.response;
    }
    assertEquals(text, "Hello, world");
  });
});

Deno.test("Ollama's client gets calls of functions, whole and streamed", async () => {
  const script = (request: GenerateRequest) =>
    String.fromCharCode(...request.ids).includes("rain")
      ? ["Take an umbrella."]
      : [`<tool_call>{"name":"weather","arguments":{"city":`, `"Ulm"}}</tool_call>`];
  await withClient({ details, script }, async (client) => {
    const whole = await client.chat({ model, messages, tools: [weather] });
    const [call] = whole.message.tool_calls ?? [];
    assertEquals(call.function, { name: "weather", arguments: { city: "Ulm" } });
    const result = { role: "tool", tool_name: "weather", content: "rain" };
    const then = await client.chat({ model, messages: [...messages, whole.message, result] });
    assertEquals(then.message.content, "Take an umbrella.");
    const calls = [];
    for await (
      const part of await client.chat({ model, messages, tools: [weather], stream: true })
    ) calls.push(...part.message.tool_calls ?? []);
    assertEquals(calls.map((each) => each.function), [call.function]);
  });
});

Deno.test("Ollama's client binds answers to a schema, and to JSON", async () => {
  await withClient({ script: [`{"a":1}`] }, async (client, { model: scripted }) => {
    const format = { type: "object", properties: { a: { type: "integer" } } };
    const whole = await client.chat({ model, messages, format });
    assertEquals(JSON.parse(whole.message.content), { a: 1 });
    await client.generate({ model, prompt: "Hi", format: "json" });
    assertEquals(scripted.requests.map(({ grammar }) => grammar), [
      { kind: "jsonSchema", schema: format },
      { kind: "json" },
    ]);
  });
});

Deno.test("Ollama's client embeds texts", async () => {
  await withClient({ embed: () => new Float32Array([3, 4]) }, async (client) => {
    const { embeddings, prompt_eval_count } = await client.embed({ model, input: ["a", "bc"] });
    assertEquals(embeddings.map((all) => all.map((x) => x.toFixed(2))), [
      ["0.60", "0.80"],
      ["0.60", "0.80"],
    ]);
    assertEquals(prompt_eval_count, 3);
    const { embedding } = await client.embeddings({ model, prompt: "a" });
    assertEquals(embedding.length, 2);
  });
});

Deno.test("Ollama's client lists and shows models, those that run, and the version", async () => {
  await withClient({ details }, async (client) => {
    const { models: [listed] } = await client.list();
    assertEquals([listed.name, listed.size, listed.details.family], [model, 4000, "scripted"]);
    assertEquals(listed.digest.length, 64);
    const { models: [running] } = await client.ps();
    assert(new Date(running.expires_at).getTime() > Date.now());
    const shown = await client.show({ model: `${model}:latest` });
    assertEquals(shown.capabilities, ["completion", "tools", "embedding"]);
    assertEquals(shown.template, details.chatTemplate);
    assertEquals((await client.version()).version.split(".").length, 3);
  });
});

Deno.test("Ollama's client hears errors as texts, before a stream and within", async () => {
  await withClient({ script: ["half", new Error("boom")] }, async (client) => {
    await assertRejects(() => client.chat({ model: "other", messages }), Error, "does not exist");
    await assertRejects(
      () => client.chat({ model, messages, options: { temperature: -1 } }),
      Error,
      "options.temperature",
    );
    await assertRejects(
      async () => {
        for await (const _part of await client.chat({ model, messages, stream: true }));
      },
      Error,
      "failed to answer",
    );
    await assertRejects(() => client.pull({ model: "llama3" }), Error, "downloads no models");
    await assertRejects(
      async () => {
        for await (const _part of await client.pull({ model: "llama3", stream: true }));
      },
      Error,
      "downloads no models",
    );
    await assertRejects(() => client.delete({ model }), Error, "delete");
    await assertRejects(() => client.create({ model: "x", from: model }), Error, "not supported");
  });
});

Deno.test("aborting Ollama's client aborts its generation", async () => {
  const never = new Promise<void>(() => {});
  await withClient({ script: ["one", never] }, async (client, { model: scripted }) => {
    const stream = await client.chat({ model, messages, stream: true });
    await assertRejects(async () => {
      for await (const part of stream) if (part.message.content === "one") client.abort();
    });
    await scripted.until((counters) => counters.aborted === 1);
  });
});
