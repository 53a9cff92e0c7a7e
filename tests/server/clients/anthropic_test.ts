/** Anthropic's own client against the server: what it accepts, Claude Code and others will. */
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import Anthropic, {
  APIError,
  AuthenticationError,
  BadRequestError,
  NotFoundError,
} from "@anthropic-ai/sdk";
import type { GenerateRequest } from "../../../src/llm/types.ts";
import { ApiKeys, type AppOptions } from "../../../src/server/mod.ts";
import type { ScriptedModelOptions } from "../../support/scripted_model.ts";
import { withServer } from "../http_client.ts";

const messages = [{ role: "user" as const, content: "Hi" }];
const model = "scripted";
const ask = { model, messages, max_tokens: 100 };
const details = { chatTemplate: "{% if tools %}<tool_call>{% endif %}<think></think>" };
const weather = {
  name: "weather",
  description: "says it",
  input_schema: { type: "object" as const, properties: { city: { type: "string" } } },
};

async function withClient(
  script: ScriptedModelOptions,
  use: (
    client: Anthropic,
    server: Parameters<Parameters<typeof withServer>[1]>[0],
  ) => Promise<void>,
  options: Partial<AppOptions> = {},
): Promise<void> {
  await withServer(script, async (context) => {
    const baseURL = context.server.url;
    await use(new Anthropic({ apiKey: "none", baseURL, maxRetries: 0 }), context);
  }, { strictRequests: true, ...options }); // what this client sends is known
}

Deno.test("Anthropic's client reads whole messages, counts tokens, lists models", async () => {
  await withClient({ script: ["Hé", "llo 🙂"] }, async (client) => {
    const message = await client.messages.create({ ...ask, system: "Be brief" });
    const [block] = message.content;
    assertEquals(block.type === "text" && block.text, "Héllo 🙂");
    assertEquals([message.stop_reason, message.usage.output_tokens], ["end_turn", 8]);
    assert(message._request_id?.startsWith("req_"));
    const counted = await client.messages.countTokens({ model, messages, system: "Be brief" });
    const { input_tokens, cache_read_input_tokens } = message.usage;
    assertEquals(counted.input_tokens, input_tokens + cache_read_input_tokens!);
    const models = [];
    for await (const each of client.models.list()) models.push(each.id);
    assertEquals(models, [model]);
    const { type, capabilities } = await client.models.retrieve(model);
    assertEquals([type, capabilities?.image_input.supported], ["model", false]);
  });
});

Deno.test("Anthropic's client puts thoughts, text and calls together from a stream", async () => {
  const CALL = `<tool_call>{"name":"weather","arguments":{"city":"Köln"}}</tool_call>`;
  await withClient(
    { details, script: [..."<think>Hm.</think>\n\nI look." + CALL] },
    async (client) => {
      const asked = { ...ask, max_tokens: 2000, tools: [weather] };
      const stream = client.messages.stream({
        ...asked,
        thinking: { type: "enabled", budget_tokens: 1024 },
      });
      const heard: Record<string, string> = { text: "", thinking: "", signature: "" };
      stream.on("text", (text) => heard.text += text);
      stream.on("thinking", (text) => heard.thinking += text);
      stream.on("signature", (text) => heard.signature += text);
      const { content, stop_reason, usage } = await stream.finalMessage();
      assertEquals([heard.text, heard.thinking], ["I look.", "Hm."]);
      assert(heard.signature !== "");
      assertEquals(content.map(({ type }) => type), ["thinking", "text", "tool_use"]);
      const call = content[2];
      assertEquals(call.type === "tool_use" && call.input, { city: "Köln" });
      assertEquals([stop_reason, usage.cache_read_input_tokens], ["tool_use", 1]);
      const whole = await client.messages.create(asked);
      assertEquals(whole.content.slice(0, 2), content.slice(0, 2));
    },
  );
});

Deno.test("Anthropic's client goes on with what tools answered, thoughts included", async () => {
  const script = ({ ids }: GenerateRequest) =>
    String.fromCharCode(...ids).includes("rain")
      ? ["Take an umbrella."]
      : [`<think>Hm.</think><tool_call>{"name":"weather","arguments":{"city":"Ulm"}}</tool_call>`];
  await withClient({ details, script }, async (client, { model: scripted }) => {
    const tools = [weather];
    const first = await client.messages.create({ ...ask, tools });
    const call = first.content.find((block) => block.type === "tool_use")!;
    const result = { type: "tool_result" as const, tool_use_id: call.id, content: "rain" };
    const last = await client.messages.create({
      ...{ ...ask, tools },
      messages: [
        ...messages,
        { role: "assistant", content: first.content },
        { role: "user", content: [result] },
      ],
    });
    const [block] = last.content;
    assertEquals(block.type === "text" && block.text, "Take an umbrella.");
    const [, called, answered] = scripted.chats[1];
    assertEquals([called.reasoning_content, answered.tool_call_id], ["Hm.", call.id]);
  });
});

