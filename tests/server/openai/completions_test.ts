import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { RequestError } from "../../../src/base/errors.ts";
import { Lifecycle } from "../../../src/server/mod.ts";
import { CHAT, hello, post, readEvents, refused, testApp, TEXT } from "../http_client.ts";

Deno.test("POST /v1/chat/completions answers as OpenAI's and llama.cpp's do", async () => {
  const { app, model } = testApp();
  const response = await post(app, CHAT, { ...hello, model: "scripted" });
  assertEquals(response.status, 200);
  const { id, created, ...rest } = await response.json();
  assertMatch(id, /^chatcmpl-[0-9a-f]{32}$/);
  assert(Math.abs(created - Date.now() / 1000) < 60);
  assertEquals(rest, {
    object: "chat.completion",
    model: "scripted",
    choices: [{
      index: 0,
      message: { role: "assistant", content: "Hello, world", refusal: null },
      logprobs: null,
      finish_reason: "stop",
    }],
    usage: {
      prompt_tokens: 2,
      completion_tokens: 12,
      total_tokens: 14,
      prompt_tokens_details: { cached_tokens: 1 },
      completion_tokens_details: { reasoning_tokens: 0 },
    },
    timings: {
      cache_n: 1,
      prompt_n: 1,
      prompt_ms: 4,
      prompt_per_token_ms: 4,
      prompt_per_second: 250,
      predicted_n: 12,
      predicted_ms: 10,
      predicted_per_token_ms: 10 / 12,
      predicted_per_second: 1200,
    },
  });
  assertEquals(model.chats, [hello.messages]);
});

Deno.test("POST /v1/chat/completions streams chunks that add up to the whole answer", async () => {
  const { app } = testApp();
  const response = await post(app, CHAT, {
    ...hello,
    stream: true,
    stream_options: { include_usage: true },
  });
  assertStringIncludes(response.headers.get("cache-control") ?? "", "no-transform");
  const events = await readEvents(response);
  assertEquals(events.pop(), "[DONE]");
  const usage = events.pop();
  assertEquals(usage.choices, []);
  assertEquals(usage.usage.total_tokens, 14);
  assertEquals(new Set(events.map((event) => event.id)).size, 1);
  for (const { object, model, choices, usage } of events) {
    assertEquals([object, model, usage], ["chat.completion.chunk", "scripted", null]);
    assertEquals([choices.length, choices[0].index, choices[0].logprobs], [1, 0, null]);
  }
  assertEquals(events.map((event) => event.choices[0].delta), [
    { role: "assistant", content: "" },
    { content: "Hello" },
    { content: ", " },
    { content: "world" },
    {},
  ]);
  assertEquals(events.map((event) => event.choices[0].finish_reason), [
    ...[null, null, null, null],
    "stop",
  ]);
  assertEquals(events[4].timings.predicted_n, 12);
});

Deno.test("a stream without include_usage has no usage at all", async () => {
  const { app } = testApp();
  const events = await readEvents(await post(app, CHAT, { ...hello, stream: true }));
  assertEquals(events.slice(0, -1).filter((event) => "usage" in event), []);
});

Deno.test("chat requests reach the model with every option in its terms", async () => {
  const { app, model } = testApp();
  await post(app, CHAT, {
    messages: [
      { role: "developer", content: "Be\ud800 brief" },
      { role: "user", content: [{ type: "text", text: "a" }, { type: "text", text: "b" }] },
      { role: "assistant", content: null, reasoning_content: "hm" },
    ],
    max_tokens: 99,
    max_completion_tokens: 3,
    stop: "END",
    seed: 7,
    temperature: 0.5,
    top_k: 5,
    top_p: 0.9,
    min_p: 0.1,
    typical_p: 0.8,
    repeat_penalty: 1.1,
    repeat_last_n: -1,
    frequency_penalty: -1,
    presence_penalty: 2,
    logit_bias: { "5": -100, "7": 1.5 },
    ignore_eos: true,
    some_unknown_field: { deep: [1] },
  });
  assertEquals(model.chats[0], [
    { role: "system", content: "Be\ufffd brief" },
    { role: "user", content: "ab" },
    { role: "assistant", content: "", reasoning_content: "hm" },
  ]);
  const { ids: _ids, signal: _signal, ...request } = model.requests[0];
  assertEquals(request, {
    maxTokens: 3,
    stop: ["END"],
    ignoreEnd: true,
    sampling: {
      temperature: 0.5,
      topK: 5,
      topP: 0.9,
      minP: 0.1,
      typicalP: 0.8,
      repeatPenalty: 1.1,
      repeatLastN: -1,
      frequencyPenalty: -1,
      presencePenalty: 2,
      logitBias: new Map([[5, -100], [7, 1.5]]),
      seed: 7,
    },
  });
});

