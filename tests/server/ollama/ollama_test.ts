import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { FileCatalog, ModelRegistry } from "../../../src/models/mod.ts";
import { createApp, loadedModels, type ModelSource } from "../../../src/server/mod.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { post, testApp } from "../http_client.ts";

const hello = { model: "scripted", messages: [{ role: "user", content: "Hi" }] };

// deno-lint-ignore no-explicit-any
async function lines(response: Response): Promise<any[]> {
  assertEquals(response.headers.get("content-type"), "application/x-ndjson");
  return (await response.text()).split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

Deno.test("POST /api/chat streams unless it is told not to, and counts nanoseconds", async () => {
  const { app } = testApp();
  const parts = await lines(await post(app, "/api/chat", hello));
  assertEquals(parts.map(({ message, done }) => [message.content, done]), [
    ["Hello", false],
    [", ", false],
    ["world", false],
    ["", true],
  ]);
  const { total_duration, load_duration, created_at, ...last } = parts[3];
  assert(total_duration >= load_duration && load_duration >= 0);
  assertMatch(created_at, /^\d{4}-\d\d-\d\dT.*Z$/);
  assertEquals(last, {
    model: "scripted",
    message: { role: "assistant", content: "" },
    done: true,
    done_reason: "stop",
    prompt_eval_count: 2,
    prompt_eval_duration: 4_000_000,
    eval_count: 12,
    eval_duration: 10_000_000,
  });
});

Deno.test("POST /api/chat streams each call whole, in its order with text", async () => {
  const details = { chatTemplate: "{{ tools }}<tool_call>" };
  const script = [
    ...'Well.<tool_call>{"name":"f","arguments":{"a":1}}</tool_call>',
    ...'<tool_call>{"name":"f","arguments":{"a":2}}',
  ];
  const { app } = testApp({ details, script });
  const tools = [{ type: "function", function: { name: "f", description: "d" } }];
  const parts = await lines(await post(app, "/api/chat", { ...hello, tools }));
  assertEquals(parts.map(({ message }) => message.content).join(""), "Well.");
  const calls = parts.flatMap(({ message }) => message.tool_calls ?? []);
  assertEquals(calls.map((call) => call.function), [
    { name: "f", arguments: { a: 1 } },
    { name: "f", arguments: { a: 2 } },
  ]);
});

Deno.test("POST /api/generate takes raw prompts, gaps and system messages", async () => {
  const gapMarks = { prefix: 1, suffix: 2, middle: 3, repository: null, file: null };
  const { app, model } = testApp({ details: { gapMarks } });
  const ask = (fields: object) => post(app, "/api/generate", { stream: false, ...fields });
  const { response, done } = await (await ask({ prompt: "a", raw: true })).json();
  assertEquals([response, done], ["Hello, world", true]);
  assertEquals([model.requests[0].ids, model.chats], [[97], []]);
  await ask({ prompt: "a", suffix: "b" });
  assertEquals(model.requests[1].ids, [1, 97, 2, 98, 3]);
  await ask({ prompt: "a", system: "s", think: false });
  assertEquals(model.chats[0], [
    { role: "system", content: "s" },
    { role: "user", content: "a" },
  ]);
  assertEquals(model.chatOptions[0]?.variables, { enable_thinking: false, thinking: false });
});

Deno.test("a request without a question loads its model, or lets it go", async () => {
  const keptAlive: unknown[] = [];
  const inner = loadedModels([new ScriptedModel()]);
  const models: ModelSource = {
    ...inner,
    acquire: (id, options) => {
      keptAlive.push(options?.keepAliveMs);
      return inner.acquire(id, options);
    },
  };
  const app = createApp({ models });
  const times: [unknown, unknown, string][] = [
    ["5m", 300_000, "load"],
    ["1h30m", 5_400_000, "load"],
    [10, 10_000, "load"],
    ["30", 30_000, "load"],
    [-1, Infinity, "load"],
    ["-1s", Infinity, "load"],
    [0, 0, "unload"],
    [null, undefined, "load"],
  ];
  for (const [keep_alive, _ms, reason] of times) {
    const answer = await (await post(app, "/api/generate", { keep_alive })).json();
    assertEquals([answer.done, answer.done_reason, answer.response], [true, reason, ""]);
  }
  assertEquals(keptAlive, times.map(([, ms]) => ms));
  assertEquals((await post(app, "/api/chat", { messages: [], keep_alive: "never" })).status, 400);
});

Deno.test("num_ctx makes the context shorter, not longer", async () => {
  const { app, model } = testApp({ contextLength: 100 });
  const ask = (options: object) => post(app, "/api/chat", { ...hello, stream: false, options });
  await ask({ num_ctx: 10 });
  assertEquals(model.requests[0].maxTokens, 8);
  await ask({ num_ctx: 10, num_predict: 3 });
  assertEquals(model.requests[1].maxTokens, 3);
  await ask({ num_predict: -1 });
  assertEquals(model.requests[2].maxTokens, undefined);
  const short = await ask({ num_ctx: 2 });
  assertEquals((await short.json()).code, "context_length_exceeded");
  // LlamaIndex asks for 4096 of every model.
  assertEquals((await ask({ num_ctx: 4096, num_predict: 5 })).status, 200);
  assertEquals(model.requests.at(-1)?.maxTokens, 5);
});

Deno.test("/api/embed with nothing to embed loads the model, as clients warm one up", async () => {
  const { app } = testApp();
  for (const input of ["", []]) {
    const response = await post(app, "/api/embed", { input });
    const { embeddings, prompt_eval_count: count } = await response.json();
    assertEquals([response.status, embeddings, count], [200, [], 0]);
  }
});

Deno.test("Ollama's routes refuse what they cannot do, in Ollama's form of errors", async () => {
  const { app, model } = testApp();
  const bad: [string, object, string][] = [
    ["/api/chat", { ...hello, options: { mirostat: 3 } }, "options.mirostat"],
    ["/api/chat", { ...hello, options: { top_k: -2 } }, "options.top_k"],
    ["/api/chat", { ...hello, options: { num_predict: 0 } }, "options.num_predict"],
    ["/api/chat", { ...hello, format: "xml" }, "format"],
    ["/api/chat", { messages: [{ role: "user", content: "x", images: ["a"] }] }, "images"],
    ["/api/chat", { messages: [{ role: "robot", content: "x" }] }, "messages[0].role"],
    ["/api/generate", { prompt: "x", images: ["a"] }, "images"],
    ["/api/generate", { prompt: "x", template: "t" }, "template"],
    ["/api/generate", { prompt: "x", context: [1] }, "context"],
    ["/api/embed", {}, "input"],
  ];
  for (const [path, body, named] of bad) {
    const response = await post(app, path, body);
    assertEquals(response.status, 400);
    assertStringIncludes((await response.json()).error, named);
  }
  assertEquals((await post(app, "/api/push", {})).status, 501);
  assertEquals(model.requests, []);
});

Deno.test("options that only say how to compute are accepted and change nothing", async () => {
  const { app, model } = testApp();
  const options = { num_gpu: 1, num_thread: 4, num_batch: 8, use_mmap: true, num_keep: 5 };
  await post(app, "/api/chat", { ...hello, options, truncate: true });
  assertEquals(model.requests[0].sampling, {});
});

Deno.test("log probabilities come beside the text that they are of", async () => {
  const { app } = testApp({ script: ["a"] });
  const parts = await lines(
    await post(app, "/api/chat", { ...hello, logprobs: true, top_logprobs: 1 }),
  );
  assertEquals(parts[0].logprobs.length, 1);
  assertEquals([parts[0].logprobs[0].token, parts[0].logprobs[0].top_logprobs.length], ["a", 1]);
});

Deno.test("/api/tags and /api/ps tell loaded models from others", async () => {
  const { models } = { models: loadedModels([new ScriptedModel()]) };
  const expiresAt = new Date("2030-01-01T00:00:00Z");
  const cards = [{ ...models.list()[0], id: "a", created: 1, expiresAt }, {
    id: "b",
    created: 0,
    isLoaded: false,
  }];
  const app = createApp({ models: { ...models, list: () => cards } });
  const names = async (path: string) =>
    (await (await app.request(path)).json()).models.map((each: { name: string }) => each.name);
  assertEquals([await names("/api/tags"), await names("/api/ps")], [["a", "b"], ["a"]]);
  const { models: [{ expires_at }] } = await (await app.request("/api/ps")).json();
  assertEquals(expires_at, expiresAt.toISOString());
  // One that stays: Ollama's own client knows years of four digits.
  delete (cards[0] as { expiresAt?: Date }).expiresAt;
  const { models: [stays] } = await (await app.request("/api/ps")).json();
  assertMatch(stays.expires_at, /^9\d{3}-\d\d-\d\dT/);
});

Deno.test("/api/tags and /v1/models know a model's size and age before it is loaded", async () => {
  const path = Deno.makeTempFileSync({ suffix: ".gguf" });
  try {
    Deno.writeTextFileSync(path, "12345");
    Deno.utimeSync(path, 1e9, 1e9);
    const loader = { bytesOf: () => Promise.reject(), load: () => Promise.reject() };
    const catalog = new FileCatalog({ files: [{ id: "a", path }] });
    await using models = new ModelRegistry({ catalog, loader, memoryBytes: 1 });
    const app = createApp({ models });
    const { models: [{ size, modified_at }] } = await (await app.request("/api/tags")).json();
    assertEquals([size, modified_at], [5, "2001-09-09T01:46:40.000Z"]);
    const { data: [{ created }] } = await (await app.request("/v1/models")).json();
    assertEquals(created, 1e9);
    assertEquals((await (await app.request("/v1/models/a")).json()).created, 1e9);
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("a failure in mid-stream is a last line with the error", async () => {
  const { app, errors } = testApp({ script: ["half", new Error("secret")] });
  const parts = await lines(await post(app, "/api/chat", hello));
  assertEquals(parts.length, 2);
  assertEquals([parts[1].code, parts[1].error.includes("secret")], ["internal_error", false]);
  assertEquals(errors.length, 1);
});
