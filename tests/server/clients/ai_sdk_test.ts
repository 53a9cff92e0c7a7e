/** The AI SDK with its provider for OpenAI's API against the server. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import "../../support/client_packages.ts";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embedMany, generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import type { GenerateRequest } from "../../../src/llm/types.ts";
import type { ScriptedModelOptions } from "../../support/scripted_model.ts";
import { withServer } from "../http_client.ts";

type Context = Parameters<Parameters<typeof withServer>[1]>[0];
const details = { chatTemplate: "{% if tools %}<tool_call>{% endif %}" };

async function withProvider(
  script: ScriptedModelOptions,
  use: (provider: ReturnType<typeof provide>, context: Context) => Promise<void>,
): Promise<void> {
  // Strict: what this client sends is known.
  const options = { strictRequests: true };
  await withServer(script, (context) => use(provide(context.server.url), context), options);
}

function provide(url: string) {
  return createOpenAICompatible({
    name: "ganglion",
    baseURL: `${url}/v1`,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
}

Deno.test("the AI SDK generates and streams text, with usage", async () => {
  await withProvider({}, async (provider) => {
    const model = provider("scripted");
    const whole = await generateText({ model, prompt: "Hi", maxRetries: 0 });
    assertEquals([whole.text, whole.finishReason], ["Hello, world", "stop"]);
    assertEquals(whole.usage.totalTokens, 14);
    const stream = streamText({ model, prompt: "Hi" });
    let text = "";
    for await (const piece of stream.textStream) text += piece;
    assertEquals([text, (await stream.usage).outputTokens], ["Hello, world", 12]);
  });
});

Deno.test("the AI SDK runs tools until there is an answer, whole and streamed", async () => {
  const script = (request: GenerateRequest) =>
    String.fromCharCode(...request.ids).includes("rain")
      ? ["Take an umbrella."]
      : [`<tool_call>{"name":"weather","arguments":{"city":`, `"Ulm"}}</tool_call>`];
  const cities: string[] = [];
  const tools = {
    weather: tool({
      description: "says it",
      inputSchema: z.object({ city: z.string() }),
      execute: ({ city }) => {
        cities.push(city);
        return "rain";
      },
    }),
  };
  await withProvider({ details, script }, async (provider) => {
    const model = provider("scripted");
    const settings = { model, prompt: "Hi", tools, stopWhen: stepCountIs(3) };
    assertEquals((await generateText(settings)).text, "Take an umbrella.");
    assertEquals(await streamText(settings).text, "Take an umbrella.");
    assertEquals(cities, ["Ulm", "Ulm"]);
  });
});

Deno.test("the AI SDK gets objects that follow a schema, with tools beside them, too", async () => {
  const output = Output.object({ schema: z.object({ answer: z.number() }) });
  const script = [`{"answer": 42}`];
  await withProvider({ details, script }, async (provider, { model: scripted }) => {
    const model = provider("scripted");
    assertEquals((await generateText({ model, prompt: "Hi", output })).output, { answer: 42 });
    assertEquals(scripted.requests[0].grammar?.kind, "jsonSchema");
    const tools = { f: tool({ inputSchema: z.object({}) }) };
    const both = await generateText({ model, prompt: "Hi", output, tools });
    assertEquals(both.output, { answer: 42 });
    const grammar = scripted.requests[1].grammar;
    assert(grammar?.kind === "jsonSchema");
    assertEquals(Object.keys(grammar.schema as object), ["anyOf"]);
  });
});

Deno.test("the AI SDK embeds values", async () => {
  await withProvider({ embed: () => new Float32Array([3, 4]) }, async (provider) => {
    const { embeddings } = await embedMany({
      model: provider.embeddingModel("scripted"),
      values: ["a", "b"],
    });
    assertEquals(embeddings.map((all) => all.length), [2, 2]);
  });
});

Deno.test("the AI SDK raises errors, and its abort ends the generation", async () => {
  const never = new Promise<void>(() => {});
  await withProvider({ script: ["one", never] }, async (provider, { model: scripted }) => {
    const error = await assertRejects(
      () => generateText({ model: provider("other"), prompt: "Hi", maxRetries: 0 }),
      APICallError,
    );
    assertEquals(error.statusCode, 404);
    const abort = new AbortController();
    const stream = streamText({
      model: provider("scripted"),
      prompt: "Hi",
      abortSignal: abort.signal,
      onError: () => {},
    });
    for await (const piece of stream.textStream) if (piece === "one") abort.abort();
    await scripted.until((counters) => counters.aborted === 1);
  });
});