Deno.test("finish_reason is length when max_tokens ended the answer", async () => {
  const { app } = testApp();
  const whole = await (await post(app, CHAT, { ...hello, max_tokens: 5 })).json();
  assertEquals(whole.choices[0].finish_reason, "length");
  assertEquals(whole.choices[0].message.content, "Hello");
});

Deno.test("POST /v1/completions takes text, texts, ids and lists of ids, and echoes", async () => {
  const { app, model } = testApp({ script: (request) => [`<${request.ids.length}>`] });
  const prompts: [unknown, string[]][] = [
    ["abc", ["abc<3>"]],
    [["a", "bc"], ["a<1>", "bc<2>"]],
    [[72, 105], ["Hi<2>"]],
    [[[72], [72, 105]], ["H<1>", "Hi<2>"]],
  ];
  for (const [prompt, texts] of prompts) {
    const whole = await (await post(app, TEXT, { prompt, echo: true })).json();
    assertEquals(whole.object, "text_completion");
    assertMatch(whole.id, /^cmpl-/);
    // deno-lint-ignore no-explicit-any
    assertEquals(whole.choices.map((choice: any) => choice.text), texts);
    // deno-lint-ignore no-explicit-any
    assertEquals(whole.choices.map((choice: any) => choice.index), texts.map((_, i) => i));
    const events = await readEvents(await post(app, TEXT, { prompt, echo: true, stream: true }));
    const streamed = texts.map(() => "");
    for (const event of events.slice(0, -1)) {
      streamed[event.choices[0].index] += event.choices[0].text;
    }
    assertEquals(streamed, texts);
  }
  assertEquals(model.requests[0].maxTokens, 16);
});

Deno.test("usage of several prompts counts them all", async () => {
  const { app } = testApp({ script: ["xyz"] });
  const body = { prompt: ["a", "bc"], stream_options: { include_usage: true } };
  const whole = await (await post(app, TEXT, body)).json();
  const streamed = await readEvents(await post(app, TEXT, { ...body, stream: true }));
  for (const { usage } of [whole, streamed.at(-2)]) {
    assertEquals(usage.prompt_tokens, 3);
    assertEquals(usage.completion_tokens, 6);
    assertEquals(usage.prompt_tokens_details.cached_tokens, 2);
  }
});

Deno.test("an unknown model is a 404 that names those there are, no model is the default", async () => {
  const { app } = testApp();
  const error = await refused(app, CHAT, { ...hello, model: "gpt-9" }, 404);
  assertEquals([error.code, error.param], ["model_not_found", "model"]);
  assertStringIncludes(error.message, `["scripted"]`);
  for (const model of ["", null]) {
    assertEquals((await post(app, CHAT, { ...hello, model })).status, 200);
  }
});

Deno.test("a full queue is a 503 with Retry-After, streamed or not", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { app, model } = testApp({ waitingMax: 1, script: [promise, "done"] });
  const accepted = [post(app, CHAT, hello), post(app, CHAT, hello)];
  await model.until((counters) => counters.accepted === 2);
  for (const stream of [false, true]) {
    const response = await post(app, CHAT, { ...hello, stream });
    assertEquals(response.status, 503);
    assertEquals(response.headers.get("retry-after"), "2");
    assertEquals((await response.json()).error.code, "queue_full");
  }
  resolve();
  for (const response of await Promise.all(accepted)) {
    assertEquals((await response.json()).choices[0].message.content, "done");
  }
});

