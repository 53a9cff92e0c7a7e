/** LangChain.js against the server. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import "../../support/client_packages.ts";
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { z } from "zod";
import type { GenerateRequest } from "../../../src/llm/types.ts";
import type { ScriptedModelOptions } from "../../support/scripted_model.ts";
import { withServer } from "../http_client.ts";

type Context = Parameters<Parameters<typeof withServer>[1]>[0];
const details = { chatTemplate: "{% if tools %}<tool_call>{% endif %}" };

async function withChat(
  script: ScriptedModelOptions,
  use: (chat: ChatOpenAI, context: Context) => Promise<void>,
): Promise<void> {
  await withServer(script, async (context) => {
    await use(new ChatOpenAI({ ...settings(context), maxRetries: 0 }), context);
  }, { strictRequests: true }); // what this client sends is known
}

function settings({ server }: Context) {
  return {
    model: "scripted",
    apiKey: "none",
    configuration: { baseURL: `${server.url}/v1` },
  };
}

Deno.test("LangChain invokes and streams a chat, with usage", async () => {
  await withChat({}, async (chat) => {
    const whole = await chat.invoke("Hi");
    assertEquals([whole.content, whole.usage_metadata?.total_tokens], ["Hello, world", 14]);
    let text = "";
    for await (const piece of await chat.stream("Hi")) text += piece.content;
    assertEquals(text, "Hello, world");
  });
});

Deno.test("LangChain gets calls of functions, whole and streamed, and answers them", async () => {
  const script = (request: GenerateRequest) =>
    String.fromCharCode(...request.ids).includes("rain")
      ? ["Take an umbrella."]
      : [`<tool_call>{"name":"weather","arguments":{"city":`, `"Ulm"}}</tool_call>`];
  const weather = tool(() => "rain", {
    name: "weather",
    description: "says it",
    schema: z.object({ city: z.string() }),
  });
  await withChat({ details, script }, async (chat) => {
    const bound = chat.bindTools([weather]);
    const asked = new HumanMessage("Hi");
    const answer = await bound.invoke([asked]);
    const [call] = answer.tool_calls ?? [];
    assertEquals([call.name, call.args], ["weather", { city: "Ulm" }]);
    const result = new ToolMessage({ content: "rain", tool_call_id: call.id! });
    const then = await bound.invoke([asked, answer, result]);
    assertEquals(then.content, "Take an umbrella.");
    let streamed;
    for await (const piece of await bound.stream([asked])) {
      streamed = streamed === undefined ? piece : streamed.concat(piece);
    }
    assertEquals(streamed?.tool_calls?.[0].args, { city: "Ulm" });
  });
});

Deno.test("LangChain gets structured output, by schema and by function", async () => {
  const schema = z.object({ answer: z.number() });
  await withChat({ details, script: [`{"answer": 42}`] }, async (chat, { model }) => {
    const structured = chat.withStructuredOutput(schema, { method: "jsonSchema" });
    assertEquals(await structured.invoke("Hi"), { answer: 42 });
    assert(model.requests[0].grammar?.kind === "jsonSchema");
  });
  const script = [`{"name":"extract","arguments":{"answer":42}}`];
  await withChat({ details, script }, async (chat) => {
    const structured = chat.withStructuredOutput(schema, { method: "functionCalling" });
    assertEquals(await structured.invoke("Hi"), { answer: 42 });
  });
});

Deno.test("LangChain embeds documents", async () => {
  await withServer({ embed: () => new Float32Array([3, 4]) }, async (context) => {
    const embeddings = new OpenAIEmbeddings(settings(context));
    const vectors = await embeddings.embedDocuments(["a", "b"]);
    assertEquals(vectors.map((all) => all.length), [2, 2]);
  });
});

Deno.test("LangChain raises errors, and its abort ends the generation", async () => {
  const never = new Promise<void>(() => {});
  await withChat({ script: ["one", never] }, async (chat, context) => {
    const other = new ChatOpenAI({ ...settings(context), model: "other", maxRetries: 0 });
    await assertRejects(() => other.invoke("Hi"), Error, "does not exist");
    const abort = new AbortController();
    await assertRejects(async () => {
      for await (const piece of await chat.stream("Hi", { signal: abort.signal })) {
        if (piece.content === "one") abort.abort();
      }
    });
    await context.model.until((counters) => counters.aborted === 1);
  });
});
