import { assertEquals, assertStringIncludes } from "@std/assert";
import type { EmbedOptions, ModelDetails, SeenImages } from "../../src/llm/types.ts";
import { RequestError } from "../../src/base/errors.ts";
import { createApp } from "../../src/server/mod.ts";
import { post, refused, testApp } from "./http_client.ts";

const A = Uint8Array.of(1, 2, 3), B = Uint8Array.of(4, 5);
const [a64, b64] = [A, B].map((file) => file.toBase64());
const urlOf = (text: string) => `data:image/png;base64,${text}`;

/** An image of n bytes is n rows, between "<" and ">": ids below 0 that tell its first byte. */
function see(file: Uint8Array): SeenImages {
  const firstId = -10 * file[0];
  const rows = Array.from(file, (_, row) => firstId - row);
  const values = new Float32Array(file.length);
  const given = [{ firstId, values, seesAll: false, grid: null }];
  return { ids: [["<".charCodeAt(0), ...rows, ">".charCodeAt(0)]], given };
}

/** A prompt as the scripted model gets it: characters, and rows as numbers. */
const shown = (ids: readonly number[]) =>
  ids.map((id) => id < 0 ? `(${id})` : String.fromCharCode(id)).join("");

const SEEN = "one <(-10)(-11)(-12)>two<(-40)(-41)>";

Deno.test("images stand where they were written, whatever API is spoken", async () => {
  const { app, model } = testApp({ see });
  const openai = {
    messages: [{
      role: "user",
      content: [
        { type: "text", text: "one " },
        { type: "image_url", image_url: { url: urlOf(a64), detail: "low" } },
        { type: "text", text: "two" },
        { type: "image_url", image_url: urlOf(b64) },
      ],
    }],
  };
  const blocks = [
    { type: "text", text: "one " },
    { type: "image", source: { type: "base64", media_type: "image/png", data: a64 } },
    { type: "text", text: "two" },
    { type: "image", source: { type: "base64", media_type: "image/gif", data: b64 } },
  ];
  const input = [{
    role: "user",
    content: [
      { type: "input_text", text: "one " },
      { type: "input_image", image_url: urlOf(a64), detail: "auto" },
      { type: "input_text", text: "two" },
      { type: "input_image", image_url: urlOf(b64) },
    ],
  }];
  const asked: [path: string, body: object][] = [
    ["/v1/chat/completions", openai],
    ["/v1/chat/completions", { ...openai, stream: true }],
    ["/v1/messages", { max_tokens: 5, messages: [{ role: "user", content: blocks }] }],
    ["/v1/responses", { input }],
  ];
  for (const [path, body] of asked) {
    const response = await post(app, path, body);
    await response.text();
    assertEquals(response.status, 200, path);
    const { ids, given } = model.requests.at(-1)!;
    assertEquals(shown(ids), SEEN, path);
    assertEquals(given?.map(({ firstId }) => firstId), [-10, -40], path);
  }
});

Deno.test("Ollama's images stand before the text, of chats and of prompts", async () => {
  const { app, model } = testApp({ see });
  const images = [a64, b64];
  const asked: [path: string, body: object][] = [
    ["/api/chat", { messages: [{ role: "user", content: "one", images }] }],
    ["/api/generate", { prompt: "one", images }],
  ];
  for (const [path, body] of asked) {
    await (await post(app, path, { stream: false, ...body })).text();
    assertEquals(shown(model.requests.at(-1)!.ids), "<(-10)(-11)(-12)><(-40)(-41)>one", path);
  }
  for (const field of [{ raw: true }, { suffix: "x" }]) {
    const response = await post(app, "/api/generate", { prompt: "one", images, ...field });
    assertEquals(response.status, 400);
    await response.text();
  }
  const response = await post(app, "/api/chat", {
    messages: [{ role: "user", content: "", images: [7] }],
  });
  assertStringIncludes((await response.json()).error, "messages[0].images[0]");
});

Deno.test("what a tool shows stays where it was, also where results are told in words", async () => {
  const { app, model } = testApp({ see });
  const content = [
    { type: "text", text: "look: " },
    { type: "image", source: { type: "base64", data: b64 } },
  ];
  const use = { type: "tool_use", id: "c", name: "f", input: {} };
  await (await post(app, "/v1/messages", {
    max_tokens: 5,
    messages: [
      { role: "user", content: "Hi" },
      { role: "assistant", content: [use] },
      {
        role: "user",
        content: [{ type: "tool_result", tool_use_id: "c", content, is_error: true }],
      },
    ],
  })).text();
  const told = "<tool_response>\nError: look: <(-40)(-41)>\n</tool_response>";
  assertStringIncludes(shown(model.requests[0].ids), told);
});

