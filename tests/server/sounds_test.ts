/** Sounds in requests: taken out, put in their places, refused where they cannot be heard. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import type { SeenImages } from "../../src/llm/types.ts";
import { soundFile, writeWav } from "../support/sound_files.ts";
import { post, refused, testApp } from "./http_client.ts";

const DATA = Uint8Array.of(7, 8, 9).toBase64();
const audio = (data: unknown) => ({ type: "input_audio", input_audio: { data, format: "wav" } });
const asking = (...content: unknown[]) => ({ messages: [{ role: "user", content }] });

/** A sound of n bytes is n rows: ids below 0 that tell its first byte. */
function see(file: Uint8Array): SeenImages {
  return { ids: [Array.from(file, (_, row) => -10 * file[0] - row)], given: [] };
}

Deno.test("sounds stand where they were written, and are told from images", async () => {
  const { app, model } = testApp({ see });
  const kinds: unknown[] = [];
  const { lookAt } = model;
  const value: typeof lookAt = (messages, options) => {
    kinds.push(messages.flatMap(({ images = [] }) => images.map(({ kind }) => kind)));
    return lookAt!(messages, options);
  };
  Object.defineProperty(model, "lookAt", { value });
  const text = (value: string) => ({ type: "text", text: value });
  const response = await post(
    app,
    "/v1/chat/completions",
    asking(text("one "), audio(DATA), text("two")),
  );
  assertEquals([response.status, (await response.json()).choices.length], [200, 1]);
  const { ids } = model.requests.at(-1)!;
  const shown = ids.map((id) => id < 0 ? `(${id})` : String.fromCharCode(id)).join("");
  assertStringIncludes(shown, "one (-70)(-71)(-72)two");
  assertEquals(kinds, [["sound"]]);
});

Deno.test("sounds that are none are refused where they are written", async () => {
  const { app, model } = testApp({ see });
  for (const data of [undefined, "", "AQI*", 7]) {
    const error = await refused(app, "/v1/chat/completions", asking(audio(data)));
    assertStringIncludes(error.message, "expected a sound in base64");
    assertStringIncludes(error.param!, "messages");
  }
  const answers = { messages: [{ role: "assistant", content: [audio(DATA)] }] };
  const error = await refused(app, "/v1/chat/completions", answers);
  assertStringIncludes(error.message, "only messages of users, and what tools answer");
  assertEquals(model.requests, []);
});

Deno.test("a model without ears says so", async () => {
  const { app } = testApp();
  const error = await refused(app, "/v1/chat/completions", asking(audio(DATA)));
  assertEquals([error.param, error.code], ["messages", "audio_not_supported"]);
  assertStringIncludes(error.message, "hears no sounds");
});

Deno.test("lists of models say which of them hear", async () => {
  const { app } = testApp({ details: { uses: ["writing", "sounds"] } });
  const { data: [{ architecture }] } = await (await app.request("/v1/models")).json();
  assertEquals(architecture.input_modalities, ["text", "audio"]);
  const { modalities } = await (await app.request("/props")).json();
  assertEquals(modalities, { vision: false, audio: true });
  const { capabilities } = await (await post(app, "/api/show", { model: "scripted" })).json();
  assertEquals([capabilities.includes("audio"), capabilities.includes("vision")], [true, false]);
});

Deno.test("responses and Ollama's messages have sounds, too, which are told from images", async () => {
  const { app, model } = testApp({ see });
  const kinds: unknown[] = [];
  const { lookAt } = model;
  const value: typeof lookAt = (messages, options) => {
    for (const { images = [] } of messages) kinds.push(...images.map(({ kind }) => kind));
    return lookAt!(messages, options);
  };
  Object.defineProperty(model, "lookAt", { value });
  const ask = async (path: string, body: object) => {
    const response = await post(app, path, { stream: false, ...body });
    assertEquals(response.status, 200, await response.text());
    return kinds.splice(0);
  };
  const input = [{ role: "user", content: [audio(DATA)] }];
  assertEquals(await ask("/v1/responses", { input }), ["sound"]);
  const output = [audio(DATA), { type: "input_text", text: "There." }];
  const told = { type: "function_call_output", call_id: "a", output };
  assertEquals(await ask("/v1/responses", { input: [told] }), ["sound"]);
  const images = [writeWav({ values: [0] }), soundFile("tone.flac"), Uint8Array.of(0x89, 0x50)];
  const asked = { content: "x", role: "user", images: images.map((file) => file.toBase64()) };
  const found = ["sound", "sound", undefined];
  assertEquals(await ask("/api/chat", { model: "scripted", messages: [asked] }), found);
  const generate = { model: "scripted", prompt: "x", images: asked.images };
  assertEquals(await ask("/api/generate", generate), found);
});
