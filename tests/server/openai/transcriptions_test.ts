/** Sounds in forms, and what is said in them. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import OpenAI, { BadRequestError, toFile } from "openai";
import { SOUND_BYTES_MAX } from "../../../src/hearing/mod.ts";
import { RequestError } from "../../../src/base/errors.ts";
import type { SeenImages } from "../../../src/llm/types.ts";
import type { AppOptions } from "../../../src/server/mod.ts";
import { Lifecycle } from "../../../src/server/options.ts";
import { BodyRoom } from "../../../src/server/request_body.ts";
import type { ScriptedModelOptions } from "../../support/scripted_model.ts";
import { testApp, withServer } from "../http_client.ts";

const SOUND = Uint8Array.of(7, 8, 9);

/** A sound of n bytes is n rows: ids below 0 that tell its first byte. */
function see(file: Uint8Array): SeenImages {
  return { ids: [Array.from(file, (_, row) => -10 * file[0] - row)], given: [] };
}

/** OpenAI's own client; what it sends is known. */
async function withClient(
  script: ScriptedModelOptions,
  use: (
    audio: OpenAI["audio"],
    context: Parameters<Parameters<typeof withServer>[1]>[0],
  ) => Promise<void>,
): Promise<void> {
  await withServer({ see, ...script }, async (context) => {
    const client = new OpenAI({
      ...{ apiKey: "none", baseURL: `${context.server.url}/v1`, maxRetries: 0 },
    });
    await use(client.audio, context);
  }, { strictRequests: true });
}

const model = "scripted";
const file = () => toFile(SOUND, "talk.wav");

function shown(ids: readonly number[]): string {
  return ids.map((id) => id < 0 ? `(${id})` : String.fromCharCode(id)).join("");
}

Deno.test("OpenAI's client reads transcripts and translations, and a model is told in words", () =>
  withClient({ script: [" What was", " said. \n"] }, async (audio, { model: scripted }) => {
    const { transcriptions, translations } = audio;
    const whole = await transcriptions.create({ model, file: await file() });
    assertEquals(whole.text, "What was said.");
    const { ids, sampling } = scripted.requests.at(-1)!;
    assertEquals(sampling?.temperature, 0);
    assertStringIncludes(shown(ids), "(-70)(-71)(-72)Write down what is said");
    const { usage } = whole;
    assert(usage?.type === "tokens");
    assertEquals(usage.input_tokens, ids.length);
    assertEquals(usage.input_token_details, { audio_tokens: 3, text_tokens: ids.length - 3 });
    assertEquals(usage.total_tokens, ids.length + " What was said. \n".length);
    const options = { language: "de", prompt: "Frau Weiß", temperature: 0.5 };
    const text = await transcriptions.create({
      ...{ model, file: await file(), ...options },
      response_format: "text",
    });
    assertEquals(text as unknown, "What was said.\n");
    const told = scripted.requests.at(-1)!;
    assertEquals(told.sampling?.temperature, 0.5);
    assertStringIncludes(shown(told.ids), "It is in German.");
    assertStringIncludes(shown(told.ids), "Frau Weiß");
    const translated = await translations.create({ model, file: await file(), prompt: "ships" });
    assertEquals(translated.text, "What was said.");
    assertStringIncludes(shown(scripted.requests.at(-1)!.ids), "into English");
    assertStringIncludes(shown(scripted.requests.at(-1)!.ids), "ships");
  }));

Deno.test("OpenAI's client reads a transcript while it comes", () =>
  withClient({ script: [" ", "One", " two ", " \n", "three", " "] }, async (audio) => {
    const stream = await audio.transcriptions.create({ model, file: await file(), stream: true });
    const events = [];
    for await (const event of stream) events.push(event);
    const deltas = events.map((event) => event.type === "transcript.text.delta" ? event.delta : "");
    assertEquals(deltas, ["One", " two", "  \nthree", ""]);
    const last = events.at(-1)!;
    assert(last.type === "transcript.text.done");
    assertEquals(last.text, deltas.join(""));
    assertEquals(last.usage?.output_tokens, 17);
  }));

Deno.test("a model with a mark for it is told by that, as its authors have it", () =>
  withClient({ controls: { "[TRANSCRIBE]": "\x03" } }, async (audio, { model: scripted }) => {
    const { transcriptions, translations } = audio;
    const prompts = async (ask: Promise<unknown>) => {
      await ask;
      return shown(scripted.requests.at(-1)!.ids);
    };
    const heard = "(-70)(-71)(-72)";
    const sound = { model, file: await file() };
    assertEquals(await prompts(transcriptions.create(sound)), `${heard}\x03`);
    const german = transcriptions.create({ ...sound, language: "de" });
    assertEquals(await prompts(german), `${heard}lang:de\x03`);
    // It has no place for a prompt, and translates by no mark.
    const prompted = await prompts(transcriptions.create({ ...sound, prompt: "Weiß" }));
    assertEquals([prompted.includes("Weiß"), prompted.includes("\x03")], [true, false]);
    assertStringIncludes(await prompts(translations.create(sound)), "into English");
  }));

