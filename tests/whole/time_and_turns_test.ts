/** Who is served first, and until when: through HTTP, before a real engine. */
import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import type { LoadedModel } from "../../src/llm/mod.ts";
import { loadedModels, serve } from "../../src/server/mod.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import "../support/thread_pool.ts";

interface Served {
  readonly model: LoadedModel;
  readonly post: (path: string, body: object, signal?: AbortSignal) => Promise<Response>;
}

/** One place, and answers that take long. */
async function withOnePlace(use: (served: Served) => Promise<void>): Promise<void> {
  await withTinyFile(
    { type: "Q4_0", contextLength: 8192 },
    (path) =>
      withModel(path, { threads: 1, parallel: 1 }, async (model) => {
        const server = serve({ port: 0, models: loadedModels([model]) });
        const post = (path: string, body: object, signal?: AbortSignal) =>
          fetch(server.url + path, { method: "POST", body: JSON.stringify(body), signal });
        try {
          await use({ model, post });
        } finally {
          await server.shutdown();
        }
      }),
  );
}

const TEXT = "/v1/completions";
const endless = { prompt: "a", ignore_eos: true, max_tokens: 8_000 };

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1));
}

Deno.test("priority as vLLM's: who has the smaller one overtakes those that wait", () =>
  withOnePlace(async ({ model, post }) => {
    const client = new AbortController();
    const running = post(TEXT, { ...endless, stream: true }, client.signal);
    await (await running).body!.getReader().read();
    const order: string[] = [];
    const ask = async (name: string, fields: object) => {
      const waiting = model.load.waiting;
      const answer = post(TEXT, { prompt: name, max_tokens: 2, ignore_eos: true, ...fields })
        .then((response) => response.json())
        .then(() => order.push(name));
      await until(() => model.load.waiting > waiting);
      return { answer };
    };
    const all = [
      await ask("late", { priority: 7 }),
      await ask("usual", {}),
      await ask("soon", { priority: -3 }),
      await ask("usual too", { priority: 0 }),
    ];
    client.abort();
    await Promise.all(all.map(({ answer }) => answer));
    assertEquals(order, ["soon", "usual", "usual too", "late"]);
    const bad = await post(TEXT, { prompt: "a", priority: 0.5 });
    assertEquals([bad.status, (await bad.json()).error.param], [400, "priority"]);
  }));

Deno.test("max_time_ms ends an answer with what it has, and says so (fault 52)", () =>
  withOnePlace(async ({ model, post }) => {
    const startMs = performance.now();
    const body = { ...endless, max_time_ms: 150 };
    const { choices: [choice], usage } = await (await post(TEXT, body)).json();
    assertEquals([choice.finish_reason, choice.stop_reason], ["length", "max_time"]);
    assertGreater(usage.completion_tokens, 0);
    assertLess(usage.completion_tokens, endless.max_tokens - 1);
    assertLess(performance.now() - startMs, 3_000);
    const streamed = await (await post(TEXT, { ...body, stream: true })).text();
    const last = streamed.split("\n\n").at(-3) ?? "";
    assert(last.includes(`"stop_reason":"max_time"`) && last.includes(`"length"`), last);
    assert(streamed.endsWith("data: [DONE]\n\n"));
    assertEquals([model.load, model.kv.usedTokens], [{ running: 0, waiting: 0 }, 0]);
    const { choices: [whole] } = await (await post(TEXT, {
      prompt: "a",
      max_tokens: 2,
      ignore_eos: true,
      max_time_ms: 60_000,
    }))
      .json();
    assertEquals([whole.finish_reason, "stop_reason" in whole], ["length", false]);
  }));

Deno.test("max_time_ms counts while a request waits, and several answers share it", () =>
  withOnePlace(async ({ model, post }) => {
    const client = new AbortController();
    const running = await post(TEXT, { ...endless, stream: true }, client.signal);
    const reader = running.body!.getReader();
    await reader.read();
    const late = await (await post(TEXT, { ...endless, max_time_ms: 50 })).json();
    const [{ text, finish_reason, stop_reason }] = late.choices;
    assertEquals([text, finish_reason, stop_reason], ["", "length", "max_time"]);
    assertEquals(late.usage.completion_tokens, 0);
    // While it waits it cannot come to an end of its own first.
    const response = await post("/v1/responses", { input: "a", max_time_ms: 50 });
    const { status, incomplete_details } = await response.json();
    assertEquals([status, incomplete_details], ["incomplete", { reason: "max_time" }]);
    client.abort();
    await until(() => model.load.running === 0);
    const startMs = performance.now();
    const body = { ...endless, n: 12, max_time_ms: 200 };
    const { choices } = await (await post(TEXT, body)).json();
    assertEquals(choices.length, 12);
    assertLess(performance.now() - startMs, 2_000);
  }));