Deno.test("tokens of images are counted, and nobody looks at more than their sizes", async () => {
  const options: (EmbedOptions & { isCounted?: boolean } | undefined)[] = [];
  const { app } = testApp({
    see: (file, asked) => {
      options.push(asked);
      return see(file);
    },
  });
  const image = { type: "image", source: { type: "base64", data: a64 } };
  const messages = [{ role: "user", content: [image] }];
  const counted = await (await post(app, "/v1/messages/count_tokens", { messages })).json();
  assertEquals(counted, { input_tokens: 5 });
  assertEquals(options.map((each) => each?.isCounted), [true]);
});

Deno.test("all lists of models say which of them see", async () => {
  const details: Partial<ModelDetails> = { uses: ["ranking"], chatTemplate: "<think></think>" };
  for (const [script, seen] of [[{ see }, true], [{}, false], [{ details }, false]] as const) {
    const { app } = testApp(script);
    const get = async (path: string, headers = {}) =>
      (await (await app.request(path, { headers })).json()).data[0];
    const input_modalities = seen ? ["text", "image"] : ["text"];
    const output_modalities = "details" in script ? ["rerank"] : ["text"];
    const architecture = { input_modalities, output_modalities };
    assertEquals((await get("/v1/models")).architecture, architecture);
    assertEquals((await get("/models")).architecture, architecture);
    const version = { "anthropic-version": "2023-06-01" };
    const { image_input, thinking } = (await get("/v1/models", version)).capabilities;
    assertEquals([image_input.supported, thinking.supported], [seen, "details" in script]);
    const { capabilities } = await (await post(app, "/api/show", { model: "scripted" })).json();
    assertEquals(capabilities.includes("vision"), seen);
  }
});

Deno.test("a model that was not loaded yet may see or not", async () => {
  const card = { id: "a", created: 0 };
  const models = {
    state: "ready" as const,
    list: () => [card],
    acquire: () => Promise.resolve(undefined),
  };
  const app = createApp({ models });
  const get = async (path: string, headers = {}) =>
    (await (await app.request(path, { headers })).json()).data[0];
  assertEquals("architecture" in await get("/v1/models"), false);
  assertEquals((await get("/v1/models", { "anthropic-version": "x" })).capabilities, null);
});

Deno.test("a model without eyes says so, in the form of the API", async () => {
  const { app, model } = testApp();
  const content = [{ type: "image_url", image_url: { url: urlOf(a64) } }];
  const error = await refused(app, "/v1/chat/completions", {
    messages: [{ role: "user", content }],
  });
  assertEquals([error.param, error.code], ["messages", "images_not_supported"]);
  assertStringIncludes(error.message, "--mmproj");
  const messages = [{ role: "user", content: "x", images: [a64] }];
  const ollama = await (await post(app, "/api/chat", { messages })).json();
  assertStringIncludes(ollama.error, "--mmproj");
  assertEquals(model.requests, []);
});

Deno.test("an image that is none is a 400, not a stream that breaks off", async () => {
  const { app, model } = testApp({
    see: () => {
      throw new RequestError("Cannot read the image: it is none", { status: 400 });
    },
  });
  const content = [{ type: "image_url", image_url: { url: urlOf(a64) } }];
  const body = { messages: [{ role: "user", content }], stream: true };
  const error = await refused(app, "/v1/chat/completions", body);
  assertEquals(error.message, "Cannot read the image: it is none");
  assertEquals(model.requests, []);
});

Deno.test("who goes away while a model looks takes the looking along", async () => {
  const { promise: began, resolve: begin } = Promise.withResolvers<AbortSignal>();
  const { app } = testApp({
    see: (_file, { signal } = {}) => {
      begin(signal!);
      return new Promise((_, reject) =>
        signal!.addEventListener("abort", () => reject(signal!.reason))
      );
    },
  });
  const content = [{ type: "image_url", image_url: { url: urlOf(a64) } }];
  const gone = new AbortController();
  const asked = app.request("/v1/chat/completions", {
    method: "POST",
    headers: { host: "localhost" },
    body: JSON.stringify({ messages: [{ role: "user", content }] }),
    signal: gone.signal,
  });
  const signal = await began;
  assertEquals(signal.aborted, false);
  gone.abort();
  assertEquals((await asked).status >= 400, true);
  assertEquals(signal.aborted, true);
});
