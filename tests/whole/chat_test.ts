/** The whole product in one process: a model file, its threads, HTTP and a foreign client. */
import { assert, assertEquals, assertLess } from "@std/assert";
import OpenAI from "openai";
import { pause } from "../../src/base/pause.ts";
import { type LoadedModel, loadModel, type LoadOptions } from "../../src/llm/mod.ts";
import { loadedModels, serve } from "../../src/server/mod.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { sharedPath, sharedTest } from "../support/shared.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";
import "../support/thread_pool.ts";

interface Served {
  readonly url: string;
  readonly client: OpenAI;
  readonly model: LoadedModel;
}

async function withServer(
  path: string,
  options: LoadOptions,
  use: (served: Served) => Promise<void>,
): Promise<void> {
  const model = await loadModel(path, options);
  const served = loadedModels([model]);
  // One that is asked for under any name, as the client does here.
  const models = { ...served, acquire: () => served.acquire(undefined) };
  const server = serve({ port: 0, models });
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
  try {
    await use({ url: server.url, client, model });
  } finally {
    await server.shutdown();
    await model.close();
  }
}

function withTinyServer(
  options: TinyModelOptions & LoadOptions,
  use: (served: Served) => Promise<void>,
): Promise<void> {
  return withTinyFile(options, (path) => withServer(path, { threads: 2, ...options }, use));
}

const USER = [{ role: "user" as const, content: "Tell me something." }];

Deno.test("a chat over HTTP gives the engine's greedy text, streamed and whole", async () => {
  await withTinyServer({ type: "Q8_0" }, async ({ client, model }) => {
    const body = { model: model.id, messages: USER, temperature: 0, max_tokens: 40 };
    const ids = model.encodeChat(USER);
    const direct = await model.generate({ ids, maxTokens: 40, sampling: { temperature: 0 } })
      .result;
    const whole = await client.chat.completions.create(body);
    assertEquals(whole.choices[0].message.content, direct.text);
    assertEquals(whole.usage?.prompt_tokens, ids.length);
    assertEquals(whole.usage?.completion_tokens, direct.ids.length);
    let streamed = "";
    const stream = await client.chat.completions.create({ ...body, stream: true });
    for await (const chunk of stream) streamed += chunk.choices[0]?.delta.content ?? "";
    assertEquals(streamed, direct.text);
  });
});

Deno.test("eight clients at once get eight whole answers, one after another", async () => {
  await withTinyServer({}, async ({ client, model }) => {
    const ask = (seed: number) =>
      client.chat.completions.create({ model: model.id, messages: USER, max_tokens: 20, seed });
    const alone = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(ask));
    for (const [index, answer] of alone.entries()) {
      const again = await ask(index + 1);
      assertEquals(again.choices[0].message.content, answer.choices[0].message.content);
    }
    assertEquals(model.load, { running: 0, waiting: 0 });
  });
});

Deno.test("a full queue answers 503 with Retry-After, and the waiting ones are served", async () => {
  await withTinyServer({ maxWaiting: 1, contextLength: 4096 }, async ({ url, model }) => {
    const post = () =>
      fetch(`${url}/v1/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ prompt: [5, 6, 7], max_tokens: 1000, temperature: 0 }),
      });
    const answers = await Promise.all([post(), post(), post(), post()]);
    const statuses = answers.map((answer) => answer.status).sort();
    assertEquals(statuses, [200, 200, 503, 503]);
    for (const answer of answers) {
      const body = await answer.json();
      if (answer.status !== 503) continue;
      assert(Number(answer.headers.get("retry-after")) >= 1);
      assertEquals(body.error.code, "queue_full");
    }
    assertEquals(model.load, { running: 0, waiting: 0 });
  });
});

for (const phase of ["prompt", "answer"] as const) {
  Deno.test(`a client that leaves in the ${phase} frees the engine within 100 ms`, async () => {
    await withTinyServer({ contextLength: 8192 }, async ({ url, model }) => {
      const prompt = phase === "prompt" ? Array.from({ length: 8000 }, (_, i) => 3 + i % 500) : [5];
      const leave = async () => {
        const client = new AbortController();
        const answer = fetch(`${url}/v1/completions`, {
          method: "POST",
          signal: client.signal,
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ prompt, max_tokens: 8000, stream: true, temperature: 0 }),
        });
        const body = answer.then((response) => response.text()).catch(() => "left");
        while (model.load.running === 0) await pause(1);
        await pause(20);
        assertEquals(model.load.running, 1, "it is still at work");
        client.abort();
        const startMs = performance.now();
        while (model.load.running > 0) await pause(1);
        const ms = performance.now() - startMs;
        assertEquals(await body, "left");
        return ms;
      };
      // What else the machine does can only add to the least of some.
      assertLess(Math.min(await leave(), await leave(), await leave()), 100);
    });
  });
}

sharedTest(
  "models/babyllama105-q8_0.gguf",
  "babyllama105 in Q8_0 tells a story to OpenAI's client",
  async () => {
    const path = sharedPath("models/babyllama105-q8_0.gguf");
    await withServer(path, { threads: 2 }, async ({ client, model }) => {
      const stream = await client.chat.completions.create({
        model: model.id,
        messages: [{ role: "user", content: "Once upon a time" }],
        temperature: 0,
        max_tokens: 100,
        stream: true,
      });
      let story = "";
      for await (const chunk of stream) story += chunk.choices[0]?.delta.content ?? "";
      assert(story.startsWith(", there was a little girl named"), story);
    });
  },
);