Deno.test("what a transcript cannot have is refused by its name", () =>
  withClient({}, async (audio, { model: scripted }) => {
    const refused = async (fields: object, task: "transcriptions" | "translations") => {
      const ask = { model, file: await file(), ...fields };
      const create = () => audio[task].create(ask as never) as Promise<unknown>;
      return await assertRejects(create, BadRequestError);
    };
    const wrong: readonly (readonly [object, string])[] = [
      [{ timestamp_granularities: ["word"] }, "timestamp_granularities"],
      [{ include: ["logprobs"] }, "include"],
      [{ response_format: "srt" }, "response_format"],
      [{ response_format: "vtt" }, "response_format"],
      [{ response_format: "verbose_json" }, "response_format"],
      [{ chunking_strategy: { type: "server_vad" } }, "chunking_strategy"],
      [{ temperature: 1.5 }, "temperature"],
      [{ language: "german, please" }, "language"],
      [{ prompt: "x".repeat(16 * 1024 + 1) }, "prompt"],
      [{ langauge: "de" }, "langauge"],
    ];
    for (const [fields, param] of wrong) {
      const error = await refused(fields, "transcriptions");
      assertEquals([error.param, error.message.includes(param)], [param, true]);
    }
    assertEquals((await refused({ stream: true }, "translations")).param, "stream");
    assertStringIncludes((await refused({ temperature: "hot" }, "translations")).message, "number");
    assertEquals(scripted.requests, []);
    const plain = { model, file: await file(), chunking_strategy: "auto" } as const;
    assertEquals((await audio.transcriptions.create(plain)).text, "Hello, world");
  }));

async function send(
  script: ScriptedModelOptions,
  sound: Uint8Array<ArrayBuffer> | null,
  options: Partial<AppOptions> = {},
  fields: Readonly<Record<string, string>> = {},
) {
  const { app } = testApp({ see, ...script }, options);
  const body = new FormData();
  if (sound !== null) body.set("file", new Blob([sound]), "a.wav");
  for (const [name, value] of Object.entries(fields)) body.set(name, value);
  const response = await app.request("/v1/audio/transcriptions", { method: "POST", body });
  return [response.status, (await response.json()).error] as const;
}

Deno.test("sounds of forms count as sounds do, and are refused by their field", async () => {
  const [late, { code }] = await send({}, new Uint8Array(SOUND_BYTES_MAX + 1));
  assertEquals([late, code], [413, "file_too_large"]);
  // A hundred bytes of base64 are 75 of a file.
  assertEquals((await send({}, new Uint8Array(76), { imageBytesMax: 100 }))[0], 413);
  assertEquals((await send({}, new Uint8Array(75), { imageBytesMax: 100 }))[0], 200);
  for (const [sound, message] of [[new Uint8Array(), "is empty"], [null, "no file"]] as const) {
    const [status, error] = await send({}, sound);
    assertEquals([status, error.param], [400, "file"]);
    assertStringIncludes(error.message, message);
  }
  const damaged = () => {
    const of = { status: 400, code: "invalid_audio", param: "messages" };
    throw new RequestError("Cannot read the sound", of);
  };
  const [status, error] = await send({ see: damaged }, SOUND);
  assertEquals([status, error.code, error.param], [400, "invalid_audio", "file"]);
  const [deaf, none] = await send({ see: undefined }, SOUND);
  assertEquals([deaf, none.code, none.param], [400, "audio_not_supported", "file"]);
});

Deno.test("half of what was said is no transcript", async () => {
  const script = { script: ["a".repeat(300)], contextLength: 290 };
  const [status, error] = await send(script, SOUND);
  assertEquals([status, error.code, error.param], [400, "context_length_exceeded", "file"]);
});

Deno.test("sounds that arrive take of the room of all bodies, and give it back", async () => {
  const bodyRoom = new BodyRoom(1500);
  const { app } = testApp({ see }, { bodyRoom });
  const head = '--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n';
  const ask = (body: BodyInit) =>
    app.request("/v1/audio/transcriptions", {
      ...{ method: "POST", body, headers: { "content-type": "multipart/form-data; boundary=b" } },
    });
  const wait = Promise.withResolvers<void>();
  async function* slow() {
    yield new TextEncoder().encode(head + "x".repeat(1000));
    await wait.promise;
    yield new TextEncoder().encode("\r\n--b--\r\n");
  }
  const arriving = ask(ReadableStream.from(slow()));
  while (bodyRoom.bytes === 0) await new Promise((resolve) => setTimeout(resolve));
  const form = (bytes: number) => ask(`${head}${"x".repeat(bytes)}\r\n--b--\r\n`);
  const full = await form(1000);
  assertEquals([full.status, (await full.json()).error.code], [503, "too_many_bodies"]);
  wait.resolve();
  assertEquals([(await arriving).status, bodyRoom.bytes], [200, 0]);
  assertEquals([(await form(1000)).status, (await form(1501)).status], [200, 503]);
  assertEquals(bodyRoom.bytes, 0);
});

Deno.test("a form's empty fields ask for nothing, too many are refused, and so are all on the way out", async () => {
  const empty = { language: "", temperature: "", response_format: "" };
  assertEquals((await send({}, SOUND, {}, empty))[0], 200);
  const many = Object.fromEntries(Array.from({ length: 18 }, (_, i) => [`f${i}`, "x"]));
  const [status, error] = await send({}, SOUND, {}, many);
  assertEquals([status, error.message], [400, "The form has more than 16 fields"]);
  const lifecycle = new Lifecycle();
  lifecycle.drain();
  // Before the body is read, which is none.
  assertEquals((await send({}, null, { lifecycle }))[0], 503);
});
