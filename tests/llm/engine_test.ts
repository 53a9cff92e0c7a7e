/** The library's face, on the built-in model and on tiny ones. */
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type ChatMessage, Engine, ModelFormatError, RequestError, serve } from "../../mod.ts";
import { withTinyFile } from "../support/loaded_model.ts";

/** One engine for tests that only ask. */
let shared: Promise<Engine> | undefined;

async function ask(test: (engine: Engine) => Promise<void> | void): Promise<void> {
  shared ??= Engine.load();
  await test(await shared);
}

const askTest = (name: string, test: (engine: Engine) => Promise<void> | void) =>
  Deno.test({ name, sanitizeOps: false, sanitizeResources: false, fn: () => ask(test) });

askTest("Engine.load() without a path is the built-in model", (engine) => {
  assertEquals(engine.model.id, "built-in");
  assertEquals(engine.model.details?.architecture, "bamboo");
});

askTest("chat() takes a text for what a user says", async (engine) => {
  const options = { temperature: 0, maxTokens: 30 };
  const message: ChatMessage = { role: "user", content: "What is Ganglion?" };
  const text = await engine.chat("What is Ganglion?", options).text();
  assertEquals(await engine.chat([message], options).text(), text);
  assert(text.includes("Ganglion"));
});

askTest("an answer's pieces are its text", async (engine) => {
  const answer = engine.generate("Once upon a time", { seed: 7, maxTokens: 20 });
  let text = "";
  for await (const piece of answer) text += piece;
  assertEquals(await answer.text(), text);
  const { ids, finishReason } = await answer.result;
  assertEquals([ids.length, finishReason], [20, "length"]);
});

askTest("sampling options reach the sampler", async (engine) => {
  const options = { seed: 3, temperature: 1.5, maxTokens: 12 };
  const first = await engine.generate("The", options).text();
  assertEquals(await engine.generate("The", options).text(), first);
  assert(await engine.generate("The", { ...options, seed: 4 }).text() !== first);
});

askTest("leaving an answer's loop ends it", async (engine) => {
  const answer = engine.generate("Once upon a time", { temperature: 1 });
  for await (const _text of answer) break;
  assertEquals((await answer.result).finishReason, "cancelled");
});

askTest("tokenize() and detokenize() are inverse", (engine) => {
  const text = "Zwölf Boxkämpfer, <|im_start|>";
  assertEquals(engine.detokenize(engine.tokenize(text)), text);
});

askTest("embed() makes vectors of length 1", async (engine) => {
  const vector = await engine.embed("a cat");
  assertEquals(vector.length, engine.model.details?.embeddingLength);
  assertAlmostEquals(vector.reduce((sum, value) => sum + value * value, 0), 1, 1e-5);
});

askTest("serve() puts an engine's model behind HTTP, for those with a key", async (engine) => {
  const server = serve([engine.model], { port: 0, apiKeys: ["secret"] });
  try {
    const ask = (headers: Record<string, string>) => fetch(`${server.url}/v1/models`, { headers });
    const refused = await ask({});
    await refused.body?.cancel();
    assertEquals(refused.status, 401);
    const { data } = await (await ask({ authorization: "Bearer secret" })).json();
    assertEquals(data[0].id, "built-in");
  } finally {
    await server.shutdown();
  }
});

askTest(
  "close() of an engine cuts an answer short and refuses what comes after",
  async (engine) => {
    shared = undefined;
    const answer = engine.generate("Once upon a time", { temperature: 1 });
    await answer[Symbol.asyncIterator]().next();
    await engine.close();
    assertEquals((await answer.result).finishReason, "cancelled");
    const error = assertThrows(() => engine.chat("hello"), RequestError);
    assertEquals(error.code, "engine_closed");
    await assertRejects(() => engine.embed("hello"), RequestError, "closed");
    await engine.close();
  },
);

Deno.test("Engine.load() of a file that is not there is a ModelFormatError with its path", async () => {
  const error = await assertRejects(() => Engine.load("/nonexistent.gguf"), ModelFormatError);
  assertEquals(error.path, "/nonexistent.gguf");
});

Deno.test("await using closes an engine, and its threads let the process end", () =>
  withTinyFile({}, async (path) => {
    let kept: Engine;
    {
      await using engine = await Engine.load(path, { threads: 1, contextLength: 64, id: "tiny" });
      assertEquals(engine.model.id, "tiny");
      assertEquals(engine.model.contextLength, 64);
      kept = engine;
    }
    assertThrows(() => kept.generate("x"), RequestError, "closed");
  }));