Deno.test("Anthropic's client runs tools until there is an answer", async () => {
  const script = ({ ids }: GenerateRequest) =>
    String.fromCharCode(...ids).includes("rain")
      ? ["Take an umbrella."]
      : [`<tool_call>{"name":"weather","arguments":{"city":"Ulm"}}</tool_call>`];
  await withClient({ details, script }, async (client) => {
    const asked: unknown[] = [];
    const run = (input: unknown) => (asked.push(input), "rain");
    const parse = (input: unknown) => input;
    // It would have the server keep the conversation, and goes on where that does not.
    const runner = client.beta.messages.toolRunner({
      ...ask,
      stream: true,
      tools: [{ ...weather, run, parse }],
    });
    for await (const stream of runner) await stream.finalMessage();
    const { content: [block] } = await runner.done();
    assertEquals(block.type === "text" && block.text, "Take an umbrella.");
    assertEquals(asked, [{ city: "Ulm" }]);
  });
});

Deno.test("Anthropic's client raises the right class for each refusal", async () => {
  await withClient({}, async (client, { server }) => {
    const bad = await assertRejects(
      () => client.messages.create({ ...ask, stop_sequences: [""] }),
      BadRequestError,
      "stop_sequences[0]",
    );
    assertEquals([bad.status, bad.type], [400, "invalid_request_error"]);
    assertEquals(bad.requestID?.startsWith("req_"), true);
    const unknown = await assertRejects(
      () => client.messages.create({ ...ask, model: "other" }),
      NotFoundError,
    );
    assertEquals([unknown.type, unknown.errorCode], ["not_found_error", "model_not_found"]);
    const wrong = new Anthropic({ apiKey: "wrong", baseURL: server.url, maxRetries: 0 });
    const refused = await assertRejects(() => wrong.messages.create(ask), AuthenticationError);
    assertEquals(refused.type, "authentication_error");
  }, { apiKeys: new ApiKeys(["none"]) });
});

Deno.test("Anthropic's client hears of an overload where the queue is full", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  await withClient({ waitingMax: 0, script: [promise] }, async (client, { model: scripted }) => {
    const first = client.messages.create(ask);
    await scripted.until((counters) => counters.started === 1);
    const full = await assertRejects(() => client.messages.create(ask), APIError);
    assertEquals([full.status, full.type], [503, "overloaded_error"]);
    assertEquals(full.headers?.get("retry-after"), "2");
    resolve();
    await first;
  });
});

Deno.test("Anthropic's client raises an error when a stream fails half-way", async () => {
  await withClient({ script: ["half", new Error("boom")] }, async (client) => {
    let text = "";
    const error = await assertRejects(async () => {
      for await (const event of await client.messages.create({ ...ask, stream: true })) {
        if (event.type !== "content_block_delta") continue;
        if (event.delta.type === "text_delta") text += event.delta.text;
      }
    });
    assertInstanceOf(error, APIError);
    assertEquals([text, error.type], ["half", "api_error"]);
  });
});

Deno.test("leaving a stream of Anthropic's client aborts its generation", async () => {
  const never = new Promise<void>(() => {});
  await withClient({ script: ["one", never] }, async (client, { model: scripted }) => {
    for await (const event of await client.messages.create({ ...ask, stream: true })) {
      if (event.type === "content_block_delta") break;
    }
    await scripted.until((counters) => counters.aborted === 1);
    assert(scripted.requests[0].signal?.aborted);
  });
});

Deno.test("Anthropic's client parses answers that follow a schema", async () => {
  await withClient({ script: [`{"answer": 42}`] }, async (client, { model: scripted }) => {
    const schema = { type: "object", properties: { answer: { type: "number" } } };
    const format = {
      ...{ type: "json_schema" as const, schema },
      parse: (text: string) => JSON.parse(text),
    };
    const message = await client.messages.parse({ ...ask, output_config: { format } });
    assertEquals(message.parsed_output, { answer: 42 });
    assertEquals(scripted.requests[0].grammar?.kind, "jsonSchema");
  });
});