Deno.test("a model's own refusals pass through, its failures do not tell their story", async () => {
  const refusal = new RequestError("no system role", { status: 400, param: "messages" });
  const template = testApp({
    onChat: () => {
      throw refusal;
    },
  });
  assertEquals((await refused(template.app, CHAT, hello)).message, "no system role");
  assertEquals(template.errors, []);
  const long = testApp({ contextLength: 2 });
  assertEquals((await refused(long.app, CHAT, hello)).code, "context_length_exceeded");
  const broken = testApp({ script: ["some", new TypeError("secret of the engine")] });
  const error = await refused(broken.app, CHAT, hello, 500);
  assertEquals([error.type, error.code], ["server_error", "internal_error"]);
  assert(!error.message.includes("secret"));
  assertEquals(broken.errors.map(String), ["TypeError: secret of the engine"]);
});

Deno.test("a failure in mid-stream is an error event, and there is no [DONE]", async () => {
  const { app, errors } = testApp({ script: ["some", new TypeError("secret")] });
  const events = await readEvents(await post(app, CHAT, { ...hello, stream: true }));
  assertEquals(events.map((event) => event.choices?.[0].delta.content ?? event.error.code), [
    "",
    "some",
    "internal_error",
  ]);
  assertEquals(errors.length, 1);
});

Deno.test("a client that leaves, from a stream or from an answer, frees the model", async () => {
  const never = new Promise<void>(() => {});
  for (const script of [[never], ["first", never]]) {
    const { app, model, errors } = testApp({ script });
    const response = await post(app, CHAT, { ...hello, stream: true });
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
    await model.until((counters) => counters.aborted === 1);
    const client = new AbortController();
    const whole = post(app, CHAT, hello, { signal: client.signal });
    await model.until((counters) => counters.started === 2);
    client.abort();
    await model.until((counters) => counters.aborted === 2);
    await whole;
    assertEquals(model.load, { running: 0, waiting: 0 });
    assertEquals(errors, []);
  }
});

Deno.test("an answer's signal stays quiet when its client leaves after the end", async () => {
  const { app, model } = testApp();
  const client = new AbortController();
  await (await post(app, CHAT, hello, { signal: client.signal })).json();
  client.abort();
  assertEquals(model.requests[0].signal?.aborted, false);
  await readEvents(await post(app, CHAT, { ...hello, stream: true }));
  assertEquals(model.requests[1].signal?.aborted, false);
});

Deno.test("stopping the server ends what is running with a 503 or an error event", async () => {
  const lifecycle = new Lifecycle();
  const script = ["so far", new Promise(() => {})];
  const { app, model, errors } = testApp({ script }, { lifecycle });
  const whole = post(app, CHAT, hello);
  const stream = await post(app, CHAT, { ...hello, stream: true });
  await model.until((counters) => counters.started === 1);
  lifecycle.stop();
  assertEquals((await (await whole).json()).error.code, "shutting_down");
  assertEquals((await readEvents(stream)).at(-1).error.code, "shutting_down");
  assertEquals((await refused(app, CHAT, hello, 503)).code, "shutting_down");
  assertEquals(errors, []);
});

Deno.test("parallel chats get their own answers", async () => {
  const { app } = testApp({
    script: (request) => request.ids.flatMap((id) => [1, String.fromCharCode(id)]),
  });
  const words = Array.from({ length: 20 }, (_, index) => `canary-${index * 7919}`);
  const answers = await Promise.all(words.map(async (content, index) => {
    const body = { messages: [{ role: "user", content }], stream: index % 2 === 0 };
    const response = await post(app, CHAT, body);
    if (!body.stream) return (await response.json()).choices[0].message.content;
    const events = await readEvents(response);
    return events.slice(0, -1).map((event) => event.choices[0].delta.content ?? "").join("");
  }));
  assertEquals(answers, words);
});
